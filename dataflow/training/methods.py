# SPDX-License-Identifier: Apache-2.0
"""N:M training methods: what each one prunes in which pass. One object a method, shared by torch and the simulator.

A training step of a layer has three matrix products: FF (forward), BP (gradient of the input) and WU (gradient of the
weights). A method says which of FF and BP have an N:M sparse operand, and what that operand is. WU is dense in all.

Five methods are here; an installed package adds one by an entry point of the group ``hwsim.training_methods``, a script
by ``METHODS.add("mine", Method("mine", ...))``. It can then be simulated, trained and swept by its name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from ..errors import InputError
from ..pattern import DENSE, NM
from ..registry import Registry


class Pass(StrEnum):
    """The three matrix products of a training step of one layer."""

    FF = "FF"
    BP = "BP"
    WU = "WU"


@dataclass(frozen=True)
class Method:
    """An N:M training method.

    Raises:
        InputError: WU among the sparse passes, or output gradients pruned in a method whose BP is dense.
    """

    name: str
    """Name on the command line, lower case."""
    title: str
    """Name for lists and pages, one line."""
    sparse_passes: frozenset[Pass]
    """Passes with an N:M operand: FF, BP, both or none."""
    bp_operand: Literal["weights", "gradients"] = "weights"
    """What is pruned in a sparse BP: the weights, or the output gradients (known only at run time)."""
    bp_uses_ff_mask: bool = False
    """BP multiplies by the weights as FF pruned them: the groups do not run along BP's reduction, so it is no N:M
    product."""
    pruned_weight_decay: float = 0.0
    """Pulls weights that FF pruned towards 0: this times the weight is added to their gradient."""
    source: str = ""
    """Publication."""
    torch_rule: str | None = None
    """``"module:Class"``, a subclass of `algorithms.training.nm_training.NMRule`, where the fields above do not say all
    of what a layer computes; none: they do."""

    DENSE: ClassVar[Method]
    SRSTE: ClassVar[Method]
    SDGP: ClassVar[Method]
    SDWP: ClassVar[Method]
    BDWP: ClassVar[Method]
    MASKED: ClassVar[Method]

    def __post_init__(self) -> None:
        if Pass.WU in self.sparse_passes:
            raise InputError(f"training method {self.name!r}: sparse_passes: WU is dense in every method")
        if self.bp_operand == "gradients" and Pass.BP not in self.sparse_passes:
            raise InputError(f"training method {self.name!r}: bp_operand: gradients, but BP is no sparse pass")

    def __str__(self) -> str:
        return self.name

    @classmethod
    def parse(cls, text: str) -> Method:
        """The method of a name; case, ``-`` and ``_`` do not matter.

        Raises:
            InputError: no such method; lists those there are.
        """
        return METHODS.get(text)

    @property
    def is_dense(self) -> bool:
        """Whether no pass is sparse."""
        return not self.sparse_passes

    @property
    def prunes_gradients(self) -> bool:
        """Whether BP's N:M operand is the output gradient instead of the weights."""
        return self.bp_operand == "gradients"

    def pattern_of(self, pass_: Pass, pattern: NM) -> NM:
        """The pattern of a pass's pruned operand in a layer that is not left dense."""
        return pattern if pass_ in self.sparse_passes else DENSE

    def dense_cause(
        self, name: str, in_channels: int, out_channels: int, pattern: NM, skip: Collection[str] = ()
    ) -> str | None:
        """Why a layer stays dense in every pass, or None where this method makes it N:M sparse.

        Groups of M run along the input channels in FF and along the output channels in BP, per convolution group; a
        layer whose channel count is no multiple of M stays dense (paper's practice for first layer and classifier), as
        do the layers named in ``skip``.
        """
        if self.is_dense or pattern.is_dense:
            return "dense method"
        if name in skip:
            return "dense by name"
        m = pattern.m_group
        if Pass.FF in self.sparse_passes and in_channels % m:
            return f"dense by rule: {in_channels} input channels, no multiple of {m}"
        if Pass.BP in self.sparse_passes and out_channels % m:
            return f"dense by rule: {out_channels} output channels, no multiple of {m}"
        return None


def _normal(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "")


def _method(name: str, thing: Any) -> Method:
    if not isinstance(thing, Method):
        raise TypeError(f"expected a {Method.__module__}.Method, found {type(thing).__name__}")
    if _normal(thing.name) != name:
        raise ValueError(f"its field name is {thing.name!r}")
    return thing


METHODS: Registry[Method] = Registry("method", "hwsim.training_methods", convert=_method, normal=_normal)
"""All training methods by name."""

_SAT = "SAT / BDWP paper, sections 2 and 3"

Method.DENSE = Method("dense", "dense training", frozenset(), source=_SAT)
Method.SRSTE = Method(
    "srste", "SR-STE: weights pruned in FF, pruned ones pulled towards 0", frozenset({Pass.FF}),
    bp_uses_ff_mask=True, pruned_weight_decay=2e-4, source="A. Zhou et al., arXiv 2102.04010 (decay: section 4)",
)  # fmt: skip
Method.SDGP = Method(
    "sdgp", "SDGP: output gradients pruned in BP", frozenset({Pass.BP}), bp_operand="gradients", source=_SAT
)
Method.SDWP = Method("sdwp", "SDWP: weights pruned in BP", frozenset({Pass.BP}), source=_SAT)
Method.BDWP = Method("bdwp", "BDWP: weights pruned in FF and in BP", frozenset({Pass.FF, Pass.BP}), source=_SAT)

PAPER_METHODS = (Method.DENSE, Method.SRSTE, Method.SDGP, Method.SDWP, Method.BDWP)
"""The methods that the SAT paper compares."""
for _own in PAPER_METHODS:
    METHODS.add(_own.name, _own)

Method.MASKED = Method(
    "masked", "weights pruned before, their mask kept: in FF, and as it is in BP", frozenset({Pass.FF}),
    bp_uses_ff_mask=True, torch_rule="algorithms.pruning.held:HeldMask",
)  # fmt: skip
"""Of a pruned model: nothing is chosen in a step. Not of the paper."""
METHODS.add(Method.MASKED.name, Method.MASKED)

METHOD_HELP = f"training method: {', '.join(m.name for m in PAPER_METHODS)}, or one that an installed package adds"

MethodName = Annotated[str, AfterValidator(lambda text: Method.parse(text).name)]
"""A method's name as a field of settings."""
