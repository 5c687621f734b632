# SPDX-License-Identifier: Apache-2.0
"""Attaches SpAtten's pruning to a transformer that is not edited, and takes it off again.

Works with models of `algorithms.training.models` and with Hugging Face models whose layers are a module list and whose
attention goes through the library's attention interface (BERT, GPT-2, Llama and their like; grouped queries, rotary
positions). Two places are used: before a layer, tokens that left are taken out of its input, and so out of its
projections, its attention and its FFN; and the attention itself is `Session.attend`.

    with attach(model, AttentionPruning(...)) as run:
        out = model(**inputs)
        run.sessions[0].steps   # what each layer did

The rows that come out of a model of ours are the survivors', in order (``run.sessions[i].alive``). Hugging Face models
get their full length back, with NaN in the rows of tokens that left: they have no output. All sequences of a batch must
have the same length.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, nn

from algorithms.training.models import Attention
from dataflow.attention.pruning import AttentionPruning
from dataflow.errors import InputError

from .session import Session

_INTERFACE = "spatten"
_RUN = "_spatten_run"


class Run:
    """Pruning attached to a model; `attach` makes it."""

    def __init__(self, model: nn.Module, settings: AttentionPruning, *, record: bool, masked: bool) -> None:
        self.model, self.settings, self.record, self.masked = model, settings, record, masked
        self.layers = _layers(model)
        self.attention = [_attention(layer) for layer in self.layers]
        self.ours = isinstance(self.attention[0], Attention)
        self.sessions: list[Session] = []
        self.positions: list[Tensor] = []
        self.cache: list[list[tuple[Tensor, Tensor]]] = []
        self.extending = False
        self.new: list[Tensor] = []

    @contextmanager
    def extend(self) -> Iterator[None]:
        """Within: the rows given to a model of ours follow those of the call before, whose keys and values are kept."""
        self.extending = True
        try:
            yield
        finally:
            self.extending = False

    def _begin(self, hidden: Tensor, cached: bool) -> None:
        batch, rows = hidden.shape[:2]
        if not (cached or self.extending):
            heads = _heads(self.attention[0])
            new = [Session(self.settings, len(self.layers), heads, self.record, self.masked) for _ in range(batch)]
            self.sessions = new
            self.cache = [[] for _ in range(batch)]
        elif batch != len(self.sessions):
            raise InputError(f"attention: {batch} sequences follow a batch of {len(self.sessions)}")
        self.new = [s.begin(rows) for s in self.sessions]
        self.positions = list(self.new)

    def enter(self, layer: int, hidden: Tensor, kwargs: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Take out of a layer's input what left before it."""
        if layer == 0:
            past = kwargs.get("past_key_values")
            self._begin(hidden, past is not None and past.get_seq_length() > 0)
        rotary = kwargs.get("position_embeddings")
        rows, turned = [], []
        for i, session in enumerate(self.sessions):
            causal = _causal(self.attention[layer])
            walking = session.iteration > 0
            alive = session.prune_tokens(layer, self.new[i], len(self.new[i]) if walking else int(causal))
            if not self.masked:
                stay = torch.isin(self.positions[i], alive)
                rows.append(hidden[i, stay])
                self.positions[i] = self.positions[i][stay]
            if rotary is not None and not self.masked:
                at = self.positions[i] - self.new[i][0]
                turned.append([r[i if r.shape[0] > 1 else 0, at] for r in rotary])
        if rows:
            hidden = torch.stack(rows)
        if turned:
            kwargs = kwargs | {"position_embeddings": tuple(torch.stack(r) for r in zip(*turned, strict=True))}
        return hidden, kwargs

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """[batch, heads, rows, D]; k and v of a model of ours are of the new rows alone, else of all it has cached."""
        out = []
        for i, session in enumerate(self.sessions):
            mine = (k[i], v[i])
            if self.ours:
                if layer < len(self.cache[i]):
                    old = self.cache[i][layer]
                    mine = (torch.cat([old[0], k[i]], 1), torch.cat([old[1], v[i]], 1))
                    self.cache[i][layer] = mine
                else:
                    self.cache[i].append(mine)
            old_keys = session.held[layer] if not self.masked else torch.arange(mine[0].shape[1] - q.shape[2])
            keys = torch.cat([old_keys, self.positions[i]])
            causal = _causal(self.attention[layer])
            out.append(
                session.attend(layer, q[i], *mine, scale=scale, causal=causal, queries=self.positions[i], keys=keys)
            )
        return torch.stack(out)

    def leave(self, hidden: Tensor) -> Tensor:
        """The last layer's output: survivors' rows, or (Hugging Face) all rows with NaN for who left."""
        full = []
        for i, session in enumerate(self.sessions):
            stay = torch.isin(self.positions[i], session.alive)
            rows, positions = hidden[i, stay], self.positions[i][stay]
            if self.ours:
                full.append(rows)
            else:
                whole = torch.full((len(self.new[i]), hidden.shape[-1]), torch.nan, dtype=hidden.dtype)
                whole[positions - self.new[i][0]] = rows
                full.append(whole)
        return torch.stack(full)


@contextmanager
def attach(
    model: nn.Module, settings: AttentionPruning, *, record: bool = False, masked: bool = False
) -> Iterator[Run]:
    """Prune ``model``'s attention within the context.

    Args:
        record: keep every tensor of every step.
        masked: the reference: all shapes stay whole, what would have left is masked. Not with quantization: its scales
            are of the rows that are there.

    Raises:
        InputError: a model whose layers are not found; padded sequences in a batch.
    """
    run = Run(model, settings, record=record, masked=masked)
    hooks = [model.register_forward_pre_hook(_refuse_padding, with_kwargs=True)]
    for number, layer in enumerate(run.layers):

        def before(_: nn.Module, args: Any, kwargs: dict[str, Any], number: int = number) -> Any:
            call = signature(run.layers[number].forward)
            inside = dict(call.bind(*args, **kwargs).arguments)
            for parameter in call.parameters.values():
                if parameter.kind is Parameter.VAR_KEYWORD:
                    inside |= inside.pop(parameter.name, {})
            first = next(iter(inside))
            hidden, inside = run.enter(number, inside.pop(first), inside)
            return (), {first: hidden, **inside}

        hooks.append(layer.register_forward_pre_hook(before, with_kwargs=True))

    def after(_: nn.Module, __: Any, output: Any) -> Any:
        return (run.leave(output[0]), *output[1:]) if isinstance(output, tuple) else run.leave(output)

    hooks.append(run.layers[-1].register_forward_hook(after))
    before_interface = _join(run)
    try:
        yield run
    finally:
        for hook in hooks:
            hook.remove()
        _part(run, before_interface)


def _refuse_padding(_: nn.Module, __: Any, kwargs: dict[str, Any]) -> None:
    """The library makes no mask for an attention function of one's own, so padding would be attended to."""
    mask = kwargs.get("attention_mask")
    if isinstance(mask, Tensor) and not bool((mask != 0).all()):
        raise InputError("attention: padded sequences cannot be pruned together; give them one by one")


def _join(run: Run) -> str | None:
    """Put the session's attention in the attention modules' place; what Hugging Face's interface was before."""
    if run.ours:
        for number, module in enumerate(run.attention):
            module.attend = lambda _, q, k, v, scale, number=number: run.attend(number, q, k, v, scale)  # type: ignore[assignment]  # a transformers model
        return None
    from transformers import AttentionInterface

    AttentionInterface.register(_INTERFACE, _interface)
    for number, module in enumerate(run.attention):
        setattr(module, _RUN, (run, number))
    config = run.model.config
    name = str(config._attn_implementation)  # type: ignore[union-attr]  # a transformers model
    run.model.set_attn_implementation(_INTERFACE)  # type: ignore[operator]  # a transformers model
    return name


def _part(run: Run, interface: str | None) -> None:
    if run.ours:
        from algorithms.training.models import attend

        for module in run.attention:
            module.attend = attend  # type: ignore[assignment]  # a transformers model
        return
    run.model.set_attn_implementation(interface)  # type: ignore[operator]  # a transformers model
    for module in run.attention:
        delattr(module, _RUN)


def _interface(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Hugging Face's attention function: [batch, heads, rows, D] in, [batch, rows, heads, D] out."""
    run, layer = getattr(module, _RUN)
    scale = kwargs.get("scaling") or query.shape[-1] ** -0.5
    return run.attend(layer, query, key, value, scale).transpose(1, 2), None


def _layers(model: nn.Module) -> list[nn.Module]:
    """The transformer's layers: the first module list whose every element has self-attention."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) and all(_find(layer) is not None for layer in module):
            return list(module)
    raise InputError(f"attention: no list of layers with self-attention in {type(model).__name__}")


def _find(layer: nn.Module) -> nn.Module | None:
    """A layer's self-attention: ours, or the innermost Hugging Face module that is called so and has a config."""
    found = None
    for module in layer.modules():
        if isinstance(module, Attention):
            return module
        if type(module).__name__.endswith("Attention") and hasattr(module, "config"):
            found = module
    return found


def _attention(layer: nn.Module) -> nn.Module:
    found = _find(layer)
    assert found is not None
    return found


def _heads(module: nn.Module) -> int:
    if isinstance(module, Attention):
        return module.heads
    config: Any = module.config
    return int(config.num_attention_heads)


def _causal(module: nn.Module) -> bool:
    if isinstance(module, Attention):
        return module.causal
    return bool(getattr(module, "is_causal", False))
