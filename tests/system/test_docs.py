# SPDX-License-Identifier: Apache-2.0
"""The documents' Python and commands run as they stand; their site builds without a warning; notebooks run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(path: Path, language: str) -> list[str]:
    """The texts between ``` of a language."""
    text = path.read_text(encoding="utf-8")
    return [body for found, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S) if found == language]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.stem)
def test_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """All of a page's Python, in order, as one script in a folder of its own."""
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


def test_commands_of_pages_are_the_readmes() -> None:
    """What a page tells to run is run as part of the README; other lines are the few that are named here."""
    others = {"cp -r rtl my_rtl", "make demo", "hwsim verify sat --rtl my_rtl --block sore --failures out/failures"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        for line in "\n".join(blocks(page, "")).splitlines():
            command = line.partition("#")[0].strip()
            assert not command or command in others or f"`{command}`" in readme, f"{page.name}: {command}"


def test_options_in_the_text_exist(capsys: pytest.CaptureFixture) -> None:
    """Each ``hwsim COMMAND --option`` that a document shows is a command, with that option."""
    import typer.main

    from hwsim import cli

    cli.add_commands(None)
    known = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    seen = 0
    for path in (
        ROOT / "README.md",
        *PAGES,
        *ROOT.glob("hwsim/*/README.md"),
        ROOT / "CONTRIBUTING.md",
        ROOT / "rtl/README.md",
    ):
        for text in re.findall(r"`(hwsim [a-z][^`\n]*)`", path.read_text(encoding="utf-8")):
            words = shlex.split(text)
            options = {o for p in known[words[1]].params for o in (*p.opts, *p.secondary_opts)}
            for word in words[2:]:
                assert not word.startswith("--") or word in options, f"{path.name}: {text}: {word}"
            seen += 1
    assert seen > 60


def test_modules_that_the_changelog_sends_to_exist() -> None:
    table = (
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("### Modules that moved")[2].partition("###")[0]
    )
    seen = 0
    for names, package in re.findall(r"^\| `[\w.]+`: (`.*`) \| `([\w.]+)` \|$", table, re.M):
        for name in re.findall(r"`(\w+)`", names):
            assert (ROOT / package.replace(".", "/") / f"{name}.py").is_file(), f"{package}.{name}"
            seen += 1
    for module in re.findall(r"^\| `[\w.]+` \| `([\w.]+)` \|$", table, re.M):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
        seen += 1
    assert seen > 60


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    reference = (tmp_path / "site/commands.html").read_text(encoding="utf-8")
    assert 'id="simulate"' in reference
    assert "--dry-run" in reference
    assert 'id="hwsim.api.simulate"' in (tmp_path / "site/api.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "examples/notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_run_and_are_stored_without_output(path: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    place = shutil.copytree(ROOT / "examples", tmp_path / "examples") / "notebooks"
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(place)}}).execute()
    assert any(cell.outputs for cell in cells)
