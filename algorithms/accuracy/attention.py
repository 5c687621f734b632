# SPDX-License-Identifier: Apache-2.0
"""What pruning costs: an encoder's embeddings and a language model's predictions, beside controls at the same ratio.

Encoder (MiniLM on docstrings): cosine of the pruned embedding to the full one; how often the nearest other text is
still the full model's; a task with labels, from which module a docstring comes (logistic regression on full embeddings
of the other half of the texts). Decoder (the character model): bits per character of what follows a prompt, the prompt
summarized and each next character walked through the layers with pruning.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from algorithms.training.models import CharLM
from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule

from ..attention import minilm
from ..attention.attach import attach

MODULES = 12
Tick = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """A point of a sweep: which axis it is on, how it is called, what is pruned."""

    axis: str
    name: str
    pruning: AttentionPruning


def final_share(share: float, layers: int, spared: float = 0.15) -> RatioSchedule:
    """The even schedule after whose last layer ``share`` of the tokens is left."""
    pruned = layers - min(math.ceil(spared * layers), layers)
    return RatioSchedule(average=1 - share ** (1 / max(pruned, 1)) if share < 1 else 0.0, spared=spared)


def settings(layers: int, *, protected: int = 0) -> list[Setting]:
    """The sweep: tokens (with controls), heads, values and bits, each alone; then all together."""
    found = [Setting("none", "nothing pruned", AttentionPruning())]
    for share in (0.75, 0.5, 0.35, 0.25):
        for control in ("importance", "random", "first"):
            tokens = final_share(share, layers)
            pruning = AttentionPruning(tokens=tokens, control=control, protected=protected)
            found.append(Setting("tokens", f"{share:.0%} tokens, {control}", pruning))
    for share in (0.75, 0.5):
        heads = final_share(share, layers, 0.3)
        name = f"heads, {heads.average:.0%} a layer"  # floors of few heads make it more than the ratio says
        found.append(Setting("heads", name, AttentionPruning(heads=heads)))
    for ratio in (0.5, 0.8, 0.9):
        found.append(Setting("values", f"{1 - ratio:.0%} values", AttentionPruning(values=ratio)))
    for msb, lsb in ((12, 0), (8, 0), (6, 0), (4, 0), (8, 4), (6, 4), (4, 4)):
        name = f"{msb}+{lsb} bits" if lsb else f"{msb} bits"
        found.append(Setting("bits", name, AttentionPruning(quantization=Quantization(msb=msb, lsb=lsb))))
    together = AttentionPruning(
        tokens=final_share(0.5, layers), heads=final_share(0.9, layers, 0.3), values=0.5, protected=protected,
        quantization=Quantization(msb=8, lsb=4),
    )  # fmt: skip
    found.append(Setting("all", "50%, 90%, 50%, 8+4 bits", together))
    return found


def _again(steps: list[Any]) -> tuple[int, int]:
    return sum(int(s.again.sum()) for s in steps), sum(s.again.numel() for s in steps)


@torch.no_grad()
def minilm_quality(count: int = 120, tick: Tick = lambda name: None) -> list[dict[str, Any]]:
    """A row a setting: cosine (mean, worst), nearest_same, module_accuracy, refetched (share of queries), kept_keys.

    Args:
        count: texts, spread over the dozen modules with the most.

    Raises:
        InputError: the weights are not installed.
    """
    model, tokenizer = minilm.load()
    texts, labels = _texts(count)
    tokens = [minilm.tokens_of(tokenizer, t)[0] for t in texts]
    rows: list[dict[str, Any]] = []
    full = np.zeros((0, minilm.DIM))
    probe: Any = None
    train, test = np.arange(0, len(texts), 2), np.arange(1, len(texts), 2)
    for setting in settings(minilm.LAYERS, protected=1):
        found, again, queries, fetched, whole = [], 0, 0, 0, 0
        for ids in tokens:
            with attach(model, setting.pruning) as run:
                found.append(model(ids)[0].numpy())
                steps = run.sessions[0].steps
            a, n = _again(steps)
            again, queries = again + a, queries + n
            fetched += sum(len(s.keys) * len(s.heads) for s in steps)
            whole += ids.shape[1] * minilm.HEADS * minilm.LAYERS
        got = np.array(found)
        if not rows:
            full = got
            probe = _probe(full[train], labels[train])
        cosine = (got * full).sum(1)
        same = _nearest(got, full) == _nearest(full, full)
        rows.append({
            "axis": setting.axis, "setting": setting.name, "cosine": float(cosine.mean()),
            "worst_cosine": float(cosine.min()), "nearest_same": float(same.mean()),
            "module_accuracy": float(probe.score(got[test], labels[test])), "refetched": again / max(queries, 1),
            "keys_share": fetched / whole,
        })  # fmt: skip
        tick(setting.name)
    return rows


def _texts(count: int) -> tuple[list[str], np.ndarray]:
    """Docstrings of the modules with the most, the same number of each, module after module."""
    found = minilm.docstrings()
    names = [name for name, _ in Counter(m for m, _ in found).most_common(MODULES)]
    each = max(count // MODULES, 2)
    texts, labels = [], []
    for number, name in enumerate(names):
        mine = [text for module, text in found if module == name][:each]
        texts += mine
        labels += [number] * len(mine)
    return texts, np.array(labels)


def _probe(x: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=30.0, max_iter=2000).fit(x, y)


def _nearest(queries: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """For each query the nearest text that is not its own."""
    similar = queries @ texts.T
    np.fill_diagonal(similar, -np.inf)
    found: np.ndarray = similar.argmax(1)
    return found


def survivors(text: str, pruning: AttentionPruning) -> tuple[list[str], list[list[bool]]]:
    """The words of a text as MiniLM sees them, and which were alive in each layer: what pruning looks like."""
    model, tokenizer = minilm.load()
    ids, words = minilm.tokens_of(tokenizer, text)
    with torch.no_grad(), attach(model, pruning) as run:
        model(ids)
        alive = [set(step.keys.tolist()) for step in run.sessions[0].steps]
    return words, [[i in a for i in range(len(words))] for a in alive]


@torch.no_grad()
def generation_quality(
    model: CharLM,
    text: Tensor,
    *,
    prompt: int = 96,
    length: int = 32,
    count: int = 32,
    wanted: Sequence[Setting] | None = None,
    tick: Tick = lambda name: None,
) -> list[dict[str, Any]]:
    """A row a setting: bits_per_character of ``length`` characters behind each prompt, refetched, keys_share.

    Args:
        wanted: which settings; none: all of `settings`.
        count: prompts.
        text: uint8[n] held-out characters; prompts are spread evenly over it.
    """
    starts = torch.linspace(0, len(text) - prompt - length - 1, count).long()
    windows = text[starts[:, None] + torch.arange(prompt + length + 1)].long()
    layers = len(model.blocks)
    rows = []
    for setting in settings(layers) if wanted is None else wanted:
        loss = 0.0
        with attach(model, setting.pruning) as run:
            logits = model(windows[:, :prompt])[:, -1]
            with run.extend():
                for i in range(prompt, prompt + length):
                    loss += float(F.cross_entropy(logits, windows[:, i]))
                    logits = model(windows[:, i : i + 1], start=i)[:, -1]
            steps = [s for session in run.sessions for s in session.steps if s.iteration > 0]
            heads = run.sessions[0].heads
        again, queries = _again(steps)
        fetched = sum(len(s.keys) * len(s.heads) for s in steps)
        whole = sum((prompt + i) * heads * layers for i in range(1, length + 1)) * count
        rows.append({
            "axis": setting.axis, "setting": setting.name, "bits_per_character": loss / length / math.log(2),
            "refetched": again / max(queries, 1), "keys_share": fetched / whole,
        })  # fmt: skip
        tick(setting.name)
    return rows
