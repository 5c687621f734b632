# SPDX-License-Identifier: Apache-2.0
"""Pages of any machine: runs side by side, a machine without sections, one with sections, claims and published figures
of its own; and every kind of page fits a phone and a small screen, light and dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reports
from hwsim.core import report as sections_of
from hwsim.core.machine import MACHINES, Machine, RunSettings
from hwsim.core.report import CLAIMS, Section
from hwsim.core.result import SimpleResult
from hwsim.core.study import StudyTables
from reports.claims import write_reproduction
from reports.compare import write_comparison
from reports.published import published_of
from reports.report import write_report
from tests.support import tools
from tests.support.cli import run as cli
from tests.support.pages import check_page, sweep_page

KEPT = Path(reports.__file__).parent / "reproduction"
META = {"title": "A page", "command": "hwsim test", "date": "today", "version": "0", "machine": "m"}


def run(name: str, scale: int = 1) -> SimpleResult:
    steps = [
        {"step": f"{name}|<{i}>", "cycles": scale * (i + 1) * 30_000, "work": scale * (i + 1) * 20_000,
         "wait": scale * (i + 1) * 10_000, "energy_mac_pj": 1e6 * i, "energy_dram_pj": 5e6}
        for i in range(20)
    ]  # fmt: skip
    return SimpleResult("mine", name, {}, 10**9, steps, {"work": "useful work", "wait": "waits for memory"})


def test_runs_side_by_side(tmp_path: Path) -> None:
    results = {"slow <a>": run("slow", 3), "fast|b": run("fast")}
    paths = write_comparison(results, tmp_path)
    assert all(p.exists() for p in paths)
    check_page((tmp_path / "report.html").read_text())
    text = (tmp_path / "report.md").read_text()
    assert "| slow &lt;a&gt; | mine | slow | 18,900,000 | 18.9 ms | 1.000 | 290 uJ |" in text
    assert "| fast&#124;b | mine | fast | 6,300,000 | 6.30 ms | 3.000 | 290 uJ |" in text
    assert "| fast&#124;b | waits for memory | 2,100,000 | 33.3% |" in text
    assert set(re.findall(r"figures/(\w+)\.svg", text)) == {"speedup", "causes", "energy"}
    stored = StudyTables.read(tmp_path / "study")
    write_report(stored, tmp_path / "again")
    assert (tmp_path / "again" / "report.md").read_text() == text


def test_one_run_without_energy(tmp_path: Path) -> None:
    result = run("only")
    bare = [{k: v for k, v in row.items() if not k.startswith("energy")} for row in result.steps]
    write_comparison({"only": SimpleResult("mine", "only", {}, 10**9, bare, result.cause_text)}, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert set(re.findall(r"figures/(\w+)\.svg", text)) == {"causes"}
    assert "over the first" not in text
    assert "Energy" not in text


def test_a_study_without_sections_is_shown_as_it_is(tmp_path: Path) -> None:
    tables = {"per_layer": [{"layer": "a|b", "cycles": 1234567, "moved_bytes": 2.5e6, "time_s": 0.25, "empty": None}]}
    write_report(StudyTables(META, tables), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "## per layer" in text
    assert "| layer | cycles | moved | time |" in text
    assert "| a&#124;b | 1,234,567 | 2.50 MB | 250 ms |" in text


class MineRun(RunSettings):
    network: str = "n"
    machine: RunSettings = RunSettings()


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    """A third machine with sections, a template and published figures of its own."""
    (tmp_path / "part.md.j2").write_text(
        "## Rows\n\n{{ figure('mine', 'Mine') }}\n{{ table(tables.mine, [('a', 'A', 'd')]) }}\n"
        "{{ published.mine_speed.text }}\n"
    )
    told = "mine_speed:\n  what: speed of mine\n  text: 4x\n  value: 4.0\n  source: a paper\n"
    (tmp_path / "figures.yaml").write_text(told)

    def figures(study: StudyTables, draw: Any) -> Any:
        yield "mine", draw.bars(["x"], {"s": [draw.published["mine_speed"].value]}, "speed")

    class Mine(Machine):
        Config = RunSettings
        Run = MineRun

        @classmethod
        def simulate(cls, run: Any, workload: Any = None, tick: Any = None) -> Any:
            raise NotImplementedError

        @classmethod
        def published(cls) -> Path:
            return tmp_path / "figures.yaml"

        @classmethod
        def report_sections(cls) -> Any:
            template = tmp_path / "part.md.j2"
            return (Section("mine", "Mine: a machine", "mine", template, figures),
                    Section("mine", "Mine", "mine", template, figures, page=CLAIMS))  # fmt: skip

    MACHINES.add("mine", Mine)
    yield tmp_path
    MACHINES.remove("mine")


def test_a_third_machine_has_its_own_part(mine: Path) -> None:
    assert list(published_of("mine")) == ["mine_speed"]
    write_report(StudyTables(META, {"mine": [{"a": 7}]}), mine / "out")
    text = (mine / "out" / "report.md").read_text()
    assert "figures/mine.svg" in text
    assert "| 7 |" in text
    assert "4x" in text
    kept = StudyTables.read(KEPT / "study")
    claim = {
        "key": "mine_speed",
        "value": 2.0,
        "ours": "2x",
        "command": "hwsim x",
        "why": "small",
        "against": "mine_speed",
    }
    study = StudyTables(kept.meta, kept.tables | {"mine": [{"a": 7}], "claims": [*kept.tables["claims"], claim]})
    write_reproduction(study, mine / "claims")
    parts = re.split(r"^## ", (mine / "claims" / "report.md").read_text(), flags=re.MULTILINE)
    (own,) = [p for p in parts if "speed of mine" in p]
    assert own.startswith("Mine\n")
    assert "| 4x | 2x | 0.5 |" in own
    assert "arXiv" not in own


def test_a_section_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sections_of.SECTIONS.add("broken", "text")
    try:
        with pytest.raises(Exception, match="report section 'broken'.*no Section"):
            sections_of.sections()
    finally:
        sections_of.SECTIONS.remove("broken")


def test_report_of_a_stored_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    """`hwsim report` of a result's folder: the plain part, whatever the machine."""
    run("kept").save(tmp_path / "kept")
    assert cli(monkeypatch, "report", tmp_path / "kept", "--out", tmp_path / "page") == 0
    text = (tmp_path / "page" / "report.md").read_text()
    assert "| kept | mine | kept | 6,300,000 | 6.30 ms |" in text
    assert "## Cycles by cause" in text


# --- how pages look

WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("pages")
    write_reproduction(StudyTables.read(KEPT / "study"), out / "claims")
    write_comparison({"slow": run("slow", 3), "a run with a name that goes on": run("fast")}, out / "compare")
    sweep_page(out / "sweep")
    sweep_page(out / "few", points=4)
    return {p.parent.name: p for p in sorted(out.glob("*/report.html"))}


def test_nothing_makes_a_page_wide(pages: dict[str, Path]) -> None:
    """What a browser would show, without one: tables scroll within themselves, figures have no width of their own."""
    for name, path in pages.items():
        text = path.read_text()
        if name != "sweep":
            assert text.count("<table>") == text.count('<div class="wide" tabindex="0"><table>') > 0, name
        assert not re.search(r"<svg [^>]*\b(width|height)=\"[\d.]+pt", text), name
        assert not re.search(r"min-width: *[\d.]{4,}px", text), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_a_small_screen(pages: dict[str, Path], scheme: Any) -> None:
    sync_api = tools.package("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        tools.lacks("no Chromium on the PATH")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for width in WIDTHS:
            view = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
            for name, path in pages.items():
                view.goto(f"file://{path}")
                view.wait_for_timeout(300)
                assert view.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
                inside = "[...document.querySelectorAll('figure')].every(f => f.scrollWidth <= f.clientWidth + 1)"
                assert view.evaluate(inside), (name, width)
                if width == 1280:  # no column is cut off
                    whole = "[...document.querySelectorAll('.wide')].every(t => t.scrollWidth <= t.clientWidth + 1)"
                    assert view.evaluate(whole), name
                ink = view.evaluate("getComputedStyle(document.body).color")
                assert (ink == "rgb(228, 231, 235)") == (scheme == "dark"), name
        browser.close()
