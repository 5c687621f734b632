# SPDX-License-Identifier: Apache-2.0
"""Where importance and probabilities come from: drawn from a stated distribution, or a trace's.

Synthetic (`SyntheticScores`): drawn from one seed, independent of how a workload is cut into pieces:

- a token's importance is exponentially distributed and stays with it over layers, heads and iterations, so that sets
  of kept tokens are nested as a cascade's are. The newest token is always kept. Where tokens are kept by pages, a
  page is as important as its best token.
- a query's scores are normally distributed with standard deviation ``spread``, independent of each other; their softmax
  is requantized. (Measured on MiniLM over 20 docstrings: 1.2 to 2.5 by layer, mean 1.9.) Where vectors are needed (A3),
  q and the keys are normal, so that q k / sqrt(D) has that deviation.

Recorded (`RecordedScores`): kept tokens, probabilities and vectors of a trace folder (`dataflow.attention.trace`); a
query sees the keys up to the last one that has a probability.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from dataflow.attention.pruning import top_k
from dataflow.attention.trace import keys_of, tensors_of
from dataflow.errors import InputError
from hwsim.core.kernels import kernel

from .topk import ordered_key


class Head(NamedTuple):
    """One head of a layer, as a source is asked for it."""

    iteration: int
    layer: int
    head: int
    length: int
    """Tokens of the sequence."""
    keys: int
    """Those that are alive."""
    queries: int
    dimension: int
    causal: bool = False
    """Its queries are those of the last keys, and see the keys up to their own; else they see all."""
    sequence: int = 0
    """Of a batch."""

    def seen(self) -> np.ndarray:
        """int64[queries]: a query sees this many keys, from the first on."""
        return self.keys - np.arange(self.queries)[::-1] * self.causal


class Weights(NamedTuple):
    """What a source says of a head's queries."""

    probabilities: np.ndarray
    """uint32[queries, keys], requantized; 0 where a key is not seen."""
    seen: np.ndarray
    """int64[queries]: a query sees this many keys, from the first on."""
    again: np.ndarray | None = None
    """bool[queries]: computed again with LSBs; none: as many as the workload says."""


class Source(Protocol):
    """Importance and probabilities of a run."""

    of_heads: bool
    """Whether KV heads of a layer may have different keys."""

    def tokens(self, iteration: int, layer: int, length: int, keys: int, kv_head: int = 0) -> np.ndarray:
        """int64[keys], ascending: positions of a layer's keys, of those of a KV head."""

    def importance(self, iteration: int, layer: int, tokens: np.ndarray) -> np.ndarray:
        """uint32[keys]: what the top-k at the layer's end compares."""

    def head_importance(self, iteration: int, layer: int, heads: int) -> np.ndarray:
        """uint32[heads]: what the top-k over heads compares."""

    def seen(self, head: Head) -> np.ndarray:
        """int64[queries]: keys that each query sees, from the first on."""

    def weights(self, head: Head) -> Weights: ...

    def vectors(self, head: Head) -> tuple[np.ndarray, np.ndarray]:
        """float32 q [queries, D] and k [keys, D], q k / sqrt(D) being the scores."""


class SyntheticScores:
    """See the module's text."""

    of_heads = False

    def __init__(self, seed: int, spread: float, bits: int, page: int = 1, sinks: int | None = None) -> None:
        """``page``: tokens are kept by pages of so many. ``sinks``: kept are so many first tokens, and the newest."""
        self.seed, self.spread, self.bits, self.page, self.sinks = seed, spread, bits, page, sinks
        self._importance = np.zeros(0, np.float32)
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    def tokens(self, iteration: int, layer: int, length: int, keys: int, kv_head: int = 0) -> np.ndarray:
        if keys == length:
            return np.arange(length)
        if self.sinks is not None:
            first = min(self.sinks, keys - 1)
            return np.concatenate([np.arange(first), np.arange(length - keys + first, length)])
        found = self._kept.get((length, keys))
        if found is None:
            scores = self._scores(length).copy()
            scores[-1] = np.inf
            found = self._kept[length, keys] = top_k(scores, keys) if self.page == 1 else self._pages(scores, keys)
            if len(self._kept) > 64:
                del self._kept[next(iter(self._kept))]
        return found

    def _pages(self, scores: np.ndarray, keys: int) -> np.ndarray:
        """Tokens of the best pages, the last one among them; of the least of the others only as many as are left."""
        starts = np.arange(0, len(scores), self.page)
        best = np.argsort(-np.maximum.reduceat(scores, starts), kind="stable")
        chosen = np.concatenate([np.arange(starts[p], min(starts[p] + self.page, len(scores))) for p in best])
        return np.sort(chosen[:keys])

    def importance(self, iteration: int, layer: int, tokens: np.ndarray) -> np.ndarray:
        return ordered_key(self._scores(int(tokens[-1]) + 1)[tokens])

    def head_importance(self, iteration: int, layer: int, heads: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, iteration, layer))
        return ordered_key(rng.exponential(size=heads).astype(np.float32))

    def _scores(self, length: int) -> np.ndarray:
        if len(self._importance) < length:
            size = max(1024, 1 << (length - 1).bit_length())
            self._importance = np.random.default_rng(self.seed).exponential(size=size).astype(np.float32)
        return self._importance[:length]

    def _rng(self, head: Head) -> np.random.Generator:
        batch = (head.sequence,) if head.sequence else ()
        return np.random.default_rng((self.seed, head.iteration, head.layer, head.head, *batch))

    def seen(self, head: Head) -> np.ndarray:
        return head.seen()

    def weights(self, head: Head) -> Weights:
        scores, seen = self._rng(head).standard_normal((head.queries, head.keys), np.float32), head.seen()
        return Weights(_requantized(scores, seen, np.float32(self.spread), (1 << self.bits) - 1), seen)

    def vectors(self, head: Head) -> tuple[np.ndarray, np.ndarray]:
        rng = self._rng(head)
        k = rng.standard_normal((head.keys, head.dimension), np.float32)
        return rng.standard_normal((head.queries, head.dimension), np.float32) * np.float32(self.spread), k


class RecordedScores:
    """See the module's text."""

    def __init__(self, steps: list[dict[str, Any]], bits: int, where: str) -> None:
        self.bits, self.where = bits, where
        self._steps = {(int(s["iteration"]), int(s["layer"])): s for s in steps}
        self.of_heads = any("key_offsets" in s for s in steps)
        self._importance: dict[tuple[int, int], np.ndarray] = {}
        total = np.zeros(0, np.float32)  # by position, over all steps so far
        for place, step in self._steps.items():
            if "p" in step and "key_offsets" not in step:
                size = int(step["keys"].max(initial=-1)) + 1
                total = np.concatenate([total, np.zeros(max(size - len(total), 0), np.float32)])
                total[step["keys"]] += step["p"].sum(axis=(0, 1), dtype=np.float32)
                self._importance[place] = total[step["keys"]]

    def _step(self, iteration: int, layer: int) -> dict[str, Any]:
        try:
            step = self._steps[iteration, layer]
        except KeyError:
            raise InputError(f"{self.where}: no step of iteration {iteration}, layer {layer}") from None
        if "p" not in step:
            raise InputError(f"{self.where}: iteration {iteration}, layer {layer}: no probabilities were recorded")
        return step

    def _row(self, head: Head) -> tuple[dict[str, Any], int]:
        step = self._step(head.iteration, head.layer)
        at = np.flatnonzero(step["heads"] == head.head)
        expected = (head.queries, head.keys)
        found = tensors_of(step, int(at[0]), ("p",))["p"].shape if len(at) == 1 else step["p"].shape[1:]
        if len(at) != 1 or found != expected:
            where = f"{self.where}: iteration {head.iteration}, layer {head.layer}, head {head.head}"
            raise InputError(f"{where}: the tensors are of {found}, the workload says {expected}")
        return step, int(at[0])

    def tokens(self, iteration: int, layer: int, length: int, keys: int, kv_head: int = 0) -> np.ndarray:
        found = keys_of(self._step(iteration, layer), kv_head)
        if len(found) != keys:
            raise InputError(f"{self.where}: iteration {iteration}, layer {layer}: {len(found)} keys, not {keys}")
        return found

    def importance(self, iteration: int, layer: int, tokens: np.ndarray) -> np.ndarray:
        if "key_offsets" in self._step(iteration, layer):
            where = f"{self.where}: iteration {iteration}, layer {layer}"
            raise InputError(f"{where}: a top-k over tokens, where KV heads have different ones")
        return ordered_key(self._importance[iteration, layer])

    def head_importance(self, iteration: int, layer: int, heads: int) -> np.ndarray:
        step = self._step(iteration, layer)
        found = np.abs(step["e"]).sum(axis=(1, 2), dtype=np.float32)
        return ordered_key(found)

    def seen(self, head: Head) -> np.ndarray:
        step, at = self._row(head)
        reverse = (tensors_of(step, at, ("p",))["p"] > 0)[:, ::-1]
        return np.where(reverse.any(axis=1), head.keys - reverse.argmax(axis=1), 1)

    def weights(self, head: Head) -> Weights:
        step, at = self._row(head)
        p, seen = tensors_of(step, at, ("p",))["p"], self.seen(head)
        return Weights(np.rint(p * ((1 << self.bits) - 1)).astype(np.uint32), seen, step["again"][at])

    def vectors(self, head: Head) -> tuple[np.ndarray, np.ndarray]:
        step, at = self._row(head)
        found = tensors_of(step, at, ("q", "k"))
        return found["q"], found["k"]


@kernel
def _requantized(scores: np.ndarray, seen: np.ndarray, spread: np.float32, top: int) -> np.ndarray:
    """Rows of normal scores, as many of each as are seen, to integer probabilities."""
    out = np.zeros(scores.shape, np.uint32)
    for i in range(scores.shape[0]):
        largest = np.float32(-np.inf)
        for j in range(seen[i]):
            largest = max(largest, scores[i, j])
        total = np.float32(0)
        for j in range(seen[i]):
            scores[i, j] = np.exp((scores[i, j] - largest) * spread)
            total += scores[i, j]
        scale = np.float32(top) / total
        for j in range(seen[i]):
            out[i, j] = np.uint32(np.rint(scores[i, j] * scale))
    return out
