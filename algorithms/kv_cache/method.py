# SPDX-License-Identifier: Apache-2.0
"""What a method of a decoder's cache is: which keys and values stay, which are read, how wide they are.

Three families, by what a method defines:

- `CacheMethod.keep`: after a prompt, and after each further token, some leave for good (bytes and room fall);
- `CacheMethod.read`: before a token's attention, those that it reads are chosen anew (bytes fall, room does not);
- `CacheMethod.narrow`: after a prompt, channels of its keys leave.

Each says beside its choice what making it read and multiplied. A method is a frozen dataclass, its options the fields;
a user's own is one file and an entry point::

    [project.entry-points."hwsim.cache_methods"]
    mine = "my_package.mine:Mine"
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from algorithms.options import with_options
from dataflow.errors import InputError
from dataflow.registry import Registry, method_class

SCORE_BYTES = 4
"""Of a score that is kept beside a token (float32)."""


@dataclass(frozen=True)
class Seen:
    """What a method sees of one layer of one sequence.

    N tokens so far, of which every KV head holds some; Hq query heads, Hk KV heads that serve G = Hq / Hk each.
    """

    layer: int
    layers: int
    prompt: bool
    """Whether a prompt has been read just now, else one token."""
    q: Tensor
    """[Hq, rows, D]: the last queries; of a prompt as many as the method's ``window`` at least, if there are."""
    k: Tensor
    """[Hk, N, D], rotated where the model rotates."""
    v: Tensor
    """[Hk, N, D]."""
    held: Tensor
    """bool[Hk, N]."""
    p: Tensor
    """[Hq, rows, N]: probabilities of these queries; before a token's attention, none yet: [Hq, 0, N]."""
    mass: Tensor
    """[Hq, N]: sum of the probabilities of all queries of this walk (of the whole prompt, or of one token)."""
    memory: dict[str, Tensor] = field(default_factory=dict)
    """What the method itself keeps of this layer."""
    element_bytes: int = 2
    """Of a key's or value's channel."""

    @property
    def tokens(self) -> int:
        return self.k.shape[1]

    @property
    def group(self) -> int:
        """Query heads of a KV head."""
        return self.q.shape[0] // self.k.shape[0]

    @property
    def positions(self) -> Tensor:
        """int64[1, N]."""
        return torch.arange(self.tokens)[None]

    def by_kv_head(self, x: Tensor) -> Tensor:
        """x [Hq, ..] as [Hk, G, ..]."""
        found: Tensor = x.unflatten(0, (-1, self.group))
        return found

    def last(self, count: int) -> Tensor:
        """bool[1, N]: the last so many tokens."""
        return self.positions >= self.tokens - count


class Choice(NamedTuple):
    """What a method chose, and what choosing cost."""

    mask: Tensor
    """bool[Hk, N]; of what is read also [Hq, N]: each query head reads for itself, nothing is shared."""
    read_bytes: int = 0
    """Read for the choice alone."""
    macs: int = 0
    """For the choice alone; an addition counts as one."""


class Channels(NamedTuple):
    """Channels of a prompt's keys that stay."""

    mask: Tensor
    """bool[Hk, D]."""
    tokens: Tensor
    """bool[N]: the tokens whose keys are narrowed."""
    line: int
    """Bytes of a memory line at which each narrow key begins; 0: they lie one after the other."""
    read_bytes: int = 0
    macs: int = 0


@dataclass(frozen=True)
class CacheMethod(ABC):
    """A method with its options."""

    title: ClassVar[str]
    """In a few words."""
    source: ClassVar[str]
    """Publication."""
    trained: ClassVar[bool] = False
    """Whether it needs training that is not done here: its costs are right, what it chooses is not."""
    closes_up: ClassVar[bool] = False
    """Whether tokens that are held get the positions 0, 1, ..: keys are rotated anew."""

    @property
    def window(self) -> int:
        """Queries at a prompt's end that it looks at."""
        return 1

    def read(self, seen: Seen) -> Choice:
        """What a token reads, chosen before its attention."""
        return Choice(seen.held)

    def keep(self, seen: Seen) -> Choice:
        """What stays, chosen after a prompt's or a token's attention."""
        return Choice(seen.held)

    def narrow(self, seen: Seen) -> Channels | None:
        """Which channels of a prompt's keys stay, chosen after its attention; none: all."""
        return None


def best(scores: Tensor, seen: Seen, count: int, protected: Tensor | None = None) -> Tensor:
    """bool[Hk, N]: of each KV head's tokens ``protected`` ones and those of the largest scores, ``count`` in all.

    Args:
        scores: [Hk or 1, N]; of equal ones the first stay.
        protected: bool[Hk or 1, N].
    """
    scores = scores.expand(seen.held.shape).float()
    if protected is not None:
        scores = scores.masked_fill(protected, torch.inf)
    scores = scores.masked_fill(~seen.held, -torch.inf)
    order = scores.sort(dim=-1, descending=True, stable=True).indices[:, : max(count, 0)]
    return torch.zeros_like(seen.held).scatter_(1, order, True) & seen.held


def at_least(method: str, option: str, value: float, low: float, high: float = float("inf")) -> None:
    """Check an option's range.

    Raises:
        InputError: it is outside.
    """
    if not low <= value <= high:
        allowed = f"at least {low:g}" if high == float("inf") else f"{low:g} to {high:g}"
        raise InputError(f"cache method {method}: {option}={value:g}: must be {allowed}")


CACHE_METHODS: Registry[type[CacheMethod]] = Registry(
    "cache method",
    "hwsim.cache_methods",
    convert=method_class(CacheMethod, "cache method"),
    normal=lambda name: name.strip().lower(),
)
"""All methods of the cache by name."""


def cache_method(name: str, options: Mapping[str, Any] | None = None) -> CacheMethod:
    """A method by name, with options by the names of its fields.

    Raises:
        InputError: no such method or option, an option of another type or out of its range.
    """
    return with_options(CACHE_METHODS.get(name), f"cache method {name}", options)
