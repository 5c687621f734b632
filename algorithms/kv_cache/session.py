# SPDX-License-Identifier: Apache-2.0
"""A sequence whose layers keep or read a part of their keys and values, as a `CacheMethod` says.

A prompt is read whole, its attention dense; then tokens follow one by one. What left a layer's cache is masked: the
tensors stay whole, so that one prompt can be gone on with under many methods (`CacheSession.under`). A token's own key
and value are there when it attends, so a method that keeps B tokens has B + 1 read in a step.

Counted are reads of a step: of what was chosen, and of what choosing took. What is written (a token's key and value, a
method's scores and bounds) is not, nor are exponentials.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from algorithms.attention.pieces import Scoring, probabilities
from dataflow.errors import InputError

from .method import CacheMethod, Channels, Seen
from .rotation import Rotation


@dataclass(slots=True)
class Counts:
    """What one layer, or more, read and multiplied."""

    selection_bytes: int = 0
    selection_macs: int = 0
    kv_bytes: int = 0
    kv_macs: int = 0

    def add(self, other: Counts) -> None:
        """Sum up."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))


@dataclass(slots=True)
class CacheStep:
    """One layer in a token's walk."""

    iteration: int
    """0: the first token behind the prompt."""
    layer: int
    position: int
    read: Tensor
    """bool[Hk or Hq, N]: the tokens that were read, a row a KV head, or a query head where each reads for itself."""
    counts: Counts
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Where they are recorded, float32: p [Hq, N], q [Hq, D], k and v [Hk, N, D] (as multiplied), e [Hq, D]."""


@dataclass(slots=True)
class _Layer:
    """A layer's cache."""

    held: Tensor
    memory: dict[str, Tensor] = field(default_factory=dict)
    channels: Channels | None = None

    def grow(self, tokens: int) -> None:
        """New tokens are held by every KV head."""
        heads, before = self.held.shape
        self.held = torch.cat([self.held, torch.ones(heads, tokens - before, dtype=torch.bool)], 1)


@dataclass(slots=True)
class CacheSession:
    """One sequence.

    Attributes:
        window: queries at the prompt's end that are kept for a method (`under`); at least its own.
        record: keep every tensor of every step.
        element_bytes: of a key's or value's channel in memory.
    """

    method: CacheMethod
    layers: int
    heads: int
    rotation: Rotation | None = None
    window: int = 0
    record: bool = False
    element_bytes: int = 2
    iteration: int = 0
    length: int = 0
    walked: int = 0
    alive: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    held: list[Tensor] = field(init=False)
    steps: list[CacheStep] = field(default_factory=list)
    prompt: Counts = field(default_factory=Counts)
    """What choosing took at the prompt's end, all layers."""
    _caches: list[_Layer] = field(default_factory=list)
    _prompts: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held = [torch.zeros(0, dtype=torch.int64) for _ in range(self.layers)]
        self.window = max(self.window, self.method.window)

    def begin(self, new: int) -> Tensor:
        """A walk begins with ``new`` more tokens: their positions.

        Raises:
            InputError: more than one behind the prompt.
        """
        if self.length:
            self.iteration += 1
            if new > 1:
                raise InputError(f"cache: {new} tokens together behind a prompt: give them one by one")
        first, self.length, self.walked = self.length, self.length + new, 0
        self.alive = torch.arange(self.length)
        return torch.arange(first, self.length)

    def prune_tokens(self, layer: int, new: Tensor, newest: int) -> Tensor:
        """No token leaves the layers' inputs."""
        return self.alive

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, scoring: Scoring, seen: Tensor, queries: Tensor,
        keys: Tensor,
    ) -> Tensor:  # fmt: skip
        """Attention over what the method reads; then it chooses what stays.

        Args:
            q: [Hq, rows, D]; k, v: [Hk, N, D].
            seen: bool[rows, N], which keys the model lets a query see.
            queries, keys: int64 positions.

        Returns:
            [Hq, rows, D].

        Raises:
            InputError: an encoder; a model whose cache does not hold every token.
        """
        if len(keys) != self.length:
            raise InputError("cache: the model's own cache does not hold every token (a sliding window)")
        if len(queries) > 1 and bool(seen[0, -1]):
            raise InputError("cache: an encoder keeps no cache: its tokens see later ones")
        self.held[layer], self.walked = self.alive, self.walked + 1
        if self.iteration == 0:
            return self._read_prompt(layer, q, k, v, scoring, seen)
        return self._read_token(layer, q, k, v, scoring, seen)

    def _read_prompt(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scoring: Scoring, visible: Tensor) -> Tensor:
        group = q.shape[0] // k.shape[0]
        p = probabilities(q, k.repeat_interleave(group, 0), scoring, visible)
        rows = min(self.window, q.shape[1])
        self._caches.append(_Layer(torch.zeros(k.shape[0], 0, dtype=torch.bool)))
        self._caches[layer].grow(self.length)
        told = Seen(
            layer, self.layers, True, q[:, q.shape[1] - rows :], k, v, self._caches[layer].held,
            p[:, p.shape[1] - rows :].clone(), p.sum(1), self._caches[layer].memory, self.element_bytes,
        )  # fmt: skip
        self._prompts.append(told)
        self._choose(told)
        return (p.to(v.dtype) @ v.repeat_interleave(group, 0)).to(q.dtype)

    def _choose(self, told: Seen) -> None:
        """What stays after a prompt's layer."""
        cache = self._caches[told.layer]
        chosen = self.method.keep(told)
        cache.held, cache.channels = chosen.mask, self.method.narrow(told)
        self.prompt.add(Counts(chosen.read_bytes, chosen.macs))
        if cache.channels is not None:
            self.prompt.add(Counts(cache.channels.read_bytes, cache.channels.macs))

    def _read_token(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scoring: Scoring, visible: Tensor) -> Tensor:
        cache = self._caches[layer]
        cache.grow(self.length)
        group = q.shape[0] // k.shape[0]
        nothing = torch.zeros(q.shape[0], 0, self.length)
        told = Seen(
            layer, self.layers, False, q, k, v, cache.held, nothing, nothing.sum(1), cache.memory, self.element_bytes
        )
        choice = self.method.read(told)
        read = choice.mask & visible[0]
        counts = Counts(choice.read_bytes, choice.macs)
        if self.method.closes_up:
            q, k = self._closed_up(q, k, read, counts)
        k = _narrowed(k, cache.channels)
        mask = read if len(read) == len(q) else read.repeat_interleave(group, 0)
        p = probabilities(q, k.repeat_interleave(group, 0), scoring, mask[:, None])
        e = p.to(v.dtype) @ v.repeat_interleave(group, 0)
        self._count(counts, read, cache.channels, group, k.shape[2])
        after = self.method.keep(replace(told, p=p, mass=p[:, 0]))
        cache.held = after.mask
        counts.add(Counts(after.read_bytes, after.macs))
        step = CacheStep(self.iteration - 1, layer, self.length - 1, read, counts)
        if self.record:
            named = {"p": p[:, 0], "q": q[:, 0], "k": k, "v": v, "e": e[:, 0]}
            step.tensors = {name: t.float() for name, t in named.items()}
        self.steps.append(step)
        return e.to(q.dtype)

    def _closed_up(self, q: Tensor, k: Tensor, read: Tensor, counts: Counts) -> tuple[Tensor, Tensor]:
        """Query and keys rotated as if what is read stood at 0, 1, .."""
        if bool(read.all()):
            return q, k
        if self.rotation is None:
            raise InputError("cache: the model has no rotary positions that could be closed up")
        places = read.cumsum(1) - 1
        group = q.shape[0] // k.shape[0]
        counts.selection_macs += 2 * int(read.sum()) * k.shape[2]
        k = self.rotation.turned(k, (places - torch.arange(self.length)).masked_fill(~read, 0))
        by = (places[:, -1:] - (self.length - 1)).repeat_interleave(group, 0)
        return self.rotation.turned(q, by), k

    def _count(self, counts: Counts, read: Tensor, channels: Channels | None, group: int, d: int) -> None:
        """Reads and multiplies of the attention itself."""
        heads, b = len(self._caches[0].held), self.element_bytes
        per = group if len(read) == heads else 1  # query heads that a read serves
        counts.kv_bytes += 2 * int(read.sum()) * d * b
        counts.kv_macs += 2 * int(read.sum()) * per * d
        if channels is None:
            return
        width = channels.mask.sum(1)
        size = width * b
        if channels.line:
            size = torch.minimum(-(-size // channels.line) * channels.line, torch.tensor(d * b))
        narrow = (read[:, : len(channels.tokens)] & channels.tokens).sum(1).unflatten(0, (heads, -1)).sum(1)
        counts.kv_bytes -= int((narrow * (d * b - size)).sum())
        counts.kv_macs -= int((narrow * per * (d - width)).sum())
        counts.selection_bytes += -(-d // 8) * heads  # the masks

    def under(self, method: CacheMethod) -> CacheSession:
        """A new session that goes on from this one's prompt under another method.

        Raises:
            InputError: the method looks at more of the prompt than was kept.
        """
        rows = self._prompts[0].q.shape[1]
        if method.window > rows and rows < self._prompts[0].tokens:
            raise InputError(f"cache: the prompt was kept for windows of {rows} queries, {method.window} are wanted")
        found = replace(
            self, method=method, iteration=0, steps=[], prompt=Counts(), _caches=[], _prompts=self._prompts,
            length=self._prompts[0].tokens, walked=0,
        )  # fmt: skip
        found.held = [torch.arange(found.length) for _ in range(self.layers)]
        for told in self._prompts:
            cache = _Layer(torch.ones_like(told.held))
            found._caches.append(cache)
            found._choose(replace(told, held=cache.held, memory=cache.memory))
        return found

    @property
    def narrow(self) -> bool:
        """Whether keys of a layer have lost channels."""
        return any(cache.channels is not None for cache in self._caches)

    def total(self) -> Counts:
        """Of all steps."""
        found = Counts()
        for step in self.steps:
            found.add(step.counts)
        return found


def _narrowed(k: Tensor, channels: Channels | None) -> Tensor:
    """Keys [Hk, N, D] with 0 in the channels that left."""
    if channels is None:
        return k
    n = len(channels.tokens)
    gone = channels.tokens[:, None] & ~channels.mask[:, None]
    return torch.cat([k[:, :n].masked_fill(gone, 0.0), k[:, n:]], 1)


def facts(method: CacheMethod, name: str) -> dict[str, Any]:
    """A method as it is stored."""
    return {"method": name, "options": {f.name: getattr(method, f.name) for f in fields(method)}}
