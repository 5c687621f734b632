# SPDX-License-Identifier: Apache-2.0
"""Which pass a training method makes sparse, and which layers it leaves dense: shared by torch and the simulator.

Methods (SAT / BDWP paper, section 2 and 3): ``dense``; ``srste`` prunes weights in FF; ``sdgp`` prunes output gradients
in BP; ``sdwp`` prunes weights in BP; ``bdwp`` prunes weights in FF and in BP. WU is dense in all of them.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from ..errors import InputError
from ..pattern import DENSE, NM


class Pass(StrEnum):
    """The three matrix products of a training step of one layer."""

    FF = "FF"
    BP = "BP"
    WU = "WU"


class Method(StrEnum):
    """N:M training methods, by the name used on the command line."""

    DENSE = "dense"
    SRSTE = "srste"
    SDGP = "sdgp"
    SDWP = "sdwp"
    BDWP = "bdwp"

    @classmethod
    def parse(cls, text: str) -> Method:
        try:
            return cls(text.strip().lower().replace("-", ""))
        except ValueError:
            raise InputError(f"method {text!r}: one of {', '.join(m.value for m in cls)}") from None

    @property
    def sparse_passes(self) -> frozenset[Pass]:
        """Passes whose N:M operand this method prunes."""
        return _SPARSE[self]

    @property
    def prunes_gradients(self) -> bool:
        """Whether the N:M operand is the output gradient (known only at run time) instead of the weights."""
        return self is Method.SDGP


MethodName = Annotated[str, AfterValidator(lambda text: Method.parse(text).value)]
"""A method's name as a field of settings."""

_SPARSE = {
    Method.DENSE: frozenset[Pass](),
    Method.SRSTE: frozenset({Pass.FF}),
    Method.SDGP: frozenset({Pass.BP}),
    Method.SDWP: frozenset({Pass.BP}),
    Method.BDWP: frozenset({Pass.FF, Pass.BP}),
}


def dense_cause(
    name: str,
    in_channels: int,
    out_channels: int,
    method: Method,
    pattern: NM,
    skip: Collection[str] = (),
) -> str | None:
    """Why a layer stays dense in every pass, or None where ``method`` makes it N:M sparse.

    Groups of M run along the input channels in FF and along the output channels in BP, per convolution group; a layer
    whose channel count is no multiple of M stays dense (paper's practice for first layer and classifier), as do the
    layers named in ``skip``.
    """
    if method is Method.DENSE or pattern.is_dense:
        return "dense method"
    if name in skip:
        return "dense by name"
    m = pattern.m_group
    if Pass.FF in method.sparse_passes and in_channels % m:
        return f"dense by rule: {in_channels} input channels, no multiple of {m}"
    if Pass.BP in method.sparse_passes and out_channels % m:
        return f"dense by rule: {out_channels} output channels, no multiple of {m}"
    return None


def pass_pattern(method: Method, pattern: NM, pass_: Pass) -> NM:
    """The pattern of a pass's pruned operand in a layer that is not left dense."""
    return pattern if pass_ in method.sparse_passes else DENSE
