# SPDX-License-Identifier: Apache-2.0
"""Pruning nothing changes nothing: every architecture that `attach` accepts, at 1e-5; others are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from algorithms.attention.attach import attach
from dataflow.attention.pruning import AttentionPruning, RatioSchedule
from dataflow.errors import InputError
from tests.support import tools

NOTHING = AttentionPruning()
SOME = AttentionPruning(tokens=RatioSchedule(average=0.2, start=0.1), values=0.3, protected=1)
SIZE = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48,
        "bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}  # fmt: skip
KV = {"num_key_value_heads": 2}
GPT = {"vocab_size": 60, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64, "bos_token_id": None,
       "eos_token_id": None}  # fmt: skip
FOLLOWED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertConfig", "BertModel", SIZE),
    "roberta": ("RobertaConfig", "RobertaModel", SIZE | {"pad_token_id": 1}),
    "electra": ("ElectraConfig", "ElectraModel", SIZE | {"embedding_size": 32}),
    "distilbert": ("DistilBertConfig", "DistilBertModel", {"vocab_size": 60, "dim": 32, "n_layers": 4, "n_heads": 4,
                                                           "hidden_dim": 48}),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", GPT),
    "gpt-neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", SIZE),
    "opt": ("OPTConfig", "OPTForCausalLM", SIZE | {"ffn_dim": 48, "word_embed_proj_dim": 32,
                                                   "max_position_embeddings": 64}),
    "llama": ("LlamaConfig", "LlamaForCausalLM", SIZE | KV),
    "mistral, window of 4": ("MistralConfig", "MistralForCausalLM", SIZE | KV | {"sliding_window": 4}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", SIZE | KV),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", SIZE | KV | {"head_dim": 8}),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", SIZE | KV | {"head_dim": 8}),
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", SIZE | KV | {"head_dim": 8, "sliding_window": 4,
                                                                 "attn_logit_softcapping": 2.0}),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", SIZE | KV | {"head_dim": 8, "sliding_window": 4}),
    "phi": ("PhiConfig", "PhiForCausalLM", SIZE),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", SIZE | KV),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", SIZE | KV | {"num_local_experts": 4}),
    "gpt-oss": ("GptOssConfig", "GptOssForCausalLM", SIZE | KV | {"head_dim": 8, "sliding_window": 4,
                                                                  "num_local_experts": 4}),
    "granite": ("GraniteConfig", "GraniteForCausalLM", SIZE | KV),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", SIZE | KV),
    "stablelm": ("StableLmConfig", "StableLmForCausalLM", SIZE | KV),
    "starcoder2": ("Starcoder2Config", "Starcoder2ForCausalLM", SIZE | KV | {"sliding_window": 4}),
    "vit": ("ViTConfig", "ViTModel", {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
                                      "intermediate_size": 48, "image_size": 16, "patch_size": 4}),
}  # fmt: skip
REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "t5": ("T5Config", "T5Model", {"vocab_size": 60, "d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8},
           "attends to an encoder"),
    "bart": ("BartConfig", "BartModel", {"vocab_size": 60, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
                                         "encoder_attention_heads": 4, "decoder_attention_heads": 4},
             "attends to an encoder"),
    "whisper": ("WhisperConfig", "WhisperModel", {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
                                                  "encoder_attention_heads": 4, "decoder_attention_heads": 4},
                "attends to an encoder"),
    "bloom": ("BloomConfig", "BloomForCausalLM", {"vocab_size": 60, "hidden_size": 32, "n_layer": 2, "n_head": 4},
              "no list of layers"),
    "mpt": ("MptConfig", "MptForCausalLM", {"vocab_size": 60, "d_model": 32, "n_layers": 2, "n_heads": 4,
                                            "max_seq_len": 64}, "no list of layers"),
    "mamba": ("MambaConfig", "MambaForCausalLM", {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2},
              "no list of layers"),
}  # fmt: skip


def make(config: str, model: str, options: dict[str, Any]) -> nn.Module:
    hf = tools.package("transformers")
    torch.manual_seed(5)
    found: nn.Module = getattr(hf, model)(getattr(hf, config)(**options)).eval()
    found.set_attn_implementation("eager")  # type: ignore[operator]  # the one that follows soft caps in every version
    with torch.no_grad():  # weights large enough that attention is not uniform
        for name, p in found.named_parameters():
            if p.dim() > 1 and "norm" not in name:
                p.mul_(4)
    return found


def inputs(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(6)
    if name == "vit":
        return {"pixel_values": torch.randn(2, 3, 16, 16)}
    return {"input_ids": torch.randint(2, 60, (2, 14))}


def rows(out: Any) -> torch.Tensor:
    found: torch.Tensor = out.logits if hasattr(out, "logits") else out.last_hidden_state
    return found


@pytest.mark.parametrize("name", FOLLOWED)
@torch.no_grad()
def test_pruning_nothing_changes_nothing(name: str) -> None:
    model, x = make(*FOLLOWED[name]), inputs(name)
    plain = rows(model(**x))
    for masked in (False, True):
        with attach(model, NOTHING, masked=masked):
            assert (rows(model(**x)) - plain).abs().max() <= 1e-5 * max(1, plain.abs().max())
    assert torch.equal(rows(model(**x)), plain)


@pytest.mark.parametrize("name", FOLLOWED)
@torch.no_grad()
def test_pruned_is_the_masked_reference(name: str) -> None:
    model, x = make(*FOLLOWED[name]), inputs(name)
    found = []
    for masked in (False, True):
        with attach(model, SOME, masked=masked) as run:
            found.append(rows(model(**x)))
        assert len(run.sessions[0].steps[-1].keys) < len(run.sessions[0].steps[0].keys)
    assert torch.equal(found[0].isnan(), found[1].isnan())
    scale = max(1.0, float(found[0].nan_to_num().abs().max()))
    assert (found[0] - found[1]).nan_to_num().abs().max() <= 1e-5 * scale


@pytest.mark.parametrize("name", [n for n, (_, m, _) in FOLLOWED.items() if "LM" in m])
@pytest.mark.parametrize("cache", ["dynamic", "static"])
@torch.no_grad()
def test_generation(name: str, cache: str) -> None:
    """Token by token with a cache: the model's own tokens where nothing is pruned; nothing leaves a static cache, but
    for a window's, which holds the last rows."""
    model, x = make(*FOLLOWED[name]), inputs(name)["input_ids"][:1]
    options = {"max_new_tokens": 6, "do_sample": False, "cache_implementation": cache if cache == "static" else None}
    if cache == "static":
        options["disable_compile"] = True
    told = model.generate(x, **options)
    with attach(model, NOTHING):
        assert model.generate(x, **options).tolist() == told.tolist()
    windows = {"mistral, window of 4", "gemma3", "starcoder2"}
    if cache == "static" and name in windows:
        found = []
        for kind in ("static", None):
            with attach(model, SOME):
                found.append(model.generate(x, **options | {"cache_implementation": kind}).tolist())
        assert found[0] == found[1]
    elif cache == "static":
        with pytest.raises(InputError, match="static cache"), attach(model, SOME):
            model.generate(x, **options)
    else:
        with attach(model, SOME) as run:
            model.generate(x, **options)
        assert [s.iteration for s in run.sessions[0].steps] == [i for i in range(6) for _ in range(4)]


@pytest.mark.parametrize("name", REFUSED)
@torch.no_grad()
def test_what_is_not_followed_is_refused_by_name(name: str) -> None:
    config, kind, options, match = REFUSED[name]
    hf = tools.package("transformers")
    model = getattr(hf, kind)(getattr(hf, config)(**options)).eval()
    with pytest.raises(InputError, match=match), attach(model, NOTHING):
        model(input_ids=torch.randint(2, 60, (1, 9)))


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("by", ["keyword", "position"])
@torch.no_grad()
def test_padding_is_refused_however_it_comes(name: str, side: str, by: str) -> None:
    model, x = make(*FOLLOWED[name]), inputs(name)["input_ids"]
    mask = torch.ones_like(x)
    mask[0, : 3 if side == "left" else None][-3:] = 0
    call = (lambda: model(x, attention_mask=mask)) if by == "keyword" else (lambda: model(x, *_up_to(model, mask)))
    with pytest.raises(InputError, match="padded sequences"), attach(model, NOTHING):
        call()
    with attach(model, NOTHING):
        model(x, attention_mask=torch.ones_like(x))


def _up_to(model: nn.Module, mask: torch.Tensor) -> list[Any]:
    """Positional arguments behind the ids, up to the mask."""
    from inspect import signature

    names = list(signature(model.forward).parameters)
    return [None] * (names.index("attention_mask") - 1) + [mask]


@torch.no_grad()
def test_a_bias_in_the_mask_and_dropout_are_refused() -> None:
    model, x = make(*FOLLOWED["bert"]), inputs("bert")["input_ids"]
    bias = torch.randn(2, 1, 14, 14)
    with pytest.raises(InputError, match="adds a position bias"), attach(model, NOTHING):
        model(x, attention_mask=bias)
    with pytest.raises(InputError, match="into evaluation mode"), attach(model.train(), NOTHING):
        model(x)


@torch.no_grad()
def test_a_trace_cannot_say_a_window() -> None:
    model, x = make(*FOLLOWED["mistral, window of 4"]), inputs("mistral")
    with (
        pytest.raises(InputError, match="'sliding_window', which a trace cannot say"),
        attach(model, NOTHING, record=True),
    ):
        model(**x)
