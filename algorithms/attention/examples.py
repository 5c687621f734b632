# SPDX-License-Identifier: Apache-2.0
"""Traces of real models on real text, every tensor kept: MiniLM reads a text, the character model goes on with one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from algorithms.training.models import CharLM
from dataflow.attention.pruning import AttentionPruning, Quantization

from ..accuracy.attention import final_share
from . import minilm
from .attach import attach
from .traces import write_attention_trace


def example_pruning(share: float, layers: int, *, encoder: bool) -> AttentionPruning:
    """All techniques at once, ``share`` of the tokens left in the end."""
    if encoder:
        return AttentionPruning(tokens=final_share(share, layers), values=0.3,
                                quantization=Quantization(msb=8, lsb=0), protected=1)  # fmt: skip
    return AttentionPruning(tokens=final_share(share, layers), values=0.5,
                            quantization=Quantization(msb=6, lsb=4, threshold=0.1))  # fmt: skip


@torch.no_grad()
def trace_minilm(folder: Path, text: str, share: float) -> str:
    """MiniLM reads a text (cut to its 512 tokens). Returns the trace's name."""
    model, tokenizer = minilm.load()
    ids, _ = minilm.tokens_of(tokenizer, text)
    ids = ids[:, :512]
    with attach(model, example_pruning(share, minilm.LAYERS, encoder=True), record=True) as run:
        model(ids)
    name = f"MiniLM, {ids.shape[1]} tokens"
    write_attention_trace(folder, run.sessions[0], origin=name, dimension=minilm.DIM // minilm.HEADS)
    return name


@torch.no_grad()
def trace_generation(folder: Path, model: CharLM, text: Tensor, share: float, *, prompt: int, length: int) -> str:
    """The character model reads ``prompt`` characters and is led through ``length`` more. Returns the trace's name.

    Args:
        text: uint8 characters, at least prompt + length of them.
    """
    ids = text[: prompt + length].long()[None]
    with attach(model, example_pruning(share, len(model.blocks), encoder=False), record=True) as run:
        model(ids[:, :prompt])
        with run.extend():
            for i in range(prompt, prompt + length):
                model(ids[:, i : i + 1], start=i)
        session = run.sessions[0]
    name = f"character model, {prompt} + {length} characters"
    write_attention_trace(folder, session, origin=name, dimension=model.embedding.embedding_dim // session.heads)
    return name
