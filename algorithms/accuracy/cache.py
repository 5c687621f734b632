# SPDX-License-Identifier: Apache-2.0
"""What a method of the cache costs and loses on a real language model, beside the whole cache and controls.

A prompt of held-out text is read once, whole; under each method the text's next tokens follow one by one, each
predicted from what is kept. Figures of a method stand over the same tokens as the whole cache's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataflow.errors import InputError

from ..kv_cache.attach import attach_cache
from ..kv_cache.full import Full
from ..kv_cache.method import CacheMethod
from ..kv_cache.session import Counts

Tick = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """A row of a comparison: a method by its name in the registry."""

    name: str
    method: CacheMethod

    @property
    def setting(self) -> str:
        """Its main option in words."""
        for option, unit in (("budget", "tokens"), ("share", "of the channels leave")):
            if hasattr(self.method, option):
                value = getattr(self.method, option)
                return f"{value:,} {unit}" if isinstance(value, int) else f"{value:.0%} {unit}"
        return ""


def windows(text: Tensor, count: int, length: int, seed: int = 0) -> Tensor:
    """``count`` windows [count, length] of a text of tokens, none overlapping: one, at a place drawn from ``seed``, of
    each of as many stretches.

    Raises:
        InputError: the text is too short.
    """
    if len(text) < count * length:
        raise InputError(f"held-out text of {len(text):,} tokens: too short for {count} windows of {length:,}")
    stretch = len(text) // count
    drawn = torch.randint(stretch - length + 1, (count,), generator=torch.Generator().manual_seed(seed))
    return text[(drawn + stretch * torch.arange(count))[:, None] + torch.arange(length)]


@dataclass(frozen=True)
class Measured:
    """A method behind some prompts."""

    losses: list[float]
    """Nats a token, of each prompt; none of a method that needs training."""
    total: Counts
    """Of all tokens, prompts and layers."""
    prompt: Counts
    """Of choosing at the prompts' ends."""

    def data(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @classmethod
    def read(cls, data: dict[str, Any]) -> Measured:
        """As `data` wrote it."""
        return cls([float(x) for x in data["losses"]], Counts(**data["total"]), Counts(**data["prompt"]))


@torch.no_grad()
def measured(
    model: nn.Module, texts: Tensor, prompt: int, entries: Sequence[Entry], *, element_bytes: int = 2,
    tick: Tick = lambda name: None,
) -> list[Measured]:  # fmt: skip
    """One an entry, over prompts that run at once. Arguments as of `cache_quality`."""
    tokens = texts.shape[1] - prompt - 1
    found = []
    with attach_cache(model, Full(), window=max(e.method.window for e in entries), element_bytes=element_bytes) as run:
        model(texts[:, :prompt])
        held = run.prompts()
        for entry in entries:
            run.resume(held, entry.method)
            losses = torch.zeros(len(texts))
            with run.extend():
                for i in range(prompt, prompt + tokens):
                    logits = model(texts[:, i : i + 1], start=i)[:, -1]
                    losses += F.cross_entropy(logits, texts[:, i + 1], reduction="none") / tokens
            total, chosen = Counts(), Counts()
            for session in run.sessions:
                total.add(session.total())
                chosen.add(session.prompt)
            found.append(Measured([] if entry.method.trained else losses.tolist(), total, chosen))
            tick(f"{entry.name} {entry.setting}")
    return found


def cache_quality(
    model: nn.Module, texts: Tensor, prompt: int, entries: Sequence[Entry], *, batch: int = 2, element_bytes: int = 2,
    tick: Tick = lambda name: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row an entry, the whole cache first.

    Args:
        model: of ours, with positions by ``start``.
        texts: int64 [windows, prompt + tokens + 1]; of the last ``tokens`` predictions the losses are taken.
        batch: windows that run at once.
        element_bytes: of a key's or value's channel in memory.

    Returns:
        as `quality_rows`.
    """
    entries = [FULL, *entries]
    parts = [
        measured(model, part, prompt, entries, element_bytes=element_bytes, tick=tick) for part in texts.split(batch)
    ]
    return quality_rows(entries, [parts], texts.shape[1] - prompt - 1)


FULL = Entry("full", Full())
"""The whole cache, which each comparison has first."""


def quality_rows(
    entries: Sequence[Entry], seeds: Sequence[Sequence[Sequence[Measured]]], tokens: int
) -> list[dict[str, Any]]:
    """A row an entry, the first of which is the whole cache.

    Args:
        seeds: of each seed what was measured of each group of prompts, one an entry.
        tokens: predictions behind a prompt.

    Returns:
        rows of method, setting, nll (nats a token; none of a method that needs training), delta (above the whole
        cache's), error (of delta: its standard error over windows), where there are several seeds lowest and highest
        (of their means of delta), windows, the four counts a token and sequence, all layers (`Counts`), prompt_bytes
        and prompt_macs of choosing at a prompt's end, and reads (KV and selection bytes over the whole cache's).
    """
    groups = [group for seed in seeds for group in seed]
    n = sum(len(group[0].losses) for group in groups)
    whole, _ = _summed(groups, 0)
    rows = []
    for number, entry in enumerate(entries):
        total, chosen = _summed(groups, number)
        row: dict[str, Any] = {"method": entry.name, "setting": entry.setting}
        if not entry.method.trained:
            losses = [x for group in groups for x in group[number].losses]
            by_seed = [
                [x - y for g in seed for x, y in zip(g[number].losses, g[0].losses, strict=True)] for seed in seeds
            ]
            delta = [x for part in by_seed for x in part]
            row |= {"nll": fmean(losses), "delta": fmean(delta),
                    "error": stdev(delta) / math.sqrt(n) if n > 1 else math.nan}  # fmt: skip
            if len(seeds) > 1:
                means = [fmean(part) for part in by_seed]
                row |= {"lowest": min(means), "highest": max(means)}
        row["windows"] = n
        row |= {f.name: getattr(total, f.name) / (n * tokens) for f in fields(Counts)}
        row |= {"prompt_bytes": chosen.selection_bytes / n, "prompt_macs": chosen.selection_macs / n}
        row["reads"] = (total.kv_bytes + total.selection_bytes) / whole.kv_bytes
        rows.append(row)
    return rows


def _summed(groups: Sequence[Sequence[Measured]], number: int) -> tuple[Counts, Counts]:
    total, chosen = Counts(), Counts()
    for group in groups:
        total.add(group[number].total)
        chosen.add(group[number].prompt)
    return total, chosen


@dataclass(frozen=True)
class Needle:
    """A fact planted in a text, and the question behind it."""

    ids: Tensor
    """int64 [tokens]: text, fact, text, question."""
    answer: Tensor
    """int64 [n]."""


def needle(text: Tensor, length: int, depth: float, number: int, encode: Callable[[str], list[int]]) -> Needle:
    """A number planted at a share ``depth`` of ``length`` tokens of text.

    Raises:
        InputError: no room for it, or too little text.
    """
    fact = torch.tensor(encode(f"\n\nThe secret number is {number}. Remember it: the secret number is {number}.\n\n"))
    question = torch.tensor(encode("\n\nWhat is the secret number? The secret number is"))
    answer = torch.tensor(encode(f" {number}"))
    rest = length - len(fact) - len(question)
    if not 0 <= rest <= len(text):
        raise InputError(f"a planted number and its question in {length:,} tokens: too short, or too little text")
    at = round(depth * rest)
    return Needle(torch.cat([text[:at], fact, text[at:rest], question]), answer)


def wanted_of(entries: Sequence[Entry]) -> list[Entry]:
    """The methods that can be asked for a planted fact: the whole cache, and all that need no training."""
    return [FULL, *(e for e in entries if not e.method.trained)]


@torch.no_grad()
def found_by(model: nn.Module, each: Needle, entries: Sequence[Entry]) -> list[bool]:
    """Of each entry whether every token of the answer is the most likely one.

    The question is a part of the prompt, which is read whole; the first token of the answer follows from the dense
    prompt and does not count.
    """
    found = []
    with attach_cache(model, Full(), window=max(e.method.window for e in entries)) as run:
        model(each.ids[None])
        held = run.prompts()
        for entry in entries:
            run.resume(held, entry.method)
            right = True
            with run.extend():
                for i in range(len(each.answer) - 1):
                    logits = model(each.answer[None, i : i + 1], start=len(each.ids) + i)[0, -1]
                    right = right and int(logits.argmax()) == int(each.answer[i + 1])
            found.append(right)
    return found


def retrieval_rows(entries: Sequence[Entry], found: Sequence[Sequence[bool]]) -> list[dict[str, Any]]:
    """A row an entry: the share of needles that were found; ``found``: of `found_by`, one a needle."""
    return [
        {"method": e.name, "setting": e.setting, "found": sum(right) / len(found), "needles": len(found)}
        for e, right in zip(entries, zip(*found, strict=True), strict=True)
    ]
