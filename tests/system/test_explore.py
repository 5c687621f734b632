# SPDX-License-Identifier: Apache-2.0
"""The page of a sweep in a browser: no errors, nothing from a network, hover and filters work."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hwsim.sweeps.analysis import pareto, study_of
from reports.explore import write_explorer
from tests.support import tools
from tests.support.pages import SPEC, sweep_page, sweep_table

sync_api = tools.package("playwright.sync_api")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Any:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        tools.lacks("no Chromium on the PATH")
    folder = tmp_path_factory.mktemp("page")
    sweep_page(folder)
    with sync_api.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        opened = browser.new_page(viewport={"width": 1200, "height": 2900})
        opened.errors = []
        opened.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.on("console", lambda m: opened.errors.append(m.text) if m.type == "error" else None)
        opened.on(
            "request", lambda r: opened.errors.append(r.url) if not r.url.startswith(("file:", "data:")) else None
        )
        opened.goto(f"file://{folder / 'report.html'}")
        opened.wait_for_selector("#front .point")
        yield opened
        browser.close()


def points(page: Any) -> int:
    """Points drawn, without rings and star."""
    return page.eval_on_selector("#front", "p => p.data.filter(t => t.name != 'front' && !t.name.startsWith('paper'))"
                                 ".reduce((n, t) => n + t.x.length, 0)")  # fmt: skip


def test_opens_without_errors(page: Any) -> None:
    assert page.errors == []
    assert page.inner_text("h1") == "a <b> & </script> page"
    assert "Least: 256." in page.inner_text("body") or "Least: 25" in page.inner_text("body")
    assert page.inner_text("#count") == "180 of 180 points"
    assert points(page) == 180
    for plot in ("front", "parallel", "heat", "tornado"):
        assert page.locator(f"#{plot} .main-svg").count()
    rings = page.eval_on_selector("#front", "p => p.data.find(t => t.name == 'front').x.length")
    assert rings == 2 * 60  # of each pattern and batch, all but the one with two rows
    assert page.locator("details").inner_text().startswith("1 points failed")
    page.screenshot(path=Path(page.url.removeprefix("file://")).with_name("page.png"), full_page=True)


def test_hover_shows_the_point(page: Any) -> None:
    box = page.locator("#front .scatterlayer .trace").first.locator(".point").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    page.wait_for_selector("#front .hovertext")
    text = page.text_content("#front .hovertext")
    for name in ("rows: ", "pattern: ", "batch: ", "cycles: "):
        assert name in text


def test_filters_hold_for_both_figures(page: Any) -> None:
    page.select_option("select[data-field='pattern']", label="2:4")
    assert page.inner_text("#count") == "90 of 180 points"
    assert points(page) == 90
    assert page.eval_on_selector("#parallel", "p => p.data[0].dimensions[0].values.length") == 90
    page.fill("input[data-field='batch'] >> nth=1", "10")
    assert page.inner_text("#count") == "30 of 180 points"
    page.evaluate("Plotly.restyle('parallel', {'dimensions[0].constraintrange': [[1.5, 4.5]]})")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('20 of')")
    assert points(page) == 20
    page.click("#reset")
    assert page.inner_text("#count") == "180 of 180 points"
    page.select_option("#x", "batch")
    page.select_option("#colour", "batch")
    page.select_option("#scale", "linear")
    page.select_option("#objective", index=1)
    page.select_option("#pair", index=2)
    assert page.eval_on_selector("#front", "p => p.layout.xaxis.title.text") == "batch"
    assert page.errors == []


def test_of_many_points_the_front_is_shown(tmp_path: Path) -> None:
    whole = pd.concat([sweep_table().iloc[:180]] * 120, ignore_index=True)
    whole["cycles"] += range(len(whole))
    study = study_of(whole, SPEC, ["machine.rows", "pattern", "batch"])
    assert study.meta["points"] == 21_600
    assert 20_000 <= study.meta["shown"] < 20_300
    shown = {r["cycles"] for r in study.tables["points"]}
    assert set(whole["cycles"][pareto(whole, SPEC.objectives)]) <= shown


def test_nothing_to_show(tmp_path: Path) -> None:
    """Where every point failed there is still a page that says so."""
    write_explorer(study_of(sweep_table().iloc[-1:], SPEC, ["machine.rows", "pattern", "batch"]), tmp_path)
    assert "points failed" in (tmp_path / "report.html").read_text()
