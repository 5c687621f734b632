# SPDX-License-Identifier: Apache-2.0
"""Methods of the cache on SmolLM2 and held-out help topics: a comparison, needles, a trace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from algorithms.accuracy.cache import (
    FULL,
    Entry,
    Measured,
    Needle,
    found_by,
    measured,
    needle,
    quality_rows,
    retrieval_rows,
    wanted_of,
    windows,
)
from algorithms.models import smollm2
from algorithms.pruning.text import digest, help_topics
from dataflow.errors import InputError, unknown

from .attach import attach_cache
from .config import CacheConfig
from .method import CACHE_METHODS, cache_method
from .store import cell, described
from .traces import write_cache_trace

Tick = Callable[[str], None]


def entries(config: CacheConfig) -> list[Entry]:
    """Every method at every budget; one that has none once; the whole cache is not among them.

    Raises:
        InputError: no such method or option, a budget that a method cannot have, options of several methods.
    """
    if config.options and len(config.method) != 1:
        raise InputError(f"options: only of one method ({len(config.method) or 'all'} are to run)")
    found = []
    for name in config.method or [n for n in sorted(CACHE_METHODS) if n != "full"]:
        kind = CACHE_METHODS.get(name)
        if any(f.name == "budget" for f in dataclasses.fields(kind)):
            if "budget" in config.options:
                raise InputError("options: the budget is given by --budget")
            found += [Entry(name, cache_method(name, config.options | {"budget": b})) for b in config.budget]
        elif name != "full":
            found.append(Entry(name, cache_method(name, config.options)))
    return found


def _loaded(config: CacheConfig) -> tuple[Any, Any, Tensor]:
    """Model, tokenizer and held-out text as tokens."""
    if config.model != smollm2.NAME:
        raise unknown("model", config.model, [smollm2.NAME])
    model, tokenizer = smollm2.load()
    return model, tokenizer, torch.tensor(list(tokenizer.encode(text()).ids))


def text() -> str:
    """All held-out help topics, one after the other."""
    return "\n\n".join(help_topics()[1].values())


def text_digest() -> str:
    """Of the held-out text."""
    return digest([text()])


def compare(
    config: CacheConfig, tick: Tick = lambda name: None, store: Path | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Tables ``cache`` (of `quality_rows`) and, where needles are wanted, ``needles`` (of `retrieval_rows`), each row
    with its prompt's length in tokens as ``context``.

    Args:
        tick: called with what was done, once a method of each group of prompts and once a needle.
        store: folder of what was measured, one file a group of prompts; what it has is not measured again.

    Raises:
        InputError: see `entries`; the weights are not installed; held-out text too short; a broken file in the store.
    """
    wanted = [FULL, *entries(config)]
    model, tokenizer, ids = _loaded(config)
    facts = {"model": config.model, "element_bytes": config.element_bytes, "methods": described(wanted)}
    found: dict[str, list[dict[str, Any]]] = {"cache": []}
    for context in config.context:
        seeds = [
            _measured(model, windows(ids, config.windows, context + config.tokens + 1, seed), context, wanted, config,
                      facts | {"kind": "loss", "context": context}, tick, store)
            for seed in range(config.seeds)
        ]  # fmt: skip
        found["cache"] += [{"context": context, **row} for row in quality_rows(wanted, seeds, config.tokens)]
    if config.needles:
        asked = wanted_of(wanted[1:])
        facts |= {"kind": "needle", "methods": described(asked)}
        found["needles"] = []
        for context in config.context:
            rows = []
            for each in _needles(config, context, ids, lambda t: list(tokenizer.encode(t).ids)):
                answer = partial(found_by, model, each, asked)
                rows.append(cell(store, f"needle-{context}", torch.cat([each.ids, each.answer]), facts, answer))
                tick(f"a planted number in {context:,} tokens")
            found["needles"] += [{"context": context, **row} for row in retrieval_rows(asked, rows)]
    return found


def _measured(
    model: Any, texts: Tensor, context: int, wanted: list[Entry], config: CacheConfig, facts: dict[str, Any],
    tick: Tick, store: Path | None,
) -> list[list[Measured]]:  # fmt: skip
    """Of each group of two windows what was measured, one a method."""
    groups = []
    for part in texts.split(2):

        def measure(part: Tensor = part) -> list[dict[str, Any]]:
            done = measured(model, part, context, wanted, element_bytes=config.element_bytes, tick=tick)
            return [one.data() for one in done]

        figures = cell(store, f"loss-{context}", part, facts | {"tokens": config.tokens}, measure)
        groups.append([Measured.read(data) for data in figures])
    return groups


def _needles(config: CacheConfig, context: int, ids: Tensor, encode: Callable[[str], list[int]]) -> Iterator[Needle]:
    """Numbers of five digits, spread over depths, in text from another place each; drawn anew for each seed."""
    for seed in range(config.seeds):
        rng = torch.Generator().manual_seed(seed)
        for i in range(config.needles):
            start = int(torch.randint(max(len(ids) - context, 0) + 1, (1,), generator=rng))
            number = int(torch.randint(10_000, 100_000, (1,), generator=rng))
            yield needle(ids[start:], context, (i + 0.5) / config.needles, number, encode)


def trace(config: CacheConfig, folder: Path) -> str:
    """The steps of one method behind the first prompt, as a trace. Returns its name.

    Raises:
        InputError: more than one method and budget; see `compare`.
    """
    wanted = entries(config)
    if len(wanted) != 1:
        raise InputError(f"trace: of one method at one budget ({len(wanted)} are given)")
    entry = wanted[0]
    model, _, ids = _loaded(config)
    if len(config.context) != 1:
        raise InputError(f"trace: of prompts of one length ({len(config.context)} are given)")
    (context,) = config.context
    texts = windows(ids, 1, context + config.tokens)
    with torch.no_grad(), attach_cache(model, entry.method, record=True, element_bytes=config.element_bytes) as run:
        model(texts[:, :context])
        with run.extend():
            for i in range(context, texts.shape[1]):
                model(texts[:, i : i + 1], start=i)
    name = f"{config.model}, {entry.name} {entry.setting}, {context:,} + {config.tokens:,} tokens"
    write_cache_trace(folder, run.sessions[0], method=entry.name, origin=name)
    return name
