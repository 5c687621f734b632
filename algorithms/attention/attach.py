# SPDX-License-Identifier: Apache-2.0
"""Attaches SpAtten's pruning to a transformer that is not edited, and takes it off again.

Works with models of `algorithms.training.models`, with `algorithms.models.llama` and with Hugging Face models whose
layers are a module list and whose attention goes through the library's attention interface (BERT, GPT-2, Llama,
Mistral, Gemma, gpt-oss and their like: grouped queries, rotary positions, sliding windows, soft caps, sinks). Two
places are used: before a layer, tokens that left are taken out of its input, and so out of its projections, its
attention and its FFN; and the attention itself is `Session.attend`. Which keys a query may see is the library's own
mask, by position. Everything that a model hands over to its attention is followed, or refused by name: padding,
position biases, encoder-decoder models, attention that does not go through the interface, a static cache from which
tokens leave.

    with attach(model, AttentionPruning(...)) as run:
        out = model(**inputs)
        run.sessions[0].steps   # what each layer did

The rows that come out of a model of ours are the survivors', in order (``run.sessions[i].alive``). Hugging Face models
get their full length back, with NaN in the rows of tokens that left: they have no output. All sequences of a batch must
have the same length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dataflow.attention.pruning import AttentionPruning
from dataflow.errors import InputError

from .pieces import Scoring
from .session import Session

_INTERFACE = "spatten"
_RUN = "_spatten_run"
_FOLLOWED = {"scaling", "softcap", "s_aux", "dropout", "is_causal", "sliding_window"}
"""What a model may hand over to the attention function beside q, k, v and the mask, and is followed; the window is in
the mask, and dropout is none in evaluation."""
_WITHOUT_EFFECT = {
    "position_ids", "cache_position", "use_cache", "output_attentions", "past_key_values", "past_key_value", "cache",
    "layer_past", "position_embeddings", "head_mask", "output_hidden_states", "return_dict", "attention_mask",
    "training", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "output_router_logits", "labels",
    "num_items_in_batch", "logits_to_keep", "token_type_ids", "return_attn_weights",
}  # fmt: skip
"""What goes through to the attention function and changes nothing of what it computes."""
_BY_ROW = {"position_ids": 1, "cache_position": 0}
"""Arguments of a layer with a row for each of its input's rows, and in which dimension."""


class Attending(Protocol):
    """What attends in a model's place for one sequence: `Session`, or a method of keeping keys and values."""

    iteration: int
    length: int
    alive: Tensor
    held: list[Tensor]

    @property
    def walked(self) -> int:
        """Layers that this walk has gone through."""

    def begin(self, new: int) -> Tensor: ...

    def prune_tokens(self, layer: int, new: Tensor, newest: int) -> Tensor: ...

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, scoring: Scoring, seen: Tensor, queries: Tensor,
        keys: Tensor,
    ) -> Tensor: ...  # fmt: skip


S = TypeVar("S", bound=Attending)


class Run(Generic[S]):
    """What attends in a model's place; `attach` makes it.

    Args:
        make: of numbers of layers and heads, a sequence's.
    """

    def __init__(self, model: nn.Module, make: Callable[[int, int], S], *, record: bool, masked: bool = False) -> None:
        self.model, self.make, self.record, self.masked = model, make, record, masked
        self.layers = _layers(model)
        self.attention = [_attention(layer) for layer in self.layers]
        self.ours = _ours(self.attention[0])
        self.sessions: list[S] = []
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
            self.sessions = [self.make(len(self.layers), heads) for _ in range(batch)]
            self.cache = [[] for _ in range(batch)]
        elif batch != len(self.sessions):
            raise InputError(f"attention: {batch} sequences follow a batch of {len(self.sessions)}")
        self.new = [s.begin(rows) for s in self.sessions]
        self.positions = list(self.new)

    def enter(self, layer: int, hidden: Tensor, kwargs: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Take out of a layer's input what left before it."""
        if layer == 0:
            self._begin(hidden, any(past.get_seq_length() > 0 for past in kwargs.values() if _is_cache(past)))
        self._attended(layer)
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
        new = len(self.new[0])
        if hidden.shape[1] < new:  # here or in a layer before
            kwargs = kwargs | {name: self._rows(name, x) for name, x in kwargs.items() if _has_rows(name, x, new)}
        return hidden, kwargs

    def _rows(self, name: str, x: Tensor) -> Tensor:
        """An argument with a row for each input row, of those that stay."""
        if name not in _BY_ROW:
            raise InputError(
                f"attention: a layer of {type(self.model).__name__} takes {name!r} by row, which is not followed"
            )
        at = [p - n[0] for p, n in zip(self.positions, self.new, strict=True)]
        if _BY_ROW[name] == 0:
            return x[at[0]]
        return torch.stack([x[i if x.shape[0] > 1 else 0, rows] for i, rows in enumerate(at)])

    def _attended(self, layers: int) -> None:
        """Check that the attention of each layer before this one came here.

        Raises:
            InputError: it does not go through the library's interface.
        """
        for session in self.sessions:
            if session.walked != layers:
                name = type(self.attention[max(layers - 1, 0)]).__name__
                raise InputError(f"attention: {name} does not go through the library's attention interface")

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scoring: Scoring, mask: Tensor | None = None,
        causal: bool | None = None,
    ) -> Tensor:  # fmt: skip
        """[batch, heads, rows, D]; k and v of a model of ours are of the new rows alone, else of all it has cached.

        Args:
            mask: bool[batch or 1, 1, new rows, positions], which positions a new row may see; its columns end with the
                last position. None: all, or those before where ``causal``.
        """
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
            old_keys = session.held[layer] if not self.masked else torch.arange(int(self.new[i][0]))
            keys = torch.cat([old_keys, self.positions[i]])
            mine, keys = self._cached(mine, keys, session.length)
            whole = mask if mask is None else mask[i if len(mask) > 1 else 0, 0]
            seen = self._seen(layer, whole, i, keys, causal)
            out.append(
                session.attend(layer, q[i], *mine, scoring=scoring, seen=seen, queries=self.positions[i], keys=keys)
            )
        return torch.stack(out)

    def _cached(self, mine: tuple[Tensor, Tensor], keys: Tensor, length: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Keys and values, and the positions that they are of: a window's cache holds the last ones alone, a static one
        has room behind them.

        Raises:
            InputError: a static cache from which tokens have left.
        """
        rows = mine[0].shape[1]
        if rows <= len(keys):
            return mine, keys[len(keys) - rows :]
        if len(keys) < length:
            raise InputError(
                "attention: tokens cannot leave a static cache, which has a place for each: use a dynamic one"
            )
        return (mine[0][:, :length], mine[1][:, :length]), keys

    def _seen(self, layer: int, mask: Tensor | None, i: int, keys: Tensor, causal: bool | None) -> Tensor:
        """Which keys the rows of a layer's input may see: bool[rows, keys].

        Raises:
            InputError: padding: a row that does not see itself.
        """
        queries, session = self.positions[i], self.sessions[i]
        if mask is None:
            before = _causal(self.attention[layer]) if causal is None else causal
            return (
                keys[None, :] <= queries[:, None] if before else torch.ones(len(queries), len(keys), dtype=torch.bool)
            )
        end = max(session.length, mask.shape[-1]) if mask.shape[-1] > session.length else session.length
        first = end - mask.shape[-1]  # a window's mask begins there
        new = self.new[i]
        if not bool(mask[torch.arange(len(new)), new - first].all()):
            raise InputError("attention: padded sequences cannot be pruned together; give them one by one")
        inside = keys >= first
        seen = mask[queries - new[0]][:, (keys - first).clamp(min=0)]
        return seen & inside

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
) -> Iterator[Run[Session]]:
    """Prune ``model``'s attention within the context.

    Args:
        record: keep every tensor of every step.
        masked: the reference: all shapes stay whole, what would have left is masked. Not with quantization: its scales
            are of the rows that are there.

    Raises:
        InputError: a model whose layers are not found; within the context, whatever it hands over to its attention
            that is not followed, by name.
    """
    run = Run(model, lambda layers, heads: Session(settings, layers, heads, record, masked), record=record,
              masked=masked)  # fmt: skip
    with attached(run):
        yield run


@contextmanager
def attached(run: Run[Any]) -> Iterator[None]:
    """Let a run attend in its model's place within the context. Raises as `attach`."""
    hooks: list[Any] = []
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
        run._attended(len(run.layers))
        return (run.leave(output[0]), *output[1:]) if isinstance(output, tuple) else run.leave(output)

    hooks.append(run.layers[-1].register_forward_hook(after))
    before_interface = _join(run)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        _part(run, before_interface)


def _is_cache(value: Any) -> bool:
    return hasattr(value, "get_seq_length")


def _has_rows(name: str, value: Any, rows: int) -> bool:
    """Whether an argument of a layer has a row for each of ``rows`` input rows. (A mask is followed by position.)"""
    if not isinstance(value, Tensor) or name == "attention_mask" or value.dim() == 0:
        return False
    return value.shape[_BY_ROW.get(name, min(1, value.dim() - 1))] == rows


def _join(run: Run[Any]) -> Any:
    """Put the session's attention in the attention modules' place; what was there before."""
    if run.ours:
        before = [module.attend for module in run.attention]
        for number, module in enumerate(run.attention):
            module.attend = lambda _, q, k, v, scale, number=number: run.attend(number, q, k, v, Scoring(scale))  # type: ignore[assignment]  # no module
        return before
    config: Any = run.model.config
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(_INTERFACE, _interface)
    AttentionMaskInterface.register(_INTERFACE, _whole_mask)
    for number, module in enumerate(run.attention):
        setattr(module, _RUN, (run, number))
    name = str(config._attn_implementation)
    run.model.set_attn_implementation(_INTERFACE)  # type: ignore[operator]  # a transformers model
    return name


def _part(run: Run[Any], before: Any) -> None:
    if run.ours:
        for module, attend in zip(run.attention, before, strict=True):
            module.attend = attend
        return
    run.model.set_attn_implementation(before)  # type: ignore[operator]  # a transformers model
    for module in run.attention:
        delattr(module, _RUN)


def _whole_mask(*args: Any, **kwargs: Any) -> Any:
    """The library's boolean mask, never left out because it is causal or empty."""
    from transformers.masking_utils import sdpa_mask

    skips = {n: False for n in signature(sdpa_mask).parameters if n.startswith("allow_")}
    return sdpa_mask(*args, **{**kwargs, **skips})


def _interface(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Hugging Face's attention function: [batch, heads, rows, D] in, [batch, rows, heads, D] out.

    Raises:
        InputError: names what the module hands over that is not followed.
    """
    run, layer = getattr(module, _RUN)
    name = type(module).__name__
    for argument, given in kwargs.items():
        if given is not None and argument not in _FOLLOWED | _WITHOUT_EFFECT:
            raise InputError(f"attention: {name} hands over {argument!r}, which is not followed")
    if kwargs.get("dropout"):
        raise InputError(
            f"attention: {name} drops probabilities ({kwargs['dropout']}): put the model into evaluation mode"
        )
    if run.record:
        for argument in ("sliding_window", "softcap", "s_aux"):
            if kwargs.get(argument) is not None:
                raise InputError(f"attention: {name} has {argument!r}, which a trace cannot say")
    scaling = kwargs.get("scaling")
    scoring = Scoring(
        query.shape[-1] ** -0.5 if scaling is None else float(scaling), kwargs.get("softcap"), kwargs.get("s_aux")
    )
    causal = kwargs.get("is_causal")
    out = run.attend(layer, query, key, value, scoring, _as_bool(name, mask), causal)
    return out.transpose(1, 2), None


def _as_bool(name: str, mask: Tensor | None) -> Tensor | None:
    """bool[batch or 1, 1, rows, positions] of a mask.

    Raises:
        InputError: it adds a bias, or differs from head to head.
    """
    if mask is None:
        return None
    if mask.dim() != 4:
        raise InputError(f"attention: {name} hands over a mask of {mask.dim()} dimensions, which is not followed")
    if mask.dtype != torch.bool:
        seen = mask == 0
        if not bool((seen | (mask <= torch.finfo(mask.dtype).min / 4)).all()):
            raise InputError(f"attention: {name} adds a position bias to its scores, which is not followed")
        mask = seen
    if mask.shape[1] > 1 and not bool((mask == mask[:, :1]).all()):
        raise InputError(f"attention: {name} has another mask for each head, which is not followed")
    return mask[:, :1]


def _layers(model: nn.Module) -> list[nn.Module]:
    """The transformer's layers: the first module list whose every element has self-attention.

    Raises:
        InputError: there is none, or the model attends to an encoder too.
    """
    config = getattr(model, "config", None)
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "add_cross_attention", False):
        raise InputError(f"attention: {type(model).__name__} attends to an encoder, which is not followed")
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) and all(_find(layer) is not None for layer in module):
            return list(module)
    raise InputError(f"attention: no list of layers with self-attention in {type(model).__name__}")


def _find(layer: nn.Module) -> nn.Module | None:
    """A layer's self-attention: ours, or the innermost Hugging Face module that is called so and has a config."""
    found = None
    for module in layer.modules():
        if _ours(module):
            return module
        if type(module).__name__.endswith("Attention") and hasattr(module, "config"):
            found = module
    return found


def _attention(layer: nn.Module) -> nn.Module:
    found = _find(layer)
    assert found is not None
    return found


def _ours(module: nn.Module) -> bool:
    """Whether a module of ours attends: by ``attend``, with ``heads`` and ``causal`` beside it."""
    return callable(getattr(module, "attend", None)) and hasattr(module, "causal")


def _heads(module: Any) -> int:
    if _ours(module):
        return int(module.heads)
    config: Any = module.config
    return int(config.num_attention_heads)


def _causal(module: Any) -> bool:
    if _ours(module):
        return bool(module.causal)
    return bool(getattr(module, "is_causal", False))
