# SPDX-License-Identifier: Apache-2.0
"""Methods of the cache on SmolLM2 and held-out help topics: a comparison, needles, a trace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from algorithms.accuracy.cache import Entry, cache_quality, needle, retrieval, windows
from algorithms.models import smollm2
from algorithms.pruning.text import digest, help_topics
from dataflow.errors import InputError, unknown

from .attach import attach_cache
from .config import CacheConfig
from .method import CACHE_METHODS, cache_method
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


def compare(config: CacheConfig, tick: Tick = lambda name: None) -> dict[str, Any]:
    """Tables ``cache`` (of `cache_quality`) and, where needles are wanted, ``needles`` (of `retrieval`); ``facts``.

    Raises:
        InputError: see `entries`; the weights are not installed; held-out text too short.
    """
    wanted = entries(config)
    model, tokenizer, ids = _loaded(config)
    texts = windows(ids, config.windows, config.context + config.tokens + 1)
    found: dict[str, Any] = {
        "cache": cache_quality(model, texts, config.context, wanted, element_bytes=config.element_bytes, tick=tick)
    }
    if config.needles:
        encode = lambda t: list(tokenizer.encode(t).ids)  # noqa: E731
        starts = torch.linspace(0, max(len(ids) - config.context, 0), config.needles).long().tolist()
        planted = [
            needle(ids[start:], config.context, (i + 0.5) / config.needles, 10_007 + 8_117 * i % 89_000, encode)
            for i, start in enumerate(starts)
        ]
        found["needles"] = retrieval(model, planted, wanted)
    return found | {"facts": {"held_out_sha256": digest([text()])}}


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
    texts = windows(ids, 1, config.context + config.tokens)
    with torch.no_grad(), attach_cache(model, entry.method, record=True, element_bytes=config.element_bytes) as run:
        model(texts[:, : config.context])
        with run.extend():
            for i in range(config.context, texts.shape[1]):
                model(texts[:, i : i + 1], start=i)
    name = f"{config.model}, {entry.name} {entry.setting}, {config.context:,} + {config.tokens:,} tokens"
    write_cache_trace(folder, run.sessions[0], method=entry.name, origin=name)
    return name
