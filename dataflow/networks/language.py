# SPDX-License-Identifier: Apache-2.0
"""Transformers by their sizes: a network without weights for a training step, a prefill or the decode of a token.

- Training: sequences of ``context`` tokens; every token has its logits.
- Prefill: the forward pass over a prompt of ``context`` tokens; the last one alone has logits, as the others' are not
  needed to go on. An encoder's forward pass is its prefill.
- Decode: the forward pass of one token, which attends to ``context`` tokens of the cache, itself the last of them.

Query heads that share a KV head are rows of one product, so that its keys and values are fetched once. Causal masks
save nothing: on a dense array the products are whole. A sliding window of w tokens: a decode fetches at most w; longer
sequences go in blocks of w queries, each against the 2 w keys that its windows reach, where that is less work.

Projections that an implementation fuses (Q, K and V; gate and up) stand one by one. Activations, biases, scales and
soft caps ride on the neighbouring product. Biases, norms and tables stand as element-wise layers with their parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from ..errors import InputError
from ..files import first_problem
from .network import Layer, Linear, MatMul, Network, Phase, elementwise

DEFAULT_CONTEXT = 2048
"""Tokens of a sequence where nobody says how many, unless the model has fewer positions."""


@dataclass(frozen=True)
class Experts:
    """A mixture of experts in the place of a feed-forward block; ``shared``: width of the one that all tokens take."""

    count: int
    active: int
    width: int
    shared: int = 0


@dataclass(frozen=True)
class Block:
    """What may differ from block to block."""

    feed_forward: int | Experts
    """Inner width, or a mixture of experts."""
    window: int | None = None
    """Tokens that a token sees, itself included; None: all."""


@dataclass(frozen=True)
class LanguageModel:
    """A transformer by its sizes."""

    name: str
    vocabulary: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    """Dimension of a head."""
    blocks: tuple[Block, ...]
    longest: int
    """Positions the model is made for."""
    gated: bool = True
    """A feed-forward block has a gate: three matrices."""
    norm_parameters: int = 1
    """Vectors of parameters of a norm: 1 RMSNorm, 2 LayerNorm, 0 none."""
    block_norms: int = 2
    """Norms of a block over the hidden width: 1 (for attention and feed-forward alike), 2, or 4 (also behind both)."""
    parallel: bool = False
    """Attention and feed-forward side by side: one addition of three."""
    head_norms: bool = False
    """Norms of each head's queries and keys."""
    rotary: float = 1.0
    """Share of a head's dimensions that are rotated."""
    positions: int = 0
    """Rows of a learned table of positions."""
    token_types: int = 0
    """Rows of a learned table of token types."""
    embedding: int = 0
    """Width of the embedding table where it is not ``hidden``: a projection in, and out before the head."""
    embedding_norm: bool = False
    final_norm: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    feed_forward_bias: bool = False
    tied: bool = False
    """The head is the embedding table."""
    output: str = "head"
    """What follows the last block: ``head`` (logits), ``none``, BERT's ``pooler``, or ``masked``: a dense layer, a norm
    and the head."""
    head_bias: bool = False
    encoder: bool = False
    """Tokens see those behind them too; there is no decode."""

    def network(self, phase: Phase = "training", context: int | None = None) -> Network:
        """The layers of a phase.

        Args:
            context: tokens of a sequence; None: `DEFAULT_CONTEXT` or ``longest``.

        Raises:
            InputError: a phase or a context that the model does not have.
        """
        tokens = min(DEFAULT_CONTEXT, self.longest) if context is None else context
        if self.encoder and phase == "decode":
            raise InputError(f"phase: {self.name} is an encoder: it has training and prefill, no decode")
        if tokens < 1:
            raise InputError(f"context {tokens}: must be at least 1")
        if self.positions and tokens > self.longest:
            raise InputError(f"context {tokens}: {self.name} has {self.longest} learned positions")
        try:
            layers = tuple(_Layers(self, phase, tokens).layers)
            return Network(name=self.name, phase=phase, context=tokens, layers=layers)
        except ValidationError as error:
            raise InputError(f"{self.name}: {first_problem(error)}") from None


class _Layers:
    """Appends a model's layers in forward order."""

    def __init__(self, model: LanguageModel, phase: Phase, context: int) -> None:
        self.model, self.phase, self.context = model, phase, context
        self.tokens = 1 if phase == "decode" else context
        self.layers: list[Layer] = []
        self._embedding()
        for i, block in enumerate(model.blocks):
            self._block(f"layers.{i}", block)
        if model.final_norm:
            self.norm("norm")
        self._output()

    def linear(
        self, name: str, inputs: int, outputs: int, bias: bool = False, experts: Experts | None = None, rows: int = 0
    ) -> None:
        many = {} if experts is None else {"experts": experts.count, "active": experts.active}
        rows = rows or self.tokens
        self.layers.append(Linear(name=name, in_features=inputs, out_features=outputs, rows=rows, **many))
        if bias:
            self.layers.append(elementwise(f"{name}.bias", "bias", rows * outputs, parameters=outputs))

    def norm(self, name: str, width: int = 0, vectors: int = 1) -> None:
        width = width or self.model.hidden
        parameters = self.model.norm_parameters * width
        self.layers.append(elementwise(name, "layernorm", self.tokens * vectors * width, parameters=parameters))

    def add(self, name: str, inputs: int = 2) -> None:
        self.layers.append(elementwise(name, "add", self.tokens * self.model.hidden, inputs=inputs))

    def table(self, name: str, rows: int, width: int) -> None:
        self.layers.append(elementwise(name, "embedding", self.tokens * width, parameters=rows * width))

    def _embedding(self) -> None:
        m = self.model
        width = m.embedding or m.hidden
        held_by_head = m.tied and m.output in ("head", "masked")
        self.table("embedding", 0 if held_by_head else m.vocabulary, width)
        if m.positions:
            self.table("positions", m.positions, m.hidden)
        if m.token_types:
            self.table("token_types", m.token_types, m.hidden)
        if m.embedding:
            self.linear("project_in", m.embedding, m.hidden)
        if m.embedding_norm:
            self.norm("embedding_norm")

    def _block(self, path: str, block: Block) -> None:
        m = self.model
        self.norm(f"{path}.norm1")
        self._attention(path, block.window)
        if m.block_norms == 4:
            self.norm(f"{path}.norm1_out")
        if not m.parallel:
            self.add(f"{path}.add1")
        if m.block_norms > 1:
            self.norm(f"{path}.norm2")
        if isinstance(block.feed_forward, Experts):
            self._experts(path, block.feed_forward)
        else:
            self._feed_forward(path, block.feed_forward)
        if m.block_norms == 4:
            self.norm(f"{path}.norm2_out")
        self.add(f"{path}.add" if m.parallel else f"{path}.add2", 3 if m.parallel else 2)

    def _attention(self, path: str, window: int | None) -> None:
        m = self.model
        self.linear(f"{path}.q", m.hidden, m.heads * m.head, m.qkv_bias)
        self.linear(f"{path}.k", m.hidden, m.kv_heads * m.head, m.qkv_bias)
        self.linear(f"{path}.v", m.hidden, m.kv_heads * m.head, m.qkv_bias)
        if m.head_norms:
            self.norm(f"{path}.q_norm", m.head, m.heads)
            self.norm(f"{path}.k_norm", m.head, m.kv_heads)
        if m.rotary:
            turned = self.tokens * (m.heads + m.kv_heads) * int(m.rotary * m.head)
            self.layers.append(elementwise(f"{path}.rope", "rope", turned))
        blocks, queries, keys = self._reach(window)
        rows, count = queries * (m.heads // m.kv_heads), m.kv_heads * blocks
        self.layers.append(MatMul(name=f"{path}.qk", rows=rows, reduction=m.head, cols=keys, count=count))
        self.layers.append(elementwise(f"{path}.softmax", "softmax", count * rows * keys))
        self.layers.append(MatMul(name=f"{path}.pv", rows=rows, reduction=keys, cols=m.head, count=count))
        self.linear(f"{path}.o", m.heads * m.head, m.hidden, m.out_bias)

    def _reach(self, window: int | None) -> tuple[int, int, int]:
        """Blocks of queries, queries of a block, keys that it is multiplied with."""
        if window is None or window >= self.context:
            return 1, self.tokens, self.context
        if self.phase == "decode":
            return 1, 1, window
        if 2 * window >= self.context:
            return 1, self.tokens, self.context
        return -(-self.context // window), window, 2 * window

    def _feed_forward(self, path: str, width: int, experts: Experts | None = None) -> None:
        m = self.model
        each = self.tokens * (experts.active if experts else 1)
        if m.gated:
            self.linear(f"{path}.gate", m.hidden, width, m.feed_forward_bias, experts)
            self.linear(f"{path}.up", m.hidden, width, m.feed_forward_bias, experts)
            self.layers.append(elementwise(f"{path}.product", "gate", each * width))
            self.linear(f"{path}.down", width, m.hidden, m.feed_forward_bias, experts)
        else:
            self.linear(f"{path}.fc1", m.hidden, width, m.feed_forward_bias, experts)
            self.linear(f"{path}.fc2", width, m.hidden, m.feed_forward_bias, experts)

    def _experts(self, path: str, experts: Experts) -> None:
        m = self.model
        self.linear(f"{path}.router", m.hidden, experts.count)
        self.layers.append(elementwise(f"{path}.router.softmax", "softmax", self.tokens * experts.count))
        self._feed_forward(f"{path}.experts", experts.width, experts)
        self.add(f"{path}.experts.add", experts.active)
        if experts.shared:
            self._feed_forward(f"{path}.shared", experts.shared)
            self.linear(f"{path}.shared.choice", m.hidden, 1)
            self.add(f"{path}.shared.add")

    def _output(self) -> None:
        m = self.model
        if m.output == "pooler":
            self.linear("pooler", m.hidden, m.hidden, bias=True, rows=1)
        if m.embedding:
            self.linear("project_out", m.hidden, m.embedding)
        if m.output == "masked":
            self.linear("transform", m.hidden, m.hidden, bias=True)
            self.norm("transform_norm")
        if m.output in ("head", "masked"):
            rows = 1 if self.phase == "prefill" and not m.encoder else self.tokens
            self.linear("head", m.embedding or m.hidden, m.vocabulary, m.head_bias, rows=rows)
