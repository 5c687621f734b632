# SPDX-License-Identifier: Apache-2.0
"""What a method of the cache costs and loses on a real language model, beside the whole cache and controls.

A prompt of held-out text is read once, whole; under each method the text's next tokens follow one by one, each
predicted from what is kept. Figures of a method stand over the same tokens as the whole cache's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
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


def windows(text: Tensor, count: int, length: int) -> Tensor:
    """``count`` windows [count, length] spread evenly over a text of tokens, none overlapping.

    Raises:
        InputError: the text is too short.
    """
    if len(text) < count * length:
        raise InputError(f"held-out text of {len(text):,} tokens: too short for {count} windows of {length:,}")
    starts = torch.linspace(0, len(text) - length, count).long() if count > 1 else torch.zeros(1, dtype=torch.int64)
    return text[starts[:, None] + torch.arange(length)]


@torch.no_grad()
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
        rows of method, setting, nll (nats a token; none of a method that needs training), delta (above the whole
        cache's), error (of delta: its standard error over windows), the four counts a token and sequence, all layers
        (`Counts`), prompt_bytes and prompt_macs of choosing at a prompt's end, and reads (KV and selection bytes over
        the whole cache's).
    """
    entries = [Entry("full", Full()), *entries]
    tokens = texts.shape[1] - prompt - 1
    losses = torch.zeros(len(entries), len(texts))
    total, chosen = [Counts() for _ in entries], [Counts() for _ in entries]
    with attach_cache(model, Full(), window=max(e.method.window for e in entries), element_bytes=element_bytes) as run:
        for first in range(0, len(texts), batch):
            ids = texts[first : first + batch]
            model(ids[:, :prompt])
            held = run.prompts()
            for number, entry in enumerate(entries):
                run.resume(held, entry.method)
                with run.extend():
                    for i in range(prompt, prompt + tokens):
                        logits = model(ids[:, i : i + 1], start=i)[:, -1]
                        loss = F.cross_entropy(logits, ids[:, i + 1], reduction="none")
                        losses[number, first : first + len(ids)] += loss / tokens
                for session in run.sessions:
                    total[number].add(session.total())
                    chosen[number].add(session.prompt)
                tick(f"{entry.name} {entry.setting}")
    return [
        _row(entry, losses[i], losses[0], total[i], total[0], chosen[i], tokens) for i, entry in enumerate(entries)
    ]  # fmt: skip


def _row(
    entry: Entry, losses: Tensor, full: Tensor, total: Counts, whole: Counts, chosen: Counts, tokens: int
) -> dict[str, Any]:
    n = len(losses)
    delta = losses - full
    row: dict[str, Any] = {"method": entry.name, "setting": entry.setting}
    if not entry.method.trained:
        row |= {"nll": float(losses.mean()), "delta": float(delta.mean()),
                "error": float(delta.std() / math.sqrt(n)) if n > 1 else math.nan}  # fmt: skip
    row |= {f.name: getattr(total, f.name) / (n * tokens) for f in fields(Counts)}
    row |= {"prompt_bytes": chosen.selection_bytes / n, "prompt_macs": chosen.selection_macs / n}
    counts = asdict(total)
    row["reads"] = (counts["kv_bytes"] + counts["selection_bytes"]) / whole.kv_bytes
    return row


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


@torch.no_grad()
def retrieval(model: nn.Module, needles: Sequence[Needle], entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """A row an entry, the whole cache first: share of needles of whose answer every token is the most likely one.

    The question is a part of the prompt, which is read whole; the first token of the answer follows from the dense
    prompt and does not count.
    """
    entries = [Entry("full", Full()), *(e for e in entries if not e.method.trained)]
    found = [0] * len(entries)
    with attach_cache(model, Full(), window=max(e.method.window for e in entries)) as run:
        for each in needles:
            model(each.ids[None])
            held = run.prompts()
            for number, entry in enumerate(entries):
                run.resume(held, entry.method)
                right = True
                with run.extend():
                    for i in range(len(each.answer) - 1):
                        logits = model(each.answer[None, i : i + 1], start=len(each.ids) + i)[0, -1]
                        right = right and int(logits.argmax()) == int(each.answer[i + 1])
                found[number] += right
    return [
        {"method": e.name, "setting": e.setting, "found": f / len(needles), "needles": len(needles)}
        for e, f in zip(entries, found, strict=True)
    ]
