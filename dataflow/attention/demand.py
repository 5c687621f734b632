# SPDX-License-Identifier: Apache-2.0
"""What a workload asks of any machine, from its rows alone: multiplies and bytes, without a machine's rounding.

A lower bound on cycles is the larger of multiplies over multipliers and bytes over bandwidth, of any machine that keeps
the same keys, values and bits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .workload import CAUSAL, KV_HEAD, OPERAND_BITS, QUERIES, SEQUENCE

FLOAT_BITS = 32


def demand(rows: pd.DataFrame, operand_bits: int = OPERAND_BITS) -> pd.DataFrame:
    """A row an iteration; sums over it are the workload's.

    Args:
        rows: of a workload, as it is run (`dataflow.attention.workload.as_run`).
        operand_bits: of an operand of -1 bits.

    Returns:
        ``qk_multiplies``, ``pv_multiplies``: of each query with its keys, and with its values.
        ``again_multiplies``: Q x K once more, of queries that are computed again with LSBs.
        ``query_bytes``, ``key_bytes``, ``lsb_bytes``, ``value_bytes``: packed to their bits. Rows of a KV head
        (of a head, where none is named) with the same keys that follow each other share keys, their LSBs, and the
        values of the one with the most.
        ``dense_multiplies``, ``dense_bytes``: of the same model and sentence without any technique, 32 bits an operand.
    """
    own = [name for name in (SEQUENCE, KV_HEAD) if name in rows]
    head = ["iteration_id", "layer_id", "head_id", "key_fetch_num"]
    head = [*own, *(name for name in head if name != "head_id" or KV_HEAD not in rows)]
    first = (rows[head] != rows[head].shift()).any(axis=1)
    group = first.cumsum()
    size, queries = rows["embedding_length_D"], rows[QUERIES]
    keys, values = rows["key_fetch_num"], rows["value_fetch_num"]
    bits = {
        name: rows[f"quant_{name}_bit"].where(rows[f"quant_{name}_bit"] > 0, operand_bits)
        for name in ("query", "key", "value")
    }
    again = rows["if_requant"] & (keys > 0)
    products, weighted = queries * keys, queries * values
    if CAUSAL in rows:  # of n queries all but the last see 1 to n - 1 keys less; they multiply values that they see
        causal = rows[CAUSAL] & (keys > 0)
        fewer = (queries - (keys - values)).clip(lower=0)
        products = products - (queries * (queries - 1) // 2).where(causal, 0)
        weighted = weighted - (fewer * (fewer - 1) // 2).where(causal, 0)
    lsb = rows["auto_requant_incre"].clip(lower=0)
    found = pd.DataFrame({"iteration_id": rows["iteration_id"]})
    found["qk_multiplies"] = products * size
    found["again_multiplies"] = (products * size).where(again, 0)
    found["pv_multiplies"] = weighted * size
    found["query_bytes"] = (queries * size * bits["query"]).where(keys > 0, 0) / 8
    found["key_bytes"] = (keys * size * bits["key"]).where(first, 0) / 8
    found["lsb_bytes"] = (keys * size * lsb).where(first & again.groupby(group).transform("any"), 0) / 8
    found["value_bytes"] = (values.groupby(group).transform("max") * size * bits["value"]).where(first, 0) / 8
    sums = found.groupby("iteration_id", sort=False).sum()
    return sums.join(_dense(rows))


def _dense(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each iteration: every head of every layer that any iteration has, every token as key, value and query."""
    own = KV_HEAD if KV_HEAD in rows else "head_id"
    places = rows[list(dict.fromkeys(["layer_id", "head_id", own]))].nunique()
    heads, kv_heads = (int(places["layer_id"] * places[name]) for name in ("head_id", own))
    sequence = ["iteration_id", *(name for name in (SEQUENCE,) if name in rows)]
    by_head = rows.groupby([*sequence, "layer_id", "head_id"])[QUERIES].sum()
    queries = by_head.groupby(sequence).max()
    length = rows.groupby(sequence)["sentence_length_L"].max()
    size = rows.groupby(sequence)["embedding_length_D"].max()
    found = pd.DataFrame({
        "dense_multiplies": heads * 2 * queries * length * size,
        "dense_bytes": (heads * queries + 2 * kv_heads * length) * size * np.float64(FLOAT_BITS / 8),
    })  # fmt: skip
    return found.groupby(level="iteration_id").sum()
