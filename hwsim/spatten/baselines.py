# SPDX-License-Identifier: Apache-2.0
"""What SpAtten is compared with, on the same multipliers, lanes, SRAMs, crossbars and memory: other styles of a head.

- dense: every token, head and value, no quantization beyond the multipliers' width.
- MNNFast (ISCA 2019): all of Q, K and V are fetched; values whose probability is below a threshold
  (`MNNFAST_THRESHOLD`) are not multiplied. No top-k.
- A3 (HPCA 2020): all of Q, K and V are fetched; keys sorted by each component (beforehand, not counted here) let a
  greedy search of `A3_SEARCH` x keys iterations find candidates: each iteration takes the largest remaining product of
  q's and a key's component and adds it to that key's score, and likewise the smallest; candidates are keys with a
  score above 0. They are multiplied exactly; of those whose weight is at least `A3_NEAR` times the largest one the
  softmax and the values are computed. One search an array of 64 multipliers, an iteration a cycle, as in A3.

Both work on the dense workload: neither prunes tokens or heads. Their accuracy is not looked at. Left out: A3's
sorting and what it stores; MNNFast's split of the softmax.

`ladder` takes a workload's techniques away and adds them again one by one.
Source: as named, from the SpAtten paper's descriptions; thresholds are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from dataflow.attention.demand import FLOAT_BITS
from dataflow.attention.workload import KV_HEAD, QUERIES, SEQUENCE, Workload
from dataflow.errors import InputError
from hwsim.core.kernels import kernel

from .config import SpattenConfig
from .timing.lower import Group, Style, Work, everything
from .timing.scores import Source
from .timing.topk import START_CYCLES

MNNFAST_THRESHOLD = 0.01
A3_SEARCH = 0.5
A3_NEAR = 0.05


class Dense(Style):
    """The dense datapath: every key and every value is multiplied."""

    def work(self, group: Group) -> Work:
        return everything(np.concatenate([head.seen() for head in group.heads]), group.head.keys, all_values=True)


class MnnFast(Style):
    """MNNFast: values of small probability are not multiplied."""

    def work(self, group: Group) -> Work:
        weights = group.weights(self.source)
        limit = MNNFAST_THRESHOLD * ((1 << self.config.probability_bits) - 1)
        keep = weights.probabilities >= limit
        none = np.zeros(len(weights.seen), np.int64)
        seen = weights.seen
        return Work(seen, seen, seen, keep.sum(axis=1), none + START_CYCLES, none, none > 0, keep, all_values=True)


class A3(Style):
    """A3: keys chosen by a greedy search, then those whose score is near the largest."""

    def work(self, group: Group) -> Work:
        if group.head.causal:
            raise InputError("A3: causal rows are not modelled: its candidates are searched among all keys")
        vectors = [self.source.vectors(head) for head in group.heads]
        q, k = np.concatenate([x[0] for x in vectors]), vectors[0][1]
        seen = np.full(len(q), len(k))
        order = np.argsort(k, axis=0, kind="stable").astype(np.int32)
        iterations = max(1, int(A3_SEARCH * len(k)))
        candidates, near = _a3(q, k, order, iterations, np.log(A3_NEAR) * np.sqrt(group.head.dimension))
        searches = max(1, self.config.qk_multipliers // 64)
        none = np.zeros(len(q), np.int64)
        keep = np.zeros((len(q), 0), np.bool_)
        cycles = none + -(-iterations // searches)
        return Work(seen, candidates, candidates, near, none + START_CYCLES, cycles, none > 0, keep,
                    selected=iterations * len(q), all_values=True)  # fmt: skip


@kernel
def _a3(
    q: np.ndarray, k: np.ndarray, order: np.ndarray, iterations: int, nearest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates and near ones of each query. ``nearest``: a score this much below the largest is near (negative)."""
    count, keys, dimension = len(q), k.shape[0], k.shape[1]
    candidates, near = np.zeros(count, np.int64), np.zeros(count, np.int64)
    score = np.empty(keys, np.float32)
    exact = np.empty(keys, np.float32)
    top, low = np.empty(dimension, np.int64), np.empty(dimension, np.int64)
    largest, smallest = np.empty(dimension, np.float32), np.empty(dimension, np.float32)
    for i in range(count):
        score[:] = 0
        for d in range(dimension):  # a column's largest product is at its end where q is positive, else at its start
            top[d], low[d] = (keys - 1, 0) if q[i, d] > 0 else (0, keys - 1)
            largest[d] = q[i, d] * k[order[top[d], d], d]
            smallest[d] = q[i, d] * k[order[low[d], d], d]
        for _ in range(iterations):
            d = int(np.argmax(largest))
            if largest[d] > 0:
                score[order[top[d], d]] += largest[d]
                top[d] += -1 if q[i, d] > 0 else 1
                done = top[d] < 0 or top[d] == keys
                largest[d] = -np.inf if done else q[i, d] * k[order[top[d], d], d]
            d = int(np.argmin(smallest))
            if smallest[d] < 0:
                score[order[low[d], d]] += smallest[d]
                low[d] += 1 if q[i, d] > 0 else -1
                done = low[d] < 0 or low[d] == keys
                smallest[d] = np.inf if done else q[i, d] * k[order[low[d], d], d]
        best = np.float32(-np.inf)
        for j in range(keys):
            if score[j] > 0:
                candidates[i] += 1
                exact[j] = 0
                for d in range(dimension):
                    exact[j] += q[i, d] * k[j, d]
                best = max(best, exact[j])
        for j in range(keys):
            if score[j] > 0 and exact[j] >= best + nearest:
                near[i] += 1
        if candidates[i] == 0:  # never nothing: the first key
            candidates[i] = near[i] = 1
    return candidates, near


DENSE, TOKENS, HEADS, VALUES, PARALLEL_TOPK, STATIC, PROGRESSIVE = (
    "dense datapath, 32-bit operands", "+ token pruning", "+ head pruning", "+ local value pruning",
    "+ parallel top-k", "+ static quantization", "+ progressive quantization",
)  # fmt: skip
"""Steps of the ablation, in its order. Quantization is over operands of 32 bits, as the paper counts; a workload
without it ends with operands as wide as the multipliers."""


class AblationStep(NamedTuple):
    """A step of the ablation: the techniques up to one."""

    name: str
    workload: Workload
    config: SpattenConfig
    dense: bool = False
    """Whether the dense datapath runs it."""


def heads_of(rows: pd.DataFrame) -> int:
    """Heads of the model that rows are of, as far as they say."""
    return int(rows["head_id"].max()) + 1


def without(
    workload: Workload, *, tokens: bool = False, heads: bool = False, values: bool = False, quantization: str = "full"
) -> Workload:
    """A workload with techniques taken away.

    Args:
        tokens: every token is a key, and of an encoder a query, in every layer.
        heads: every head is there in every layer.
        values: every key's value is multiplied.
        quantization: "float": 32 bits in the memory; "none": as wide as the multipliers; "static": both planes' bits,
            always; "full": as it is.
    """
    rows = workload.rows
    if heads:
        rows = _all_heads(rows)
    rows = rows.copy()
    if tokens:
        share = rows["value_fetch_num"] / rows["key_fetch_num"].clip(lower=1)
        rows["key_fetch_num"] = rows["sentence_length_L"]
        rows["value_fetch_num"] = np.floor(share * rows["key_fetch_num"] + 1e-9).astype(np.int64)
        own = [name for name in (SEQUENCE,) if name in rows]
        first = rows.groupby(["iteration_id", "layer_id", *own, "head_id"])[QUERIES].transform("sum")
        most = first.groupby([rows["iteration_id"], *(rows[name] for name in own)]).transform("max")
        one = ~rows.duplicated(["iteration_id", "layer_id", *own, "head_id"])
        rows[QUERIES] += np.where(one, most - first, 0)
        rows["if_topk"], rows["topk"] = False, -1
    if values:
        rows["value_fetch_num"] = rows["key_fetch_num"]
    if quantization != "full":
        extra = rows["auto_requant_incre"].where(rows["quant_key_bit"] > 0, 0)
        for name in ("key", "query", "value"):
            column = f"quant_{name}_bit"
            static = rows[column].where(rows[column] < 0, rows[column] + (extra if name == "key" else 0))
            rows[column] = {"float": FLOAT_BITS, "none": -1}.get(quantization, static)
        rows["if_requant"], rows["auto_requant_incre"], rows["auto_requant_thres"] = False, 0, 0.0
    return Workload(workload.name, rows.reset_index(drop=True))


def _all_heads(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with every head in every layer: one that left does what the first head of its layer does."""
    count = heads_of(rows)
    pieces = []
    own = [name for name in (SEQUENCE,) if name in rows]
    for _, layer in rows.groupby(["iteration_id", "layer_id", *own], sort=False):
        missing = sorted(set(range(count)) - set(layer["head_id"]))
        model = layer[layer["head_id"] == layer["head_id"].iloc[0]]
        added = [model.assign(head_id=head, if_topk=False, topk=-1, **_kv_head(rows, head)) for head in missing]
        pieces.append(pd.concat([*added, layer]).sort_values("head_id", kind="stable") if added else layer)
    found: pd.DataFrame = pd.concat(pieces, ignore_index=True)
    return found


def _kv_head(rows: pd.DataFrame, head: int) -> dict[str, int]:
    """The KV head of a head that left a layer, as a column: that of the same head elsewhere."""
    if KV_HEAD not in rows:
        return {}
    nearest = int(np.argmin(np.abs(rows["head_id"].to_numpy() - head)))
    return {KV_HEAD: int(rows[KV_HEAD].iloc[nearest])}


def dense_of(workload: Workload, quantization: str = "none") -> Workload:
    """The same model and sequence without any technique; ``quantization``: "none" or "float", as in `without`."""
    return without(workload, tokens=True, heads=True, values=True, quantization=quantization)


def ladder(workload: Workload, config: SpattenConfig) -> list[AblationStep]:
    """The paper's ablation: the dense datapath, then one technique more in each step."""
    serial = config.changed(topk_parallel=1)
    tokens = without(workload, heads=True, values=True, quantization="float")
    heads = without(workload, values=True, quantization="float")
    values = without(workload, quantization="float")
    techniques = [
        AblationStep(DENSE, dense_of(workload, "float"), config, dense=True),
        AblationStep(TOKENS, tokens, serial),
        AblationStep(HEADS, heads, serial),
        AblationStep(VALUES, values, serial),
        AblationStep(PARALLEL_TOPK, values, config),
    ]
    if not (workload.rows["quant_key_bit"] > 0).any():
        return [*techniques, AblationStep(f"+ operands of {config.operand_bits} bits", workload, config)]
    techniques.append(AblationStep(STATIC, without(workload, quantization="static"), config))
    if workload.rows["if_requant"].any() or (workload.rows["auto_requant_incre"] > 0).any():
        techniques.append(AblationStep(PROGRESSIVE, workload, config))
    return techniques


STYLES: dict[str, type[Style]] = {"SpAtten": Style, "dense": Dense, "MNNFast": MnnFast, "A3": A3}


def style(name: str, config: SpattenConfig, source: Source) -> Style:
    """A style by name."""
    return STYLES[name](config, source)
