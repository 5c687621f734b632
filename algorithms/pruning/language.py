# SPDX-License-Identifier: Apache-2.0
"""A language model to prune: calibration text, and three measures on text held out.

- ``nll``: nats a token of held-out help topics, each in windows of its own; ``nll_by_topic`` has them one by one.
- ``nll_second``: of NumPy's docstrings, another domain.
- ``cloze``: share of words that the model says, the text before them given: words of five letters or more that the
  window did not have before, all of whose tokens are the most likely ones. NLL hides lost knowledge; this shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from algorithms.models import smollm2
from algorithms.models.llama import Llama
from dataflow.errors import InputError
from dataflow.networks.hf_config import language_model
from dataflow.networks.network import Network, Phase

from .relevance import llama_logits
from .subject import Row, Subject
from .text import digest, help_topics, numpy_docstrings

PIECE = 64
BATCH = 4
"""Sequences that run at once."""


@dataclass
class _Measured:
    """Nats lost on tokens; words that were said, of all."""

    nats: float = 0.0
    tokens: int = 0
    hits: int = 0
    words: int = 0

    def add(self, other: _Measured) -> None:
        self.nats, self.tokens = self.nats + other.nats, self.tokens + other.tokens
        self.hits, self.words = self.hits + other.hits, self.words + other.words


def _first(by_topic: dict[str, list[Tensor]], tokens: int) -> dict[str, list[Tensor]]:
    """A window of each topic, then a second one, until there are so many tokens."""
    taken: dict[str, list[Tensor]] = {}
    for round_ in range(max(map(len, by_topic.values()))):
        for name, windows in by_topic.items():
            if tokens > 0 and round_ < len(windows):
                taken.setdefault(name, []).append(windows[round_])
                tokens -= len(windows[round_]) - 1
    return taken


class LanguageModel(Subject):
    """A Llama with a tokenizer.

    Args:
        model, tokenizer: none: SmolLM2-135M-Instruct.
        length: tokens of a sequence.
        samples: sequences of calibration.
        tokens: held-out tokens to measure on, at least; all the help topics where there are fewer.

    Raises:
        InputError: the weights are not installed; text too short.
    """

    name: ClassVar[str] = smollm2.NAME
    metric: ClassVar[str] = "nll"
    model: Llama

    def __init__(
        self, model: Llama | None = None, tokenizer: Any = None, *, length: int = 256, samples: int = 32,
        tokens: int = 20_000,
    ) -> None:  # fmt: skip
        if model is None:
            model, tokenizer = smollm2.load()
        self.model, self._tokenizer, self.length, self.samples, self.tokens = model, tokenizer, length, samples, tokens
        for parameter in model.parameters():
            parameter.requires_grad_(False)

    @property
    def stages(self) -> Sequence[nn.Module]:
        return self.model.stages

    def network(self, phase: Phase = "prefill") -> Network:
        sizes = self.model.sizes
        return language_model(sizes.config(), self.name, self.name).network(phase, self.length)

    def features(self, x: Tensor) -> Tensor:
        """The state behind the last norm, of which logits are a linear map."""
        out: Tensor = self.model.head.norm(x)
        return out

    def facts(self) -> Row:
        rest, held = help_topics()
        return {
            "calibration_sha256": digest(list(rest.values())), "held_out_sha256": digest(list(held.values())),
            "second_sha256": digest(numpy_docstrings()), "held_out_topics": sorted(held),
        }  # fmt: skip

    def calibration(self, seed: int) -> list[Tensor]:
        """``samples`` windows of ``length`` tokens.

        Raises:
            InputError: the calibration text is shorter than one window.
        """
        return self._drawn(self._calibration_text(), seed)

    def _calibration_text(self) -> Tensor:
        """Its tokens."""
        return torch.tensor(self._encode("\n\n".join(help_topics()[0].values())))

    def _drawn(self, text: Tensor, seed: int) -> list[Tensor]:
        """Windows of a text by a seed, in batches."""
        if len(text) <= self.length:
            raise InputError(f"calibration text of {len(text)} tokens: too short for sequences of {self.length}")
        rng = torch.Generator().manual_seed(seed)
        starts = torch.randint(len(text) - self.length, (self.samples,), generator=rng)
        return list(text[starts[:, None] + torch.arange(self.length)].split(BATCH))

    def general(self, seed: int) -> list[Tensor]:
        """``samples`` windows of NumPy's docstrings, none of those that are measured on."""
        measured = set(self._second())
        ids = self._encode("\n\n".join(t for t in numpy_docstrings() if t not in measured))
        return self._drawn(torch.tensor(ids), seed)

    def pieces(self, seed: int) -> list[Tensor]:
        """Windows of at most 64 tokens."""
        return [part for sample in super().pieces(seed) for part in sample.split(PIECE, dim=1) if part.shape[1] > 1]

    def loss(self, inputs: Tensor) -> Tensor:
        return F.cross_entropy(self.model(inputs[:, :-1]).flatten(0, 1), inputs[:, 1:].flatten())

    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        return F.cross_entropy(output[:, :-1].flatten(0, 1), inputs[:, 1:].flatten())

    def explained(self, inputs: Tensor) -> Tensor:
        logits = llama_logits(self.model, inputs[:, :-1])
        return logits.gather(-1, inputs[:, 1:, None]).sum()

    classes: ClassVar[int] = 32

    def class_of(self, inputs: Tensor) -> Tensor:
        """Of each position the token that follows, where it is one of the commonest of the calibration text."""
        common = self._calibration_text().bincount().argsort(descending=True, stable=True)[: self.classes]
        same = inputs[:, 1:, None] == common
        found = torch.where(same.any(-1), same.int().argmax(-1), -1)
        return F.pad(found, (0, 1), value=-1)

    def quality(self) -> Row:
        by_topic = {name: self._windows(text) for name, text in help_topics()[1].items()}
        topics, total = {}, _Measured()
        for name, windows in _first(by_topic, self.tokens).items():
            found = self._measure(windows)
            topics[name] = found.nats / found.tokens
            total.add(found)
        second = self._measure([w for text in self._second() for w in self._windows(text)[:1]])
        return {
            "nll": total.nats / total.tokens, "nll_second": second.nats / second.tokens,
            "cloze": total.hits / max(total.words, 1), "tokens": total.tokens, "second_tokens": second.tokens,
            "cloze_words": total.words, "nll_by_topic": topics,
        }  # fmt: skip

    def _second(self) -> list[str]:
        """Docstrings spread evenly over all, of which the first window counts: half as many tokens as the topics'."""
        every = numpy_docstrings()
        wanted = max(1, self.tokens // 2 // self.length)
        return every[:: max(1, len(every) // wanted)][:wanted]

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text).ids)

    def _windows(self, text: str) -> list[Tensor]:
        """A text's tokens in windows that share an end: the last token of one is the first of the next."""
        ids = torch.tensor(self._encode(text))
        parts = [ids[i : i + self.length + 1] for i in range(0, max(len(ids) - 1, 0), self.length)]
        return [part for part in parts if len(part) > 32]

    @torch.no_grad()
    def _measure(self, windows: list[Tensor]) -> _Measured:
        whole = [w for w in windows if len(w) == self.length + 1]
        batches = [torch.stack(whole[i : i + BATCH]) for i in range(0, len(whole), BATCH)]
        batches += [w[None] for w in windows if len(w) != self.length + 1]
        found = _Measured()
        for ids in batches:
            logits, targets = self.model(ids[:, :-1]), ids[:, 1:]
            nats = float(F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"))
            right = logits.argmax(-1) == targets
            spans = [(row, span) for row, one in enumerate(ids) for span in self._new_words(one.tolist())]
            hits = sum(bool(right[row, start - 1 : end - 1].all()) for row, (start, end) in spans)
            found.add(_Measured(nats, targets.numel(), hits, len(spans)))
        return found

    def _new_words(self, ids: list[int]) -> list[tuple[int, int]]:
        """Spans of tokens that are words of five letters or more and were not in ``ids`` before."""
        texts = [self._tokenizer.id_to_token(i) for i in ids]
        found, seen, i = [], set(), 1
        while i < len(texts):
            start, word = i, texts[i][1:]
            i += 1
            if not (texts[start].startswith("Ġ") and word.isalpha()):
                continue
            while i < len(texts) and texts[i].isalpha() and not texts[i].startswith("Ġ"):
                word += texts[i]
                i += 1
            if word.lower() not in seen and len(word) >= 5 and i < len(texts):
                found.append((start, i))
            seen.add(word.lower())
        return found
