# SPDX-License-Identifier: Apache-2.0
"""Llama, a decoder with rotary positions and grouped queries, in plain torch, with the weights of a GGUF file.

A model is a list of stages, each a map of one tensor to the next: the embedding, the blocks, the head. Layers are named
as in `dataflow.networks.language`: ``layers.0.q``, ``layers.0.down``, ``head``.

In GGUF the rows of the query and key projections lie so that the two elements that a rotation turns are neighbours
(llama.cpp's order); they are rotated so here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataflow.errors import InputError

from .gguf import Gguf


@dataclass(frozen=True)
class LlamaSizes:
    """Sizes of a Llama model."""

    vocabulary: int
    hidden: int
    width: int
    """Of the feed-forward block."""
    blocks: int
    heads: int
    kv_heads: int
    base: float
    """Of the rotations' wavelengths."""
    epsilon: float
    """Of the norms."""
    longest: int
    """Positions the model was trained for."""

    @property
    def head(self) -> int:
        return self.hidden // self.heads

    def config(self) -> dict[str, Any]:
        """The model as a Hugging Face ``config.json``."""
        return {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": self.vocabulary,
            "hidden_size": self.hidden, "intermediate_size": self.width, "num_hidden_layers": self.blocks,
            "num_attention_heads": self.heads, "num_key_value_heads": self.kv_heads, "rope_theta": self.base,
            "rms_norm_eps": self.epsilon, "max_position_embeddings": self.longest, "tie_word_embeddings": True,
        }  # fmt: skip


def attend(block: nn.Module, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Causal attention of q [.., heads, tokens, head] over k and v [.., KV heads, tokens, head]."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, scale=scale)


class Block(nn.Module):
    """x [sequences, tokens, hidden] to the same: attention and feed-forward, each behind a norm and added.

    ``attend`` may be replaced (`algorithms.attention.attach`), by one that keeps the keys and values of earlier tokens;
    ``position_ids``, int64 [1 or sequences, tokens], are then the tokens' positions (default: from 0 on).
    """

    causal = True

    def __init__(self, sizes: LlamaSizes) -> None:
        super().__init__()
        self.sizes, self.heads, kv = sizes, sizes.heads, sizes.kv_heads * sizes.head
        self.attend = attend
        self.norm1, self.norm2 = (nn.RMSNorm(sizes.hidden, eps=sizes.epsilon) for _ in range(2))
        self.q, self.o = (nn.Linear(sizes.hidden, sizes.hidden, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(sizes.hidden, kv, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(sizes.hidden, sizes.width, bias=False) for _ in range(2))
        self.down = nn.Linear(sizes.width, sizes.hidden, bias=False)

    def forward(self, x: Tensor, position_ids: Tensor | None = None) -> Tensor:
        x = x + self.o(self._attention(self.norm1(x), position_ids))
        h = self.norm2(x)
        out: Tensor = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return out

    def _attention(self, x: Tensor, positions: Tensor | None) -> Tensor:
        s = self.sizes
        q, k, v = (p.unflatten(-1, (-1, s.head)).transpose(1, 2) for p in (self.q(x), self.k(x), self.v(x)))
        at = torch.arange(x.shape[1]) if positions is None else positions[:, None]
        q, k = (rotated(p, s.base, at) for p in (q, k))
        return self.attend(self, q, k, v, s.head**-0.5).transpose(1, 2).flatten(2)


def frequencies(base: float, head: int) -> Tensor:
    """Of the rotations of a head's pairs, float64 [head / 2], in radians a position."""
    found: Tensor = base ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    return found


def rotated(x: Tensor, base: float, positions: Tensor) -> Tensor:
    """x [.., tokens, head], each pair of neighbours turned by its position times its frequency.

    Args:
        positions: int64 [.., tokens].
    """
    angle = positions[..., None].double() * frequencies(base, x.shape[-1])
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)


class Head(nn.Module):
    """x [.., hidden] to logits [.., vocabulary]; its weights are the embedding's."""

    def __init__(self, sizes: LlamaSizes, embedding: nn.Embedding) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(sizes.hidden, eps=sizes.epsilon)
        self.weight = embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.weight)


class Llama(nn.Module):
    """Tokens int64 [sequences, tokens] to logits [sequences, tokens, vocabulary]."""

    def __init__(self, sizes: LlamaSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.hidden)
        self.layers = nn.ModuleList(Block(sizes) for _ in range(sizes.blocks))
        self.head = Head(sizes, self.embedding)

    @property
    def stages(self) -> list[nn.Module]:
        """What one after the other maps tokens to logits."""
        return [self.embedding, *self.layers, self.head]

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """``start``: the first token's position, where the earlier ones' keys and values are kept elsewhere."""
        positions = torch.arange(start, start + x.shape[1])[None]
        x = self.embedding(x)
        for block in self.layers:
            x = block(x, position_ids=positions)
        out: Tensor = self.head(x)
        return out


_NAMES = {"norm1": "attn_norm", "norm2": "ffn_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output",
          "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}  # fmt: skip


def read_llama(file: Gguf) -> Llama:
    """The model of a GGUF file of a Llama with a tied head, in float32, for evaluation.

    Raises:
        InputError: another architecture, or a fact or a tensor is missing or of another size.
    """
    sizes = llama_sizes(file)
    with torch.device("meta"):
        model = Llama(sizes)
    state = {}
    for name, parameter in model.state_dict().items():
        part, _, kind = name.rpartition(".")
        if part.startswith("layers."):
            _, number, inner = part.split(".")
            source = f"blk.{number}.{_NAMES[inner]}.{kind}"
        else:
            source = "output_norm.weight" if part == "head.norm" else "token_embd.weight"
        array = file.tensor(source)
        if array.shape != parameter.shape:
            raise InputError(f"{file.path}: tensor {source}: {array.shape}, expected {tuple(parameter.shape)}")
        state[name] = torch.from_numpy(np.ascontiguousarray(array))
    model.load_state_dict(state, assign=True)
    model.head.weight = model.embedding.weight
    return model.eval()


def llama_sizes(file: Gguf) -> LlamaSizes:
    """Sizes of the model in a file. Raises as `read_llama`."""
    facts = file.facts
    if (found := facts.get("general.architecture")) != "llama":
        raise InputError(f"{file.path}: architecture {found!r}: only llama is read")
    names = {"hidden": "embedding_length", "width": "feed_forward_length", "blocks": "block_count",
             "heads": "attention.head_count", "kv_heads": "attention.head_count_kv", "base": "rope.freq_base",
             "epsilon": "attention.layer_norm_rms_epsilon", "vocabulary": "vocab_size",
             "longest": "context_length"}  # fmt: skip
    for name in names.values():
        if f"llama.{name}" not in facts:
            raise InputError(f"{file.path}: fact llama.{name} is missing")
    return LlamaSizes(**{field: facts[f"llama.{name}"] for field, name in names.items()})


def read_tokenizer(file: Gguf) -> Any:
    """The file's byte-level BPE tokenizer, digits one by one (``tokenizers.Tokenizer``).

    Raises:
        InputError: a tokenizer of another kind.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    facts = file.facts
    kind = facts.get("tokenizer.ggml.model"), facts.get("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise InputError(f"{file.path}: tokenizer {kind[0]}, {kind[1]}: only gpt2, smollm is read")
    vocabulary = {token: number for number, token in enumerate(facts["tokenizer.ggml.tokens"])}
    merges = [tuple(pair.split(" ")) for pair in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
