# SPDX-License-Identifier: Apache-2.0
"""The kept page of both papers' claims: each has a row and a command; the page is made of the kept tables alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import reports
from hwsim.core.study import StudyTables
from reports.claims import write_reproduction
from reports.published import published
from tests.support.pages import check_page

KEPT = Path(reports.__file__).parent / "reproduction"
CLAIMS = {
    "sat_speedup_mean", "sat_speedup_ideal", "bdwp_accuracy_loss_mean", "sat_throughput_over_fpgas",
    "spatten_dram_reduction", "spatten_compute_reduction", "spatten_tflops_bert",
    "spatten_tflops_gpt2", "spatten_over_a3", "spatten_over_mnnfast", "spatten_energy_over_a3",
    "spatten_energy_over_mnnfast", "spatten_ladder_datapath", "spatten_ladder_tokens", "spatten_ladder_heads",
    "spatten_parallel_topk", "spatten_quantization", "spatten_topk_saturates", "spatten_sram_saturates", "spatten_area",
    "spatten_power", "spatten_topk_area", "spatten_topk_power",
    "spatten_gpt2_medium_ms", "spatten_gpt2_medium_gflop", "spatten_eighth_gops", "spatten_eighth_gopj",
    "spatten_eighth_mm2", "spatten_a3_mm2", "spatten_power_logic", "spatten_power_sram", "spatten_power_dram",
    *(f"spatten_{what}_{device}" for what in ("over", "energy_over")
      for device in ("titan_xp", "xeon", "jetson_nano", "raspberry_pi")),
}  # fmt: skip


@pytest.fixture(scope="module")
def kept() -> StudyTables:
    return StudyTables.read(KEPT / "study")


def test_every_claim_has_a_row_and_a_command(kept: StudyTables) -> None:
    claims = {row["key"]: row for row in kept.tables["claims"]}
    assert claims.keys() == CLAIMS
    assert published().keys() >= CLAIMS
    for row in claims.values():
        assert str(row["command"]).startswith("hwsim ")
        assert row["why"] not in (None, "")
        assert row["value"] > 0


def test_nothing_beats_a_bound(kept: StudyTables) -> None:
    assert kept.tables["bounds"]
    assert {row["holds"] for row in kept.tables["bounds"]} == {"yes"}


def test_page(kept: StudyTables, tmp_path: Path) -> None:
    paths = write_reproduction(kept, tmp_path)
    text = (tmp_path / "report.html").read_text()
    check_page(text)
    shown = (tmp_path / "report.md").read_text()
    for row in kept.tables["claims"]:
        assert published()[row["key"]].what in shown
        assert str(row["command"]).split(" --")[0] in shown
    assert shown == (KEPT / "README.md").read_text()
    assert all(p.exists() for p in paths)
    broken = StudyTables(kept.meta, kept.tables | {"claims": [{**kept.tables["claims"][0], "ours": "<b> | x"}]})
    write_reproduction(broken, tmp_path / "b")
    assert "<b>" not in (tmp_path / "b" / "report.md").read_text()


def test_a_claim_is_compared_with_its_own_figure(kept: StudyTables, tmp_path: Path) -> None:
    row = next(r for r in kept.tables["claims"] if r["key"] == "spatten_area")
    doubled = StudyTables(
        kept.meta, kept.tables | {"claims": [{**row, "value": 2 * published()["spatten_area"].value}]}
    )
    write_reproduction(doubled, tmp_path)
    shown = (tmp_path / "report.md").read_text().splitlines()
    line = next(t for t in shown if t.startswith("| SpAtten, area at 40 nm"))
    assert line.split("|")[5].strip() == "2"
