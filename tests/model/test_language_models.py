# SPDX-License-Identifier: Apache-2.0
"""Language models by configuration against transformers' own models: parameters and multiplies."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dataflow.networks.hf_config import FAMILIES, language_model
from tests.support import tools

SMALL: dict[str, dict[str, Any]] = {
    "Llama": {"num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True, "head_dim": 24},
    "Mistral": {"num_key_value_heads": 4, "head_dim": 8},
    "Mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 2},
    "Qwen2": {"num_key_value_heads": 1, "use_sliding_window": True, "max_window_layers": 1},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": True},
    "Qwen2Moe": {"num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 24, "mlp_only_layers": [0],
                 "shared_expert_intermediate_size": 40, "num_key_value_heads": 2},
    "Qwen3Moe": {"num_local_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 24,
                 "decoder_sparse_step": 2, "num_key_value_heads": 2, "head_dim": 16},
    "Gemma": {"num_key_value_heads": 1, "head_dim": 32},
    "Gemma2": {"num_key_value_heads": 2, "head_dim": 32},
    "Gemma3Text": {"num_key_value_heads": 2, "head_dim": 32},
    "Phi": {"num_key_value_heads": 2, "qk_layernorm": True},
    "Phi3": {"num_key_value_heads": 2, "pad_token_id": 0},
    "GPT2": {"n_embd": 64, "n_head": 4, "n_layer": 3, "n_positions": 96, "n_inner": 80},
    "GPTNeoX": {"attention_bias": False, "use_parallel_residual": False},
    "OPT": {"ffn_dim": 96, "word_embed_proj_dim": 32, "do_layer_norm_before": False, "max_position_embeddings": 96},
    "Bert": {"max_position_embeddings": 96, "type_vocab_size": 3},
}  # fmt: skip
"""A few sizes of each family that are not its defaults."""
SIZES = {
    "vocab_size": 200,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
TOKENS = 10


def configuration(name: str, **sizes: Any) -> Any:
    kind = getattr(tools.package("transformers"), f"{name}Config")
    common = {key: value for key, value in SIZES.items() if name != "GPT2" or key == "vocab_size"}
    if name == "OPT":
        del common["intermediate_size"]
    return kind(**{**common, **sizes}, attn_implementation="eager")


def built(config: Any, *, auto: str, device: str = "meta") -> Any:
    transformers = tools.package("transformers")
    with torch.device(device):
        return getattr(transformers, auto).from_config(config, attn_implementation="eager").eval()


def stored(config: Any, model: Any) -> dict[str, Any]:
    """What ``save_pretrained`` would write."""
    return {**json.loads(config.to_json_string()), "architectures": [type(model).__name__]}


@pytest.mark.parametrize("auto", ["AutoModelForCausalLM", "AutoModel"])
@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_parameters_are_those_of_the_model(name: str, default: bool, auto: str) -> None:
    if name == "Bert":
        auto = {"AutoModelForCausalLM": "AutoModelForMaskedLM"}.get(auto, auto)
    config = (
        getattr(tools.package("transformers"), f"{name}Config")() if default else configuration(name, **SMALL[name])
    )
    model = built(config, auto=auto)
    whole = {**config.to_dict(), "architectures": [type(model).__name__]}
    for data in (stored(config, model), whole):
        found = language_model(data, "m", "m.json").network(context=TOKENS)
        assert found.parameters == sum(p.numel() for p in model.parameters()), type(model).__name__


@pytest.mark.parametrize("name", [name for name in SMALL if not name.endswith("Moe") and name != "Mixtral"])
def test_multiplies_of_a_forward_pass_are_torchs(name: str) -> None:
    config = configuration(name, **SMALL[name])
    auto = "AutoModelForMaskedLM" if name == "Bert" else "AutoModelForCausalLM"
    model = built(config, auto=auto, device="cpu")
    ids = torch.ones(1, TOKENS, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids, attention_mask=torch.ones_like(ids))
    network = language_model(stored(config, model), "m", "m.json").network(context=TOKENS)
    assert network.macs == counter.get_total_flops() // 2


def test_every_family_is_compared() -> None:
    transformers = tools.package("transformers")
    assert {getattr(transformers, f"{name}Config").model_type for name in SMALL} == set(FAMILIES)
