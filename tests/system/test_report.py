# SPDX-License-Identifier: Apache-2.0
"""Reports: whole, self-contained, and with the study's own numbers in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dataflow.networks.network import Linear, Network
from dataflow.networks.zoo import network
from dataflow.pattern import NM
from hwsim.core.study import StudyTables
from hwsim.core.units import time_text
from hwsim.sat.config import SatConfig
from hwsim.sat.study import study
from reports.page import markdown_table
from reports.published import published
from reports.report import write_report
from tests.support.pages import check_page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyTables, Path]:
    odd = Network(name="a|b <c>", layers=(Linear(name="x|<y>", in_features=64, out_features=64),))
    tables, _ = study(SatConfig(), [network("resnet9"), odd], 8, [NM(2, 4), NM(2, 8)], detail=NM(2, 8))
    tables["accuracy"] = [
        {"task": "t", "method": m, "pattern": p, "metric": "accuracy", "seeds": 3, "diverged": 0, "mean": 0.9,
         "std": None, "delta": -0.01, "delta_std": 0.002, "batch": 8, "cycles": 5, "speedup": 1.5}
        for m, p in (("dense", "dense"), ("bdwp", "2:8"), ("srste", "2:8"), ("sdgp", "2:8"), ("sdwp", "2:8"))
    ]  # fmt: skip
    config = SatConfig()
    meta = {
        "title": "A study", "command": "hwsim test", "config": config.model_dump(), "batch": 8, "date": "today",
        "detail_pattern": "2:8", "peak_macs_per_cycle": 1024, "dram_bytes_per_cycle": config.dram_bytes_per_cycle,
        "frequency_hz": config.frequency_hz, "version": "0", "machine": "m",
    }  # fmt: skip
    made = StudyTables(meta, tables)
    out = tmp_path_factory.mktemp("report")
    paths = write_report(made, out)
    assert all(p.exists() for p in paths)
    return made, out


def test_page_is_whole_and_self_contained(report) -> None:
    text = (report[1] / "report.html").read_text()
    check_page(text)
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert "<c>" not in text.split("<body>")[1]


def test_markdown_refers_to_figures_that_exist(report) -> None:
    text = (report[1] / "report.md").read_text()
    figures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(figures) >= 8
    for name in figures:
        svg = (report[1] / name).read_text()
        assert svg.startswith("<?xml")
        assert (report[1] / name).with_suffix(".png").stat().st_size > 5000


def test_numbers_in_the_page_are_the_studys(report) -> None:
    text = (report[1] / "report.md").read_text()
    for row in report[0].tables["speedup"]:
        if row["network"] == "resnet9":
            assert (
                f"| resnet9 | {row['pattern']} | 8 | {time_text(row['dense_ms'] / 1e3)} | "
                f"{time_text(row['sparse_ms'] / 1e3)} |" in text
            )
            assert f"| {row['speedup']:.3f} |" in text
    assert (report[1] / "study" / "speedup.csv").exists()
    stored = StudyTables.read(report[1] / "study")
    again = report[1] / "again"
    write_report(stored, again)
    assert (again / "report.md").read_text() == text
    assert (again / "report.html").read_text() == (report[1] / "report.html").read_text()


def test_published_figures_have_sources() -> None:
    figures = published()
    assert figures["sat_speedup_mean"].value == 1.75
    assert all("arXiv" in p.source for p in figures.values())


def test_published_figures_are_in_one_file_only() -> None:
    """No model, schedule or simulator knows a published result."""
    root = Path(__file__).parents[2]
    for folder in ("hwsim", "dataflow", "algorithms"):
        for path in (root / folder).rglob("*.py"):
            assert "reports.published" not in path.read_text(), path
            assert not re.search(r"\b1\.75\b", path.read_text()), path


def test_table_cells() -> None:
    text = markdown_table(
        [{"a": 1234567, "b": "x|<y>\nz"}, {"a": None, "b": None}], [("a", "A", ",d"), ("b", "B", "s")]
    )
    assert text.splitlines() == ["| A | B |", "| ---: | --- |", "| 1,234,567 | x&#124;&lt;y&gt; z |", "| – | – |"]
