# SPDX-License-Identifier: Apache-2.0
"""What is timed: one layer's attention in a step of a server, and one step of all other layers; each a simulation.

A step has a prompt's chunk of c tokens, whose p earlier tokens are in the cache, and n sequences that generate a token,
each with k tokens in the cache. Attention: the heads of one layer, the sequences first; a chunk's queries are causal
and see p + c keys, a generated token's query sees k. The other layers: the decode of so many tokens by a model of one
block, of which each layer is read off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from dataflow.attention.workload import LONGEST, Sequence, Transformer, Workload, step_workload
from dataflow.networks.language import LanguageModel

from .settings import ServeProfile

LAYERS: dict[str, tuple[str, ...]] = {
    "embedding": ("embedding",),
    "layernorm": ("layers.0.norm1", "layers.0.add1"),
    "qkv_proj": ("layers.0.q", "layers.0.k", "layers.0.v"),
    "qk_norm": ("layers.0.q_norm", "layers.0.k_norm"),
    "rotary_emb": ("layers.0.rope",),
    "o_proj": ("layers.0.o",),
    "gate_up_proj": ("layers.0.gate", "layers.0.up"),
    "act_fn": ("layers.0.product",),
    "down_proj": ("layers.0.down",),
    "final_layernorm": ("norm",),
    "lm_head": ("head",),
}
"""Layers of the tables -> layers of the model of one block; a norm goes with the addition before it, and there are two
of them in a block, alike."""
PER_SEQUENCE = ("lm_head", "sampler")
"""Layers that are run for a sequence's last token alone. Choosing the token (sampler) is done by no machine here."""
OPTIONAL = ("qk_norm",)


class Cell(NamedTuple):
    """A step, as the attention table has it."""

    prefill_chunk: int
    kv_prefill: int
    n_decode: int
    kv_decode: int


def cells(settings: ServeProfile) -> list[Cell]:
    """The whole grid: every chunk with every number of sequences, and of each pair every prefix with every context; the
    step of nothing first, without which readers mix neighbours in."""
    found = [Cell(0, 0, 0, 0)]
    for chunk, count in product(sorted({0, *settings.chunks}), sorted({0, *settings.decodes})):
        if chunk or count:
            prefixes = settings.prefixes or (0,)
            axes = (prefixes if chunk else (0,), settings.contexts if count else (0,))
            found += [Cell(chunk, prefix, count, context) for prefix, context in product(*axes)]
    return found


def attention_rows(model: LanguageModel, cell: Cell, budget: int | None) -> Workload:
    """One layer's attention in a step. A chunk sees itself whole, whatever the budget.

    Raises:
        InputError: more tokens than a workload can have.
    """
    most = budget or LONGEST
    sequences = [Sequence(cell.kv_decode, min(cell.kv_decode, most))] * cell.n_decode
    if chunk := cell.prefill_chunk:
        length = cell.kv_prefill + chunk
        sequences.append(Sequence(length, max(min(length, most), chunk), chunk))
    return step_workload("step", Transformer(1, model.heads, model.head, 0, 0, model.kv_heads), sequences)


def attention_us(settings: ServeProfile, model: LanguageModel, cell: Cell) -> float:
    """Microseconds of one layer's attention in a step."""
    if not (cell.prefill_chunk or cell.n_decode):
        return 0.0
    kind, run = settings.attention_run()
    return 1e6 * kind.simulate(run, workload=attention_rows(model, cell, settings.budget)).seconds


def layers_us(settings: ServeProfile, model: LanguageModel, tokens: int) -> dict[str, float]:
    """Microseconds of each other layer for so many tokens (of `PER_SEQUENCE`: sequences)."""
    one = replace(model, blocks=model.blocks[:1])
    kind, run = settings.products_run(tokens, 1)
    result = kind.simulate(run, workload=one.network("decode", 1))
    cycles: dict[str, int] = {}
    for row in result.records:
        cycles[str(row["layer"])] = cycles.get(str(row["layer"]), 0) + int(row["cycles"])
    found = {}
    for name, parts in LAYERS.items():
        if name not in OPTIONAL or any(part in cycles for part in parts):
            found[name] = 1e6 * sum(cycles[part] for part in parts) / result.frequency_hz
    return found


def rows_of(settings: ServeProfile, model: LanguageModel) -> Iterator[tuple[str, str]]:
    """Names of everything that is timed: (table, row), in the order of the tables."""
    yield from (("attention", ",".join(map(str, cell))) for cell in cells(settings))
    yield from (("dense", str(tokens)) for tokens in settings.tokens)
    yield from (("per_sequence", str(count)) for count in settings.sequences)
