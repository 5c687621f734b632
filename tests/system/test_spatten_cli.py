# SPDX-License-Identifier: Apache-2.0
"""``hwsim spatten``: files, names, traces; wrong input is one line; a large file gives what a small one does."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from algorithms.attention.attach import attach
from algorithms.attention.examples import trace_generation
from algorithms.attention.traces import write_attention_trace
from algorithms.training.models import CharLM
from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule
from dataflow.attention.trace import read_attention_trace
from dataflow.attention.workload import PUBLISHED, read_workload
from hwsim.spatten import run as module
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.replay import replay
from hwsim.spatten.run import SpattenRun, SpattenStudy
from tests.support.cli import check_refused, run

ROWS = PUBLISHED["gpt2-small-wikitext2"].read_text().splitlines()
HEADER, FIRST = ROWS[0], ROWS[1]


def changed(**values: object) -> str:
    """A file of one row with some values changed."""
    cells = dict(zip(HEADER.split(","), FIRST.split(","), strict=True)) | {k: str(v) for k, v in values.items()}
    return f"{HEADER}\n{','.join(cells.values())}\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "column.csv").write_text("\n".join(",".join(line.split(",")[:-1]) for line in ROWS[:3]))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "above.csv").write_text(changed(key_fetch_num=994))
    (tmp_path / "value.csv").write_text(changed(value_fetch_num=994))
    (tmp_path / "d.csv").write_text(changed(embedding_length_D=48))
    (tmp_path / "zero.csv").write_text(changed(quant_key_bit=0))
    (tmp_path / "forty.csv").write_text(changed(quant_value_bit=40))
    (tmp_path / "nan.csv").write_text(changed(topk="nan"))
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    (tmp_path / "good.csv").write_text(changed())
    (tmp_path / "folder").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "meta.json").write_text('{"format": "hwsim-attention-trace/1"}')
    (tmp_path / "bad.yaml").write_text("machine: {topk_parallel: 3}\n")
    return tmp_path


WRONG = {
    "spatten {}/column.csv": "column.csv: column topk is missing",
    "spatten {}/empty.csv": "empty.csv: empty",
    "spatten {}/above.csv": "above.csv:2: key_fetch_num is above sentence_length_L",
    "spatten {}/value.csv": "value.csv:2: value_fetch_num is above key_fetch_num",
    "spatten {}/d.csv": "d.csv:2: embedding_length_D must be one of 32, 64, 128",
    "spatten {}/zero.csv": "zero.csv:2: quant_key_bit='0': must be -1 or a whole number, 2 to 16",
    "spatten {}/forty.csv": "forty.csv:2: quant_value_bit='40': must be -1 or a whole number, 2 to 16",
    "spatten {}/nan.csv": "nan.csv:2: topk='nan'",
    "spatten {}/binary.csv": "binary.csv: not a UTF-8 text file",
    "spatten {}/nope.csv": "nope.csv: cannot be read",
    "spatten {}/folder": "folder: no finished attention trace",
    "spatten {}/half": "steps.parquet: broken or missing",
    "spatten bert-basis": "workload 'bert-basis': did you mean bert-base? Known: bert-base, ",
    "spatten {}/good.csv --set pruning.values=0.5": "pruning: only for a model's size or a benchmark by name",
    "spatten --set pruning.values=1.5": "pruning.values",
    "spatten --config {}/bad.yaml": "topk_parallel=3: must be a power of two",
    "spatten --seed -1": "seed",
    "spatten --design half": "half",
    "spatten --set machine.memory.channels=3": "channels=3: must be a power of two",
    "spatten --set machine.frequency_hz=500000003": "numerator and denominator are at most 1,000,000",
    "spatten --set machine.key_sram_bytes=0": "machine.key_sram_bytes",
    "spatten --set style=gpu": "style",
    "report --machine spatten --workloads bert-base,bert-base": "appears twice",
    "report --machine spatten --networks resnet9": "workload 'resnet9': Known: bert-base",
    "report --machine spatten --nm 2:8": "--nm: a study of spatten has no patterns",
    "report --machine nothing": "machine 'nothing'",
    "attention --trace {}/folder --share 2": "--share",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_input_is_one_line(words: str, files: Path, monkeypatch, capsys) -> None:
    check_refused(f"{words.format(files)} --out o", WRONG[words], files, monkeypatch, capsys)


def test_writes_what_it_shows(files: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(files)
    assert run(monkeypatch, "spatten", "good.csv", "--compare", "--json", "--out", "o") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [s["machine"] for s in shown] == ["SpAtten", "dense", "MNNFast", "A3"]
    for s, folder in zip(shown, ("o", "o/dense", "o/mnnfast", "o/a3"), strict=True):
        table = pd.read_parquet(files / folder / "result.parquet")
        assert table.cycles.sum() == s["cycles"] == sum(s["cycles_by_cause"].values())
        assert table.dram_bytes.sum() == s["dram_bytes"] == sum(s["dram_bytes_by_kind"].values())
        energy = sum(table[c].sum() for c in table.columns if c.startswith("energy_")) * 1e-12
        assert energy == pytest.approx(sum(s["energy_j"].values()))
    assert json.loads((files / "o" / "timeline.json").read_text())["traceEvents"]
    assert read_workload(files / "o" / "workload.csv").rows.equals(read_workload(files / "good.csv").rows)
    assert run(monkeypatch, "spatten", "good.csv", "--design", "eighth") == 0
    assert "importance and probabilities: synthetic" in capsys.readouterr().out


def test_rows_without_keys_cost_nothing(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "none.csv").write_text(changed(key_fetch_num=0, value_fetch_num=0))
    assert run(monkeypatch, "spatten", tmp_path / "none.csv", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["cycles"], shown["dram_bytes"], shown["queries"]) == (0, 0, 0)
    (tmp_path / "novalue.csv").write_text(changed(value_fetch_num=0))
    assert run(monkeypatch, "spatten", tmp_path / "novalue.csv", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["dram_bytes_by_kind"]["value"] == 0
    assert shown["queries"] == 1


def test_a_large_file_is_streamed(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "part.csv"
    path.write_text("\n".join([HEADER, *ROWS[1:400]]) + "\n")
    whole = SpattenRun(workload=str(path))
    expected = whole.run(whole.open())
    monkeypatch.setattr(module, "WHOLE_BYTES", 10)
    opened = whole.open()
    assert opened.whole is None
    monkeypatch.setattr(module, "stream_workload", lambda p: stream(p))
    assert whole.run(opened).steps == expected.steps
    with pytest.raises(module.InputError, match="too large for a baseline"):
        whole.model_copy(update={"style": "A3"}).run(opened)
    with pytest.raises(module.InputError, match="too large for a study"):
        SpattenStudy(workloads=(str(path),)).cases()


def stream(path: Path):
    from dataflow.attention.workload import stream_workload

    return stream_workload(path, rows=37)


def test_a_trace_runs_with_its_own_probabilities(tmp_path: Path, monkeypatch, capsys) -> None:
    torch.manual_seed(0)
    model = CharLM(60, dim=128, depth=3, heads=4, context=64).eval()
    text = torch.randint(0, 60, (60,), dtype=torch.uint8)
    name = trace_generation(tmp_path / "t", model, text, 0.5, prompt=30, length=5)
    assert run(monkeypatch, "spatten", tmp_path / "t", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["workload"] == name
    rows = read_workload(tmp_path / "t" / "workload.csv").rows
    assert shown["queries"] == rows.query_num.sum()
    assert shown["lsb_recomputations"] == rows[rows.if_requant].query_num.sum()
    assert run(monkeypatch, "spatten", tmp_path / "t", "--json", "--seed", 5) == 0
    (other,) = json.loads(capsys.readouterr().out)
    assert other["cycles"] == shown["cycles"]  # nothing is drawn
    path = sorted((tmp_path / "t").glob("step-*.npz"))[2]
    path.write_bytes(path.read_bytes()[:50])
    assert run(monkeypatch, "spatten", tmp_path / "t") == 2
    assert f"{path.name}: broken" in capsys.readouterr().err


@pytest.mark.parametrize("quantized", [True, False])
def test_a_trace_through_the_functional_level(tmp_path: Path, quantized: bool) -> None:
    """Torch and the machine agree on LSBs; probabilities differ by rounding, unless only the machine quantizes."""
    torch.manual_seed(1)
    model = CharLM(60, dim=128, depth=2, heads=2, context=64).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.attention.q.weight *= 6  # sharper than a new model's
    pruning = AttentionPruning(tokens=RatioSchedule(average=0.3), values=0.4)
    if quantized:
        pruning = pruning.model_copy(update={"quantization": Quantization(msb=6, lsb=4, threshold=0.3)})
    ids = torch.randint(0, 60, (1, 40))
    with torch.no_grad(), attach(model, pruning, record=True) as done:
        model(ids)
    write_attention_trace(tmp_path / "t", done.sessions[0], origin="t", dimension=64)
    rows = replay(SpattenConfig(), *read_attention_trace(tmp_path / "t"))
    assert [r.queries for r in rows] == [s.again.numel() for s in done.sessions[0].steps]
    if quantized:
        assert 0 < sum(int(s.again.sum()) for s in done.sessions[0].steps) < sum(r.queries for r in rows)
        assert sum(r.lsb_decisions_different for r in rows) == 0
        assert max(r.probability_units for r in rows) < 0.51
    else:
        assert 0.51 < max(r.probability_units for r in rows) < 40
    assert max(r.output_error for r in rows) < 0.02


def test_a_sample_is_named_so_and_does_not_begin_with_the_first_token(tmp_path: Path, monkeypatch, capsys) -> None:
    opened = SpattenRun(workload="gpt2-small-wikitext2", iteration_stride=8).open()
    name = "gpt2-small-wikitext2, sample of 4 of 32 iterations"
    assert opened.name == name
    assert opened.whole is not None
    assert opened.whole.rows.iteration_id.unique().tolist() == [4, 12, 20, 28]
    (case,) = SpattenStudy(workloads=("gpt2-small-wikitext2",), iteration_stride=8).cases()
    assert case.name == case.workload.name == name
    (case,) = SpattenStudy(workloads=("gpt2-small-wikitext2",)).cases()
    assert case.name == "gpt2-small-wikitext2"
    assert len(case.workload.rows) == 4608
    path = tmp_path / "part.csv"
    path.write_text("\n".join([HEADER, *ROWS[1:289]]) + "\n")  # two iterations
    assert run(monkeypatch, "spatten", path, "--set", "iteration_stride=100") == 0
    assert "part, sample of 1 of 2 iterations on SpAtten" in capsys.readouterr().out
    assert SpattenRun(workload=str(path), iteration_stride=2).measure()["ran"] == "part, sample of 1 of 2 iterations"
    whole = SpattenRun(workload="bert-base", iteration_stride=8).open()
    assert (whole.name, len(whole.whole.rows)) == ("bert-base", len(SpattenRun(workload="bert-base").open().whole.rows))
    monkeypatch.setattr(module, "WHOLE_BYTES", 10)
    streamed = SpattenRun(workload=str(path), iteration_stride=2)
    assert streamed.open().name == "part, sample of 1 of 2 iterations"
    assert set(pd.concat(streamed.open().pieces()).iteration_id) == {1}
    with pytest.raises(module.InputError, match=r"^iteration_stride=6: .*part.csv has no iteration 3$"):
        list(SpattenRun(workload=str(path), iteration_stride=6).open().pieces())


def test_both_readings_run(tmp_path: Path, monkeypatch, capsys) -> None:
    """Of a row that is not quantized: what is fetched is what the reading says, and the run says which it is."""
    path = tmp_path / "none.csv"
    text = "0,0,0,64.0,992,992,-1,-1,-1,False,-1,992,-1,True,False,False,-1"
    path.write_text(f"{HEADER}\n{text}\n")
    shown = {}
    for reading in ("release", "operands", ""):
        words = ["--set", f"unquantized={reading}"] if reading else []
        assert run(monkeypatch, "spatten", path, "--json", *words) == 0
        (shown[reading],) = json.loads(capsys.readouterr().out)
    release, operands = shown["release"], shown["operands"]
    assert shown[""] == release
    assert release["reading"].startswith("keys of -1, 10 and 12 bits: 8 + 4 bits, always computed again")
    assert operands["reading"] == "operands of -1 bits: as wide as the machine's"
    assert release["dram_bytes_by_kind"] == {
        "query": 96, "key": 992 * 64, "lsb": 992 * 32, "value": 992 * 64, "weight": 0
    }  # fmt: skip
    assert operands["dram_bytes_by_kind"] == {
        "query": 96, "key": 992 * 96, "lsb": 0, "value": 992 * 96, "weight": 0
    }  # fmt: skip
    assert (release["lsb_recomputations"], operands["lsb_recomputations"]) == (1, 0)
    assert release["macs"] == 3 * 992 * 64
    assert operands["macs"] == 2 * 992 * 64
    assert run(monkeypatch, "spatten", path) == 0
    assert "keys of -1, 10 and 12 bits" in capsys.readouterr().out
    monkeypatch.setattr(module, "WHOLE_BYTES", 10)
    opened = SpattenRun(workload=str(path)).open()
    assert opened.whole is None
    assert pd.concat(opened.pieces()).quant_key_bit.tolist() == [8]
    made = SpattenRun(workload="gpt2-small", pruning=AttentionPruning()).open()
    assert (made.whole.rows.quant_key_bit == -1).all()  # not the authors': as wide as the operands


def test_rounded_counts_are_fetched_and_multiplied(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "part.csv"
    path.write_text(changed(key_fetch_num=921, value_fetch_num=181, if_requant=False, quant_key_bit=8))
    found = {}
    for rounding in (1, 8):
        assert run(monkeypatch, "spatten", path, "--json", "--set", f"count_rounding={rounding}") == 0
        (found[rounding],) = json.loads(capsys.readouterr().out)
    assert [found[n]["macs"] for n in (1, 8)] == [(921 + 181) * 64, (928 + 184) * 64]
    assert found[8]["dram_bytes_by_kind"]["key"] == 928 * 64
    assert found[1]["reading"] == ""
    assert found[8]["reading"] == "numbers of fetched keys and values: rounded up to 8"


@pytest.mark.parametrize("setting", ["iteration_stride=2", "unquantized=release", "count_rounding=8"])
def test_a_trace_is_run_as_it_was_recorded(setting: str, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "tr").mkdir()
    reason = f"{setting}: the trace tr is run whole, as it was recorded"
    check_refused(f"spatten tr --set {setting}", reason, tmp_path, monkeypatch, capsys)
