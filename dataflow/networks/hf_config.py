# SPDX-License-Identifier: Apache-2.0
"""Hugging Face ``config.json`` files of language models as networks without weights.

Read: the model types in `FAMILIES`, as the class in ``architectures`` has them (a causal language model, the model
without a head, of BERT also the masked language model); no class named: the causal language model, or BERT without a
head. Sizes that every such file has must be there; another field that is not there has the default of transformers'
configuration class. A field that nothing here knows, and whose value is not null, false or empty, may change what is
computed: it is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError, unknown
from ..files import read_json
from ..pruned import PRUNED_FORMAT, PrunedFolder
from .language import Block, Experts, LanguageModel
from .network import Network, Phase

_NO_COUNT = re.compile(
    r"""_source|_licence|_name_or_path|_attn_implementation.*|_experts_implementation|_commit_hash
    |.*_token_ids?|.*token_index|.*dropout.*|.*_pdrop|.*_eps|.*_epsilon|initializer_.*|init_std|layerdrop
    |rope_.*|rotary_emb_base|original_max_position_embeddings|pretraining_tp|transformers_version|torch_dtype|dtype
    |use_cache|cache_implementation|output_.*|return_dict.*|id2label|label2id|problem_type|finetuning_task
    |task_specific_params|tokenizer_class|prefix|auto_map|chunk_size_feed_forward|gradient_checkpointing
    |hidden_act|hidden_activation|activation_function|query_pre_attn_scalar|final_logit_softcapping
    |attn_logit_softcapping|summary_.*|scale_attn_.*|reorder_and_upcast_attn|router_aux_loss_coef|router_jitter_noise
    |norm_topk_prob|max_length|min_length|do_sample|num_beams|temperature|top_[kp]|typical_p|repetition_penalty
    |length_penalty|num_return_sequences|num_beam_groups|diversity_penalty|no_repeat_ngram_size|bad_words_ids
    |encoder_no_repeat_ngram_size|unsloth_\w+""",
    re.VERBOSE,
)
"""Fields that change no count: training, generation, names, functions of the same shape."""


class _Fields:
    """A configuration's fields; those that were asked for are known."""

    def __init__(self, where: str, data: dict[str, Any]) -> None:
        self.where, self.data = where, data
        self.known: set[str] = {"model_type", "architectures"}

    def wrong(self, name: str, reason: str) -> InputError:
        return InputError(f"{self.where}: field {name}: {reason}")

    def get(self, name: str) -> Any:
        self.known.add(name)
        return self.data.get(name)

    def size(self, *names: str, default: int | None = None, least: int = 1) -> int:
        """An integer, under the first name that is there.

        Raises:
            InputError: no integer, or missing without a default.
        """
        found = {name: value for name in names if (value := self.get(name)) is not None}
        if not found:
            if default is None:
                raise self.wrong(names[0], "is missing")
            return default
        name, value = next(iter(found.items()))
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1 << 24:
            raise self.wrong(name, f"must be an integer from {least} to {1 << 24} (got {value!r:.60})")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, f"must be true or false (got {value!r:.60})")
        return value

    def share(self, *names: str, default: float) -> float:
        """A number from 0 to 1: of the file, or of its section of rotary settings."""
        sections = [self.data.get(part) for part in ("rope_parameters", "rope_scaling")]
        for name in names:
            value = self.get(name)
            for section in sections:
                value = section.get(name, value) if isinstance(section, dict) else value
            if value is not None:
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                    raise self.wrong(name, f"must be a number from 0 to 1 (got {value!r:.60})")
                return float(value)
        return default

    def only(self, name: str, *allowed: Any) -> None:
        """A field of which one form alone is modelled."""
        value = self.get(name)
        if value is not None and value not in allowed:
            raise self.wrong(name, f"{value!r:.60} is not modelled")

    def finish(self) -> None:
        """Refuse what nobody asked for, unless it is switched off."""
        for name, value in self.data.items():
            if name not in self.known and not _NO_COUNT.fullmatch(name) and value not in (None, False, "", [], {}):
                raise self.wrong(name, "is not known and may change what is computed; without it the file is read")


def read_config(path: Path, *, phase: Phase = "training", context: int | None = None) -> Network:
    """The network of a ``config.json``; it is called as the file, or as its folder where the file is ``config.json``.
    A pruned model's file (`dataflow.pruned`) is read as well.

    Args:
        phase, context: as of `LanguageModel.network`.

    Raises:
        InputError: broken JSON, no language model that is known, a field that is missing, wrong or not known.
    """
    data = read_json(path)
    if isinstance(data, dict) and data.get("format") == PRUNED_FORMAT:
        return PrunedFolder.read(path).model.network(phase, context)
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    return language_model(data, name or "model", str(path)).network(phase, context)


def language_model(data: Any, name: str, where: str) -> LanguageModel:
    """A model by its configuration. Raises as `read_config`."""
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected fields of a model's configuration, found {type(data).__name__}")
    if "model_type" not in data:
        raise InputError(f"{where}: field model_type: is missing; a .json file is a Hugging Face config.json")
    kind = data["model_type"]
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise InputError(f"{where}: field model_type: {unknown('type', str(kind), FAMILIES)}")
    fields = _Fields(where, data)
    fields.only("is_encoder_decoder", False)
    fields.only("add_cross_attention", False)
    fields.only("use_bidirectional_attention", False)
    prefix, read = FAMILIES[kind]
    model = replace(read(fields, name), **_output(fields, prefix))
    fields.finish()
    if model.heads % model.kv_heads:
        raise fields.wrong("num_key_value_heads", f"{model.kv_heads} must divide {model.heads} query heads")
    return model


def _output(fields: _Fields, prefix: str) -> dict[str, Any]:
    """What follows the last block, by the class that the configuration is of."""
    head, none = {"output": "head"}, {"output": "none"}
    outputs: dict[str, dict[str, Any]] = {f"{prefix}ForCausalLM": head, f"{prefix}Model": none}
    if prefix == "Bert":
        outputs = {"BertModel": {"output": "pooler"}, "BertForMaskedLM": {"output": "masked", "head_bias": True}}
    elif prefix == "GPT2":
        outputs = {"GPT2LMHeadModel": head, "GPT2Model": none}
    elif prefix == "Gemma3":
        outputs = {"Gemma3ForCausalLM": head, "Gemma3TextModel": none}
    classes = fields.data.get("architectures") or [next(iter(outputs))]
    found = classes[0] if isinstance(classes, list) and len(classes) == 1 else classes
    if not isinstance(found, str) or found not in outputs:
        raise fields.wrong("architectures", f"{found!r:.60} is not modelled; read: {', '.join(outputs)}")
    return outputs[found]


def _common(
    fields: _Fields, name: str, *, kv_heads: int | None = None, tied: bool = False, longest: int = 2048,
    grouped: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Sizes that most families call alike.

    Args:
        kv_heads, tied, longest: where the file says nothing; ``kv_heads`` None: as many as heads.
        grouped: the family may have fewer KV heads, and heads of another dimension than hidden / heads.
    """
    hidden = fields.size("hidden_size", "n_embd")
    heads = fields.size("num_attention_heads", "n_head")
    head = fields.size("head_dim", default=0) if grouped else 0
    if not head and hidden % heads:
        raise fields.wrong("hidden_size", f"{hidden} must be a multiple of {heads} heads where there is no head_dim")
    return {
        "name": name,
        "vocabulary": fields.size("vocab_size"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": fields.size("num_key_value_heads", default=kv_heads or heads) if grouped else heads,
        "head": head or hidden // heads,
        "longest": fields.size("max_position_embeddings", "n_positions", default=longest),
        "tied": fields.flag("tie_word_embeddings", tied),
    }


def _blocks(fields: _Fields, width: int | Experts, window: int | None = None) -> tuple[Block, ...]:
    """Blocks that are all alike."""
    return (Block(width, window),) * fields.size("num_hidden_layers", "n_layer")


def _mixed(fields: _Fields, width: int, window: int | None, sliding: Callable[[int], bool]) -> tuple[Block, ...]:
    """Blocks with a sliding window where ``layer_types`` says so, or, where it is missing, ``sliding`` of their number.

    Raises:
        InputError: ``layer_types`` of another length, or with other words.
    """
    count = fields.size("num_hidden_layers")
    types = fields.get("layer_types")
    if types is None:
        types = ["sliding_attention" if sliding(i) else "full_attention" for i in range(count)]
    if not isinstance(types, list) or len(types) != count:
        raise fields.wrong("layer_types", f"expected a list of {count}, one a layer")
    for kind in types:
        if kind not in ("sliding_attention", "full_attention"):
            raise fields.wrong("layer_types", f"{kind!r:.60} is not modelled")
    if window is None and "sliding_attention" in types:
        raise fields.wrong("sliding_window", "is missing; layer_types asks for it")
    return tuple(Block(width, window if kind == "sliding_attention" else None) for kind in types)


def _llama(fields: _Fields, name: str) -> LanguageModel:
    bias, inner = fields.flag("attention_bias", False), fields.flag("mlp_bias", False)
    blocks = _blocks(fields, fields.size("intermediate_size"))
    return LanguageModel(**_common(fields, name), blocks=blocks, qkv_bias=bias, out_bias=bias, feed_forward_bias=inner)


def _mistral(fields: _Fields, name: str) -> LanguageModel:
    window = fields.size("sliding_window", default=0)
    if "sliding_window" not in fields.data:
        window = 4096
    blocks = _blocks(fields, fields.size("intermediate_size"), window or None)
    return LanguageModel(**_common(fields, name, kv_heads=8), blocks=blocks)


def _mixtral(fields: _Fields, name: str) -> LanguageModel:
    experts = _experts(fields, fields.size("intermediate_size"), count=8, active=2)
    window = fields.size("sliding_window", default=0)
    return LanguageModel(**_common(fields, name, kv_heads=8), blocks=_blocks(fields, experts, window or None))


def _experts(fields: _Fields, width: int, *, count: int, active: int, shared: int = 0) -> Experts:
    many = fields.size("num_local_experts", "num_experts", default=count)
    chosen = fields.size("num_experts_per_tok", default=active)
    if chosen > many:
        raise fields.wrong("num_experts_per_tok", f"{chosen} of {many} experts")
    return Experts(many, chosen, width, shared)


def _qwen_blocks(fields: _Fields, width: int) -> tuple[Block, ...]:
    use = fields.flag("use_sliding_window", False)
    window = fields.size("sliding_window", default=4096, least=0) if use else None
    fields.get("sliding_window")
    full = fields.size("max_window_layers", default=28, least=0)
    return _mixed(fields, width, window or None, lambda i: bool(window) and i >= full)


def _qwen2(fields: _Fields, name: str) -> LanguageModel:
    return LanguageModel(
        **_common(fields, name), blocks=_qwen_blocks(fields, fields.size("intermediate_size")), qkv_bias=True
    )


def _qwen3(fields: _Fields, name: str) -> LanguageModel:
    bias = fields.flag("attention_bias", False)
    sizes = _common(fields, name) | {"head": fields.size("head_dim", default=128)}
    blocks = _qwen_blocks(fields, fields.size("intermediate_size"))
    return LanguageModel(**sizes, blocks=blocks, qkv_bias=bias, out_bias=bias, head_norms=True)


def _qwen_moe(fields: _Fields, experts: Experts) -> tuple[Block, ...]:
    """Experts in every ``decoder_sparse_step``-th block, but for ``mlp_only_layers``."""
    width = fields.size("intermediate_size")
    fields.only("use_sliding_window", False)
    fields.get("sliding_window")
    fields.get("max_window_layers")
    step = fields.size("decoder_sparse_step", default=1)
    dense = fields.get("mlp_only_layers") or []
    if not isinstance(dense, list) or not all(isinstance(i, int) for i in dense):
        raise fields.wrong("mlp_only_layers", "expected a list of numbers of layers")
    whole = _mixed(fields, width, None, lambda i: False)
    return tuple(
        replace(block, feed_forward=experts) if i not in dense and (i + 1) % step == 0 else block
        for i, block in enumerate(whole)
    )


def _qwen2_moe(fields: _Fields, name: str) -> LanguageModel:
    shared = fields.size("shared_expert_intermediate_size", default=5632)
    experts = _experts(fields, fields.size("moe_intermediate_size", default=1408), count=60, active=4, shared=shared)
    bias = fields.flag("qkv_bias", True)
    return LanguageModel(**_common(fields, name), blocks=_qwen_moe(fields, experts), qkv_bias=bias)


def _qwen3_moe(fields: _Fields, name: str) -> LanguageModel:
    experts = _experts(fields, fields.size("moe_intermediate_size", default=768), count=128, active=8)
    bias = fields.flag("attention_bias", False)
    sizes = _common(fields, name, kv_heads=4)
    return LanguageModel(**sizes, blocks=_qwen_moe(fields, experts), qkv_bias=bias, out_bias=bias, head_norms=True)


def _gemma(fields: _Fields, name: str, blocks: tuple[Block, ...] = (), **more: Any) -> LanguageModel:
    bias = fields.flag("attention_bias", False)
    sizes = _common(fields, name, tied=True) | {"head": fields.size("head_dim", default=256)}
    blocks = blocks or _blocks(fields, fields.size("intermediate_size"))
    return LanguageModel(**sizes, blocks=blocks, qkv_bias=bias, out_bias=bias, **more)


def _gemma2(fields: _Fields, name: str) -> LanguageModel:
    window = fields.size("sliding_window", default=4096)
    blocks = _mixed(fields, fields.size("intermediate_size"), window, lambda i: i % 2 == 0)
    return _gemma(fields, name, blocks, block_norms=4)


def _gemma3(fields: _Fields, name: str) -> LanguageModel:
    window = fields.size("sliding_window", default=4096)
    period = fields.size("sliding_window_pattern", "_sliding_window_pattern", default=6)
    blocks = _mixed(fields, fields.size("intermediate_size"), window, lambda i: (i + 1) % period != 0)
    return _gemma(fields, name, blocks, block_norms=4, head_norms=True)


def _phi(fields: _Fields, name: str) -> LanguageModel:
    return LanguageModel(
        **_common(fields, name), blocks=_blocks(fields, fields.size("intermediate_size")), gated=False,
        norm_parameters=2, block_norms=1, parallel=True, head_norms=fields.flag("qk_layernorm", False),
        rotary=fields.share("partial_rotary_factor", default=0.5), qkv_bias=True, out_bias=True,
        feed_forward_bias=True, head_bias=True,
    )  # fmt: skip


def _phi3(fields: _Fields, name: str) -> LanguageModel:
    window = fields.size("sliding_window", default=0)
    blocks = _blocks(fields, fields.size("intermediate_size"), window or None)
    rotary = fields.share("partial_rotary_factor", default=1.0)
    return LanguageModel(**_common(fields, name), blocks=blocks, rotary=rotary)


def _gpt2(fields: _Fields, name: str) -> LanguageModel:
    sizes = _common(fields, name, tied=True, longest=1024, grouped=False)
    fields.get("n_ctx")  # of old files: n_positions again
    blocks = _blocks(fields, fields.size("n_inner", default=4 * sizes["hidden"]))
    return LanguageModel(
        **sizes, blocks=blocks, gated=False, norm_parameters=2, rotary=0.0, positions=sizes["longest"],
        qkv_bias=True, out_bias=True, feed_forward_bias=True,
    )  # fmt: skip


def _gpt_neox(fields: _Fields, name: str) -> LanguageModel:
    bias = fields.flag("attention_bias", True)
    fields.only("is_decoder", False, True)
    return LanguageModel(
        **_common(fields, name, grouped=False), blocks=_blocks(fields, fields.size("intermediate_size")), gated=False,
        norm_parameters=2, parallel=fields.flag("use_parallel_residual", True), qkv_bias=bias, out_bias=bias,
        feed_forward_bias=True, rotary=fields.share("partial_rotary_factor", "rotary_pct", default=0.25),
    )  # fmt: skip


_OPT_OFFSET = 2
"""Rows of OPT's table of positions before the first position."""


def _opt(fields: _Fields, name: str) -> LanguageModel:
    sizes = _common(fields, name, tied=True, grouped=False)
    bias, width = fields.flag("enable_bias", True), fields.size("word_embed_proj_dim", default=sizes["hidden"])
    before, without = fields.flag("do_layer_norm_before", True), fields.flag("_remove_final_layer_norm", False)
    return LanguageModel(
        **sizes, blocks=_blocks(fields, fields.size("ffn_dim")), gated=False, rotary=0.0,
        norm_parameters=2 if fields.flag("layer_norm_elementwise_affine", True) else 0,
        positions=sizes["longest"] + _OPT_OFFSET, embedding=0 if width == sizes["hidden"] else width,
        final_norm=before and not without, qkv_bias=bias, out_bias=bias, feed_forward_bias=bias,
    )  # fmt: skip


def _bert(fields: _Fields, name: str) -> LanguageModel:
    fields.only("position_embedding_type", "absolute")
    fields.only("is_decoder", False)
    sizes = _common(fields, name, tied=True, longest=512, grouped=False)
    return LanguageModel(
        **sizes, blocks=_blocks(fields, fields.size("intermediate_size")), gated=False, norm_parameters=2, rotary=0.0,
        positions=sizes["longest"], token_types=fields.size("type_vocab_size", default=2), embedding_norm=True,
        final_norm=False, qkv_bias=True, out_bias=True, feed_forward_bias=True, encoder=True,
    )  # fmt: skip


FAMILIES: dict[str, tuple[str, Callable[[_Fields, str], LanguageModel]]] = {
    "llama": ("Llama", _llama),
    "mistral": ("Mistral", _mistral),
    "mixtral": ("Mixtral", _mixtral),
    "qwen2": ("Qwen2", _qwen2),
    "qwen3": ("Qwen3", _qwen3),
    "qwen2_moe": ("Qwen2Moe", _qwen2_moe),
    "qwen3_moe": ("Qwen3Moe", _qwen3_moe),
    "gemma": ("Gemma", _gemma),
    "gemma2": ("Gemma2", _gemma2),
    "gemma3_text": ("Gemma3", _gemma3),
    "phi": ("Phi", _phi),
    "phi3": ("Phi3", _phi3),
    "gpt2": ("GPT2", _gpt2),
    "gpt_neox": ("GPTNeoX", _gpt_neox),
    "opt": ("OPT", _opt),
    "bert": ("Bert", _bert),
}
"""Model types that are read: how their classes begin, and what makes the model of the fields."""
