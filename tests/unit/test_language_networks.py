# SPDX-License-Identifier: Apache-2.0
"""Language models by configuration: published counts, the work of each phase, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import hwsim
from dataflow.errors import InputError
from dataflow.importers import find_network, read_network, write_network_yaml
from dataflow.mapping.lowering import Update, Workload, lower
from dataflow.networks.hf_config import language_model
from dataflow.networks.network import Elementwise, Linear, MatMul, Network
from dataflow.networks.zoo import NETWORKS
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Method, Pass
from hwsim.sat.timing.step import Simulation
from tests.support.cli import check_refused, run

PUBLISHED = {
    "llama-3.2-1b": 1_235_814_400,
    "llama-3-8b": 8_030_261_248,
    "qwen2.5-7b": 7_615_616_512,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "smollm2-135m": 134_515_008,
}
"""Parameters in the models' safetensors files, as their pages at Hugging Face say."""
OTHERS: dict[str, tuple[int, dict[str, Any]]] = {
    "qwen3-8b": (8_190_735_360, {
        "model_type": "qwen3", "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 12288,
        "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}),
    "gemma-2-9b": (9_241_705_984, {
        "model_type": "gemma2", "vocab_size": 256000, "hidden_size": 3584, "intermediate_size": 14336,
        "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256}),
    "gpt2": (124_439_808, {
        "model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024}),
    "bert-base-uncased": (109_482_240, {
        "model_type": "bert", "vocab_size": 30522, "hidden_size": 768, "intermediate_size": 3072,
        "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 512, "type_vocab_size": 2}),
}  # fmt: skip
LLAMA = {"model_type": "llama", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip


def decode(net: Network, batch: int = 1, pattern: NM = DENSE) -> Workload:
    return lower(net, batch=batch, method=Method.BDWP, pattern=pattern, passes=(Pass.FF,))


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_models_have_the_published_parameters(name: str) -> None:
    assert find_network(name).parameters == PUBLISHED[name]
    assert {find_network(name, phase=p).parameters for p in ("prefill", "decode")} == {PUBLISHED[name]}


def test_every_shipped_configuration_says_its_source_and_is_published() -> None:
    folder = Path(hwsim.__file__).parents[1] / "dataflow" / "networks" / "configs"
    found = {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}
    assert set(found) == set(PUBLISHED) <= set(NETWORKS)
    assert all(data["_source"].startswith("https://") and data["_licence"] for data in found.values())


@pytest.mark.parametrize("name", OTHERS)
def test_other_models_have_the_published_parameters(name: str) -> None:
    count, data = OTHERS[name]
    assert language_model(data, name, "config.json").network().parameters == count


def test_a_training_step_updates_every_parameter() -> None:
    for name in ("llama-3.2-1b", "mixtral-8x7b"):
        net = find_network(name, context=64)
        work = lower(net, batch=1, method=Method.DENSE, pattern=DENSE).work
        assert sum(w.weights for w in work if isinstance(w, Update)) == net.parameters
        assert sum(p.macs for p in lower(net, batch=2, method=Method.DENSE, pattern=DENSE).products) == 2 * 3 * net.macs


def test_a_decode_is_the_matrices_once_and_the_cache_once() -> None:
    """Llama 3 8B at context N, a layer: 2 Hq D N multiplies of attention, of keys and values 2 Hk D N elements."""
    n, batch = 8192, 16
    net = find_network("llama-3-8b", phase="decode", context=n)
    matrices = PUBLISHED["llama-3-8b"] - 128256 * 4096 - 65 * 4096  # without the table and the norms
    assert net.macs == matrices + 32 * 2 * 32 * 128 * n
    products = decode(net, batch).products
    attention = [p for p in products if p.right.kind == "activation"]
    assert sum(p.count * p.reduction * p.cols for p in attention) == batch * 32 * 2 * 8 * 128 * n
    weights = [p for p in products if p.right.kind == "weight"]
    assert sum(p.count * p.reduction * p.cols for p in weights) == matrices
    assert {p.rows for p in weights} == {batch}
    assert {p.rows for p in attention} == {4}, "query heads of a group share a fetch"


def test_a_prefill_has_logits_for_its_last_token_alone() -> None:
    n = 512
    net = find_network("llama-3.2-1b", phase="prefill", context=n)
    head = [x for x in net.layers if isinstance(x, Linear) and x.name == "head"]
    assert [x.rows for x in head] == [1]
    matrices = PUBLISHED["llama-3.2-1b"] - 128256 * 2048 - 33 * 2048
    assert net.macs == n * matrices + 128256 * 2048 + 16 * 2 * 32 * 64 * n * n
    assert find_network("llama-3.2-1b", context=n).macs == net.macs + (n - 1) * 128256 * 2048


@pytest.mark.parametrize(("context", "keys"), [(4095, 4095), (4096, 4096), (8192, 4096), (32768, 4096)])
def test_a_decode_fetches_at_most_a_window(context: int, keys: int) -> None:
    net = find_network("mistral-7b", phase="decode", context=context)
    assert {x.cols for x in net.layers if isinstance(x, MatMul) and x.name.endswith(".qk")} == {keys}
    assert {x.reduction for x in net.layers if isinstance(x, MatMul) and x.name.endswith(".pv")} == {keys}


@pytest.mark.parametrize(("context", "pairs"), [(6, 36), (8, 64), (9, 3 * 4 * 8), (12, 3 * 4 * 8), (100, 25 * 4 * 8)])
def test_long_sequences_go_in_blocks_of_a_window(context: int, pairs: int) -> None:
    """Window 4: blocks of 4 queries against 8 keys, where that is less; every pair of the window is in."""
    data = LLAMA | {"model_type": "mistral", "sliding_window": 4}
    for phase in ("training", "prefill"):
        net = language_model(data, "m", "f").network(phase, context)
        found = {x.count * x.rows * x.cols for x in net.layers if isinstance(x, MatMul) and x.name.endswith(".qk")}
        assert found == {4 * pairs}
    assert pairs >= sum(min(i + 1, 4) for i in range(context))


def test_windows_stand_where_the_layer_types_say() -> None:
    _, data = OTHERS["gemma-2-9b"]
    net = language_model(data, "g", "f").network("decode", 8192)
    keys = [x.cols for x in net.layers if isinstance(x, MatMul) and x.name.endswith(".qk")]
    assert keys == [4096, 8192] * 21
    types = ["full_attention"] * 41 + ["sliding_attention"]
    net = language_model(data | {"layer_types": types, "sliding_window": 16}, "g", "f").network("decode", 8192)
    keys = [x.cols for x in net.layers if isinstance(x, MatMul) and x.name.endswith(".qk")]
    assert keys == [8192] * 41 + [16]


def test_mixtral_works_with_two_experts_of_eight() -> None:
    """12,879,925,248 active parameters: table, norms, and every matrix once but the experts, of which two."""
    net = find_network("mixtral-8x7b", phase="decode", context=1)
    attention = sum(x.macs for x in net.layers if isinstance(x, MatMul))
    rest = sum(x.parameters for x in net.layers if isinstance(x, Elementwise))
    assert net.macs - attention + rest == 12_879_925_248


@pytest.mark.parametrize("vectors", [1, 3, 4, 7, 16, 33])
def test_vectors_are_dealt_to_the_experts_one_by_one(vectors: int) -> None:
    layer = Linear(name="e", in_features=6, out_features=10, rows=vectors, experts=8, active=2)
    net = Network(name="n", layers=(layer,))
    dealt = Counter(i % 8 for i in range(2 * vectors))
    for pass_, size in ((Pass.FF, (None, 6, 10)), (Pass.BP, (None, 10, 6)), (Pass.WU, (6, None, 10))):
        work = lower(net, batch=1, method=Method.DENSE, pattern=DENSE, passes=(pass_,)).products
        found: Counter[int] = Counter()
        for p in work:
            sizes = (p.rows, p.reduction, p.cols)
            found[next(s for s, fixed in zip(sizes, size, strict=True) if fixed is None)] += p.count
            assert all(fixed in (None, s) for s, fixed in zip(sizes, size, strict=True))
        assert found == Counter(dealt.values())
        assert sum(p.macs for p in work) == layer.macs == 2 * vectors * 60
        assert len({p.name for p in work}) == len(work)


def test_a_pattern_prunes_weights_and_no_attention() -> None:
    net = find_network("llama-3.2-1b", phase="decode", context=256)
    for product in decode(net, 2, NM(2, 8)).products:
        sparse = product.right.kind == "weight"
        assert product.pattern == (NM(2, 8) if sparse else DENSE), product.name


REFUSED = {
    "[]": "expected fields of a model's configuration",
    '{"a": ': "line 1: truncated or broken JSON",
    "{}": "field model_type: is missing",
    '{"model_type": "lama"}': "field model_type: type 'lama': did you mean llama?",
    '{"model_type": "mamba2"}': "field model_type: type 'mamba2': Known: llama, mistral",
    json.dumps(LLAMA | {"attention_sinks": 4}): "field attention_sinks: is not known and may change what is computed",
    json.dumps(LLAMA | {"quantization_config": {"bits": 4}}): "field quantization_config: is not known",
    json.dumps(LLAMA | {"hidden_size": "32"}): "field hidden_size: must be an integer from 1 to 16777216 (got '32')",
    json.dumps(LLAMA | {"hidden_size": 33}): "field hidden_size: 33 must be a multiple of 4 heads",
    json.dumps(LLAMA | {"num_key_value_heads": 3}): "field num_key_value_heads: 3 must divide 4",
    json.dumps(LLAMA | {"vocab_size": True}): "field vocab_size: must be an integer",
    json.dumps({k: v for k, v in LLAMA.items() if k != "vocab_size"}): "field vocab_size: is missing",
    json.dumps(LLAMA | {"architectures": ["LlamaForSequenceClassification"]}): "field architectures: 'LlamaForSeq",
    json.dumps(LLAMA | {"is_encoder_decoder": True}): "field is_encoder_decoder: True is not modelled",
    json.dumps(LLAMA | {"attention_bias": 1}): "field attention_bias: must be true or false",
    json.dumps(LLAMA | {"model_type": "gemma2", "layer_types": ["linear_attention"] * 2}): "'linear_attention' is not",
    json.dumps(LLAMA | {"model_type": "gemma2", "layer_types": ["full_attention"]}): "expected a list of 2",
    json.dumps(LLAMA | {"model_type": "mixtral", "num_experts_per_tok": 9}): "num_experts_per_tok: 9 of 8 experts",
    json.dumps(LLAMA | {"model_type": "phi", "partial_rotary_factor": 2}): "must be a number from 0 to 1",
    json.dumps(LLAMA | {"model_type": "bert", "num_key_value_heads": 2}): "field num_key_value_heads: is not known",
    json.dumps(LLAMA | {"model_type": "qwen2_moe", "use_sliding_window": True}): "use_sliding_window: True is not",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_counted_is_refused_by_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(InputError, match="m.json") as error:
        read_network(path)
    assert REFUSED[text] in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_switched_off_or_changes_no_count_is_read(tmp_path: Path) -> None:
    more = {"attention_sinks": None, "use_mrope": False, "pruned_heads": {}, "rope_scaling": {"factor": 8.0},
            "torch_dtype": "bfloat16", "bos_token_id": 1, "attention_dropout": 0.1, "temperature": 0.6}  # fmt: skip
    for data in (LLAMA, LLAMA | more):
        (tmp_path / "m.json").write_text(json.dumps(data), encoding="utf-16")
        assert read_network(tmp_path / "m.json").parameters == 96 * 32 * 2 + 2 * (3 * 32 * 48 + 3 * 32**2 + 64) + 32


def test_a_config_json_is_called_as_its_folder(tmp_path: Path) -> None:
    (tmp_path / "my model.v2").mkdir()
    path = tmp_path / "my model.v2" / "config.json"
    path.write_text(json.dumps(LLAMA))
    assert find_network(path).name == "my model.v2"


def test_a_yaml_keeps_the_phase(tmp_path: Path) -> None:
    net = find_network("llama-3.2-1b", phase="decode", context=100)
    write_network_yaml(net, tmp_path / "n.yaml")
    assert read_network(tmp_path / "n.yaml") == net
    assert find_network(tmp_path / "n.yaml", phase="decode", context=100) == net
    for wrong in ({"phase": "training"}, {"phase": "prefill"}, {"phase": "decode", "context": 99}):
        with pytest.raises(InputError, match=r"has the shapes of (decode|context 100)$"):
            find_network(tmp_path / "n.yaml", **wrong)


WITHOUT_EFFECT = {
    "sat resnet18 --phase decode": "phase: decode: network resnet18 is run in training alone",
    "sat resnet18 --context 64": "context: 64: network resnet18 has no sequence",
    "sat llama-3.2-1b --phase decod": "--phase: Input should be 'training', 'prefill' or 'decode'; did you mean decode",
    "sat llama-3.2-1b --phase decode --passes FF,BP": "--passes: decode is the forward pass alone: FF",
    "sat llama-3.2-1b --phase decode --method bdwp": "--method: bdwp has no effect without a pattern",
    "sat llama-3.2-1b --phase decode --method sdgp --nm 2:8": "--nm: 2:8 has no effect: method sdgp prunes nothing",
    "sat llama-3.2-1b --phase decode --context 0": "--context: Input should be greater than or equal to 1",
    "sat llama-3.2-1b --phase decode --set skip=[head]": "skip: has no effect without a pattern",
    "sat bert.json --phase decode": "phase: bert is an encoder: it has training and prefill, no decode",
    "sat bert.json --phase prefill --context 513": "context 513: bert has 512 learned positions",
    "networks llama-3.2-1bb": "did you mean llama-3.2-1b?",
}


@pytest.mark.parametrize("words", WITHOUT_EFFECT)
def test_settings_without_effect_are_refused(words: str, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "bert.json").write_text(json.dumps(OTHERS["bert-base-uncased"][1]))
    check_refused(words, WITHOUT_EFFECT[words], tmp_path, monkeypatch, capsys)


def test_a_result_says_its_phase(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(LLAMA))
    words = ("sat", tmp_path / "tiny.json", "--phase", "decode", "--context", 64, "--out", tmp_path / "out")
    assert run(monkeypatch, *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["phase"], found["context"], found["batch"], found["pattern"]) == ("decode", 64, 1, "dense")
    stored = hwsim.load(tmp_path / "out")
    assert stored.workload == "tiny, decode of one token at context 64, batch 1, dense"
    assert found["macs"] == stored.total("macs") == 2 * (3 * 32 * 48 + 3 * 32**2) + 32 * 96 + 2 * 2 * 32 * 64
    assert run(monkeypatch, *words, "--nm", "2:4", "--batch", 2) == 0
    assert "tiny, decode of one token at context 64, batch 2: bdwp 2:4" in capsys.readouterr().out
    assert run(monkeypatch, "networks", tmp_path / "tiny.json", "--phase", "prefill") == 0
    assert "tiny, prefill of 2,048 tokens: 21,664 parameters" in capsys.readouterr().out


def test_a_network_given_as_an_object_brings_its_phase(tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(LLAMA))
    net = hwsim.network(tmp_path / "tiny.json", phase="decode", context=64)
    for machine in ("sat", "tensor24"):
        by_object = hwsim.simulate(hwsim.machine(machine), net)
        by_name = hwsim.simulate(hwsim.machine(machine), tmp_path / "tiny.json", phase="decode", context=64)
        assert by_object.cycles == by_name.cycles
        assert by_object.workload == by_name.workload == "tiny, decode of one token at context 64, batch 1, dense"
    with pytest.raises(InputError, match="phase: prefill: network tiny has the shapes of decode"):
        hwsim.simulate(hwsim.machine("sat"), net, phase="prefill")
    table = hwsim.sweep(hwsim.machine("sat"), net, over={"rows": [8, 16]}, store=tmp_path / "s", workers=0).table
    assert list(table["status"]) == ["ok", "ok"]


def test_layers_alike_are_simulated_once(monkeypatch) -> None:
    times: list[object] = []
    plain = Simulation._time
    monkeypatch.setattr(Simulation, "_time", lambda self, item: times.append(item) or plain(self, item))
    net = hwsim.network("llama-3.2-1b", phase="decode", context=512)
    result = hwsim.simulate(hwsim.machine("sat"), net)
    products = [r for r in result.records if r["kind"] == "product"]
    assert len(products) == 16 * 9 + 1
    assert len(times) == 7, "q and o alike, k and v, gate and up, down, Q K^T, P V, head"
