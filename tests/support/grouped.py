# SPDX-License-Identifier: Apache-2.0
"""A small language model with grouped heads, as Llama has them, and what SpAtten's pruning saw of it."""

from __future__ import annotations

from pathlib import Path

import torch

from algorithms.attention.attach import attach
from algorithms.attention.session import Session
from algorithms.attention.traces import write_attention_trace
from dataflow.attention.pruning import AttentionPruning
from tests.support import tools

DIMENSION = 32


@torch.no_grad()
def grouped_trace(folder: Path, pruning: AttentionPruning) -> Session:
    """30 tokens and 4 generated ones of 3 layers with 4 query heads on 2 KV heads, random weights; its trace."""
    hf = tools.package("transformers")
    torch.manual_seed(3)
    config = hf.LlamaConfig(
        vocab_size=60, hidden_size=64, num_hidden_layers=3, intermediate_size=96, num_attention_heads=4,
        num_key_value_heads=2, head_dim=DIMENSION, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model, x = hf.LlamaForCausalLM(config).eval(), torch.randint(60, (1, 30))
    with attach(model, pruning, record=True) as run:
        model.generate(x, max_new_tokens=4, do_sample=False)
        session = run.sessions[0]
    write_attention_trace(folder, session, origin="test", dimension=DIMENSION)
    return session
