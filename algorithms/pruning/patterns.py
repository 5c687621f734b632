# SPDX-License-Identifier: Apache-2.0
"""Patterns of pruning: N:M along the reduction, unstructured, and blocks of consecutive weights along the reduction.

As text: ``2:4`` (2 of every 4 kept), ``50%`` (half of the weights removed, anywhere), ``block4-50%`` (half of the
blocks of 4 removed), ``dense``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from dataflow.errors import InputError
from dataflow.pattern import NM


@dataclass(frozen=True, slots=True)
class Unstructured:
    """A share of the weights is removed, wherever they are; with ``block`` > 1 so many along the reduction at once.

    Raises:
        InputError: a sparsity outside 0 to 1 (1 excluded), or a block below 1.
    """

    sparsity: Fraction
    """Share that is removed."""
    block: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.sparsity < 1:
            raise InputError(f"{self}: the share that is removed must be from 0% to below 100%")
        if self.block < 1:
            raise InputError(f"{self}: a block has at least 1 weight")

    def __str__(self) -> str:
        share = f"{float(self.sparsity * 100):.10g}%"
        return share if self.block == 1 else f"block{self.block}-{share}"

    @property
    def density(self) -> Fraction:
        """Share that is kept."""
        return 1 - self.sparsity


Pattern = NM | Unstructured


def parse_pattern(text: str) -> Pattern:
    """The pattern of a text.

    Raises:
        InputError: none of the forms; says which there are.
    """
    match = re.fullmatch(r"\s*(?:block(\d{1,3})-)?(\d{1,2}(?:\.\d+)?)%\s*", text)
    if match:
        return Unstructured(Fraction(match[2]) / 100, int(match[1] or 1))
    try:
        return NM.parse(text)
    except InputError as error:
        if ":" in text:
            raise
        raise InputError(
            f"{text!r}: write N:M (N kept of M), as in 2:4, a share removed, as in 50% or block4-50%, or dense"
        ) from error


def misfit(pattern: Pattern, channels: int) -> str | None:
    """Why a layer of so many input channels (features) cannot have the pattern; None: it can. Groups and blocks lie
    within a kernel's tap."""
    group = pattern.m_group if isinstance(pattern, NM) else pattern.block
    return f"{channels} input channels, no multiple of {group}" if channels % group else None
