# SPDX-License-Identifier: Apache-2.0
"""SpAtten's part of a report: whole, alone and behind SAT's, with the study's own numbers in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule
from dataflow.attention.workload import Transformer, make_workload
from dataflow.networks.network import Linear, Network
from dataflow.pattern import NM
from hwsim.core.study import StudyTables
from hwsim.sat.config import SatConfig
from hwsim.sat.study import study as sat_study
from hwsim.spatten import study as module
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.study import Case, runs, study
from hwsim.spatten.timing.scores import SyntheticScores
from reports.report import write_report
from tests.support.pages import check_page

PRUNING = AttentionPruning(
    tokens=RatioSchedule(average=0.2), heads=RatioSchedule(average=0.1, spared=0.5), values=0.4,
    quantization=Quantization(msb=6, lsb=4),
)  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyTables, Path]:
    cases = [
        Case("decoder|<d>", make_workload("d", Transformer(3, 2, 64, 90, 2), PRUNING, refetched=0.3), "sizes"),
        Case("encoder", make_workload("e", Transformer(2, 3, 32, 40, 0), PRUNING), "sizes"),
    ]
    ticks: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PARALLEL", (1, 16))
        patch.setattr(module, "SRAM_KB", (4, 192))
        patch.setattr(module, "ENGINE_KEYS", (32, 64))
        tables = study(SpattenConfig(), cases, seed=0, spread=2.0, tick=ticks.append)
    assert len(ticks) == runs(cases)
    tables["attention_torch"] = [
        {"model": "m", "device": "cpu", "milliseconds": 1.0, "gflops": 10.0, "flop_per_byte": 0.5, "threads": 1,
         "roof_gflops": 50.0,
         "roof_gb_per_s": 20.0, "share_of_roof": 1.0, "spatten_milliseconds": 0.1, "speedup": 10.0}
    ]  # fmt: skip
    tables["words"] = [{"word": "a|b", "layers": 1}, {"word": "c", "layers": 2}]
    meta = {
        "title": "A study", "command": "hwsim test", "date": "today", "version": "0", "machine": "m", "seed": 0,
        "spread": 2.0, "spatten_config": SpattenConfig().model_dump(mode="json"), "spatten_peak_tflops": 2.048,
        "spatten_peak_bytes_per_s": 512e9,
    }  # fmt: skip
    made = StudyTables(meta, tables)
    out = tmp_path_factory.mktemp("report")
    assert all(p.exists() for p in write_report(made, out))
    return made, out


def test_page_is_whole(report) -> None:
    text = (report[1] / "report.html").read_text()
    check_page(text)
    assert "<d>" not in text.split("<body>")[1]
    assert len(re.findall("<figure", text)) == 10
    markdown = (report[1] / "report.md").read_text()
    assert len(re.findall(r"!\[[^]]+\]\(figures/", markdown)) == 10


def test_numbers_are_the_studys(report) -> None:
    made, out = report
    text = (out / "report.md").read_text()
    for row in made.tables["ladder"]:
        assert f"| {row['technique']} | synthetic | {row['cycles']:,} | {row['over_dense']:.2f} |" in text
    for row in made.tables["baselines"]:
        assert f"| {row['machine']} | {row['cycles']:,} | {row['slower']:.2f} |" in text
    for row in made.tables["attention_headlines"]:
        assert row["ours"].replace("|<d>", "&#124;&lt;d&gt;") in text
    stored = StudyTables.read(out / "study")
    again = out / "again"
    write_report(stored, again)
    assert (again / "report.md").read_text() == text
    assert (again / "report.html").read_text() == (out / "report.html").read_text()


def test_behind_sat(report, tmp_path: Path) -> None:
    """One page of both machines: a heading each, that the page's first lines lead to."""
    small = Network(name="n", layers=(Linear(name="l", in_features=64, out_features=64),))
    tables, _ = sat_study(SatConfig(), [small], 8, [NM(2, 8)], detail=NM(2, 8))
    config = SatConfig()
    meta = report[0].meta | {
        "config": config.model_dump(), "batch": 8, "detail_pattern": "2:8", "peak_macs_per_cycle": 1024,
        "dram_bytes_per_cycle": config.dram_bytes_per_cycle, "frequency_hz": config.frequency_hz,
    }  # fmt: skip
    write_report(StudyTables(meta, tables | {"accuracy": []} | report[0].tables), tmp_path)
    text = (tmp_path / "report.html").read_text()
    check_page(text)
    for name in ("sat-sparse-training", "spatten-sparse-attention"):
        assert text.count(f'<h2 id="{name}">') == text.count(f'href="#{name}"') == 1
    assert len(re.findall("<h1", text)) == 1
    assert not re.search(r"<td[^>]*>#", text)


def test_tables_agree_with_each_other(report) -> None:
    tables = report[0].tables
    for name in {r["workload"] for r in tables["attention"]}:
        (row,) = (r for r in tables["attention"] if r["workload"] == name)
        techniques = [r for r in tables["ladder"] if r["workload"] == name]
        assert techniques[0]["over_dense"] == 1
        assert techniques[-1]["cycles"] == row["cycles"]
        assert row["speedup"] == techniques[-1]["over_dense"]
        shares = [r["share"] for r in tables["attention_causes"] if r["workload"] == name]
        assert sum(shares) == pytest.approx(1)
        moved = [r for r in tables["attention_traffic"] if r["workload"] == name]
        for technique, kinds in zip(techniques, moved, strict=True):
            assert sum(v for k, v in kinds.items() if k.endswith("_mb")) == pytest.approx(technique["dram_mb"])
        sweep = [r for r in tables["topk_sweep"] if r["workload"] == name and (r["engines"], r["parallel"]) == (1, 16)]
        assert sweep[0]["cycles"] == row["cycles"]
        assert [r["cycles"] for r in tables["sram_sweep"] if r["workload"] == name][-1] == row["cycles"]
    assert json.dumps(tables)  # plain values


def test_recorded_probabilities_are_named(tmp_path: Path) -> None:
    """A headline with recorded probabilities stands in the ladder too, under its name; a published figure of one model
    is compared with runs of that model only, and the page says what was run."""
    recorded = SyntheticScores(7, 3.0, SpattenConfig().probability_bits)
    workload = make_workload("e", Transformer(2, 3, 32, 40, 0), PRUNING)
    with pytest.MonkeyPatch.context() as patch:
        for name, values in (("PARALLEL", (1, 16)), ("SRAM_KB", (4, 192)), ("ENGINE_KEYS", (32, 64))):
            patch.setattr(module, name, values)
        case = Case("e", workload, "a trace", "bert-base", recorded)
        tables = study(SpattenConfig(), [case], seed=0, spread=2.0, tick=lambda _: None)
    (row,) = tables["attention"]
    *synthetic, last = tables["ladder"]
    assert {r["probabilities"] for r in synthetic} == {"synthetic"}
    assert last["probabilities"] == row["probabilities"] == "recorded"
    assert (last["cycles"], last["over_dense"]) == (row["cycles"], row["speedup"])
    assert row["synthetic_speedup"] == synthetic[-1]["over_dense"] != row["speedup"]
    found = {r["key"]: r for r in tables["attention_headlines"]}
    assert found["spatten_parallel_topk"]["value"] is None  # GPT-2's
    assert found["spatten_tflops_bert"]["value"] == row["tflops"]
    meta = {
        "title": "A study", "command": "hwsim test", "date": "today", "version": "0", "machine": "m", "seed": 0,
        "spread": 2.0, "spatten_config": SpattenConfig().model_dump(mode="json"), "spatten_peak_tflops": 2.048,
        "spatten_peak_bytes_per_s": 512e9,
    }  # fmt: skip
    write_report(StudyTables(meta, tables | {"attention_torch": []}), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert f"with synthetic\nones, as in the ladder of techniques below, it is {row['synthetic_speedup']:.2f}x" in text
    assert row["bottleneck"] in text
    assert not re.search(r"^\| GPT-2", text, re.MULTILINE)
