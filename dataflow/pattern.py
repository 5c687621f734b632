# SPDX-License-Identifier: Apache-2.0
"""N:M sparsity patterns as values.

An N:M pattern keeps at most ``n_keep`` of every ``m_group`` consecutive elements along one dimension
(N is the number *kept*). ``N == M`` keeps everything and is stored as dense: no indices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

from .errors import InputError

MAX_GROUP = 256
"""Largest M accepted anywhere; machines have smaller limits of their own."""


@dataclass(frozen=True, slots=True, order=True)
class NM:
    """``n_keep`` of every ``m_group`` consecutive elements are kept; ``NM(1, 1)`` is dense.

    Raises:
        InputError: unless 1 <= n_keep <= m_group <= MAX_GROUP.
    """

    n_keep: int
    m_group: int

    def __post_init__(self) -> None:
        if not (1 <= self.n_keep <= self.m_group <= MAX_GROUP):
            raise InputError(f"{self.n_keep}:{self.m_group}: {_fault(self.n_keep, self.m_group)}")

    @classmethod
    def parse(cls, text: str) -> NM:
        """Read ``"2:8"`` or ``"dense"``.

        Raises:
            InputError: ``text: reason``; the caller knows the name of the field or option.
        """
        if text.strip().lower() == "dense":
            return DENSE
        match = re.fullmatch(r"\s*(\d{1,4})\s*:\s*(\d{1,4})\s*", text)
        if not match:
            raise InputError(f"{text!r}: write N:M (N kept of M), as in 2:8, or dense")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return "dense" if self == DENSE else f"{self.n_keep}:{self.m_group}"

    @property
    def is_dense(self) -> bool:
        """Whether every element is kept (N == M)."""
        return self.n_keep == self.m_group

    @property
    def density(self) -> Fraction:
        """Share of elements kept."""
        return Fraction(self.n_keep, self.m_group)

    @property
    def index_bits(self) -> int:
        """Bits of one kept element's position in its group: ceil(log2 M); 0 when dense."""
        return 0 if self.is_dense else (self.m_group - 1).bit_length()

    def kept(self, length: int) -> int:
        """Elements stored for ``length`` elements along the grouped dimension (a short last group is padded)."""
        if self.is_dense:
            return length
        return -(-length // self.m_group) * self.n_keep

    def storage_bytes(self, length: int, vectors: int = 1, value_bits: int = 16) -> int:
        """Bytes to store ``vectors`` vectors of ``length`` elements, values and indices, packed, rounded up once."""
        bits = self.kept(length) * vectors * (value_bits + self.index_bits)
        return -(-bits // 8)


def _fault(n: int, m: int) -> str:
    if n < 1:
        return "N must be at least 1 (N is the number kept of M)"
    if n > m:
        return "N must be at most M (N is the number kept of M)"
    return f"M must be at most {MAX_GROUP}"


DENSE = NM(1, 1)

PatternText = Annotated[str, BeforeValidator(lambda value: str(NM.parse(str(value))))]
"""A pattern as a field of settings: N:M or dense."""
