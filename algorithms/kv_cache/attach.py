# SPDX-License-Identifier: Apache-2.0
"""Attaches a method of the cache to a decoder that is not edited, and takes it off again.

    with attach_cache(model, Quest(budget=256)) as run, torch.no_grad():
        model(prompt)
        with run.extend():  # a model of ours; Hugging Face's have their own cache: `generate`
            model(token, start=prompt.shape[1])
        run.sessions[0].total()  # the four counts

Which models: `algorithms.attention.attach`. Encoders are refused, and models whose cache is a sliding window.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from algorithms.attention.attach import Run, attached
from dataflow.errors import InputError

from .method import CacheMethod
from .rotation import rotation_of
from .session import CacheSession


@dataclass(frozen=True)
class Held:
    """Prompts that were read, to go on from."""

    sessions: list[CacheSession]
    cache: list[list[tuple[Tensor, Tensor]]]


class CacheRun(Run[CacheSession]):
    """A method attached to a model; `attach_cache` makes it."""

    def prompts(self) -> Held:
        """What was read up to here, a prompt alone; of models of ours.

        Raises:
            InputError: a model that keeps its cache itself; tokens have followed the prompt.
        """
        if not self.ours:
            raise InputError(f"cache: {type(self.model).__name__} keeps its cache itself: read the prompt again")
        if not self.sessions or any(s.iteration for s in self.sessions):
            raise InputError("cache: only a prompt that nothing has followed can be gone on with")
        return Held(self.sessions, [list(c) for c in self.cache])

    def resume(self, held: Held, method: CacheMethod) -> None:
        """Go on from prompts under a method; tokens follow within `extend`."""
        self.sessions = [session.under(method) for session in held.sessions]
        self.cache = [list(c) for c in held.cache]


@contextmanager
def attach_cache(
    model: nn.Module, method: CacheMethod, *, window: int = 0, record: bool = False, element_bytes: int = 2
) -> Iterator[CacheRun]:
    """Let a method keep and read the keys and values of ``model`` within the context.

    Args:
        window: queries at a prompt's end that are kept for other methods (`CacheRun.resume`).
        record: keep every tensor of every step.
        element_bytes: of a key's or value's channel in memory.

    Raises:
        InputError: a model whose layers are not found; positions that cannot be closed up; within the context, whatever
            is not followed, by name.
    """
    rotation = rotation_of(model)
    if method.closes_up and rotation is None:
        name = method.title.split(":")[0]
        raise InputError(
            f"cache: {type(model).__name__} has no rotary positions of a known form, which {name} closes up"
        )
    run = CacheRun(
        model, lambda layers, heads: CacheSession(method, layers, heads, rotation, window, record, element_bytes),
        record=record,
    )  # fmt: skip
    with attached(run):
        yield run
