# SPDX-License-Identifier: Apache-2.0
"""The README's commands and code run as they stand, in a copy of ``examples/``; every file it names is there.

A command of the README that is in neither list below makes a test fail, and so does one in a list that the README no
longer has. What the README runs with ``make``, ``git`` or the system's package manager is checked for its target alone.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

FAST = [
    "hwsim machines",
    "hwsim networks",
    "hwsim sat resnet50 --nm 2:8 --batch 512",
    "hwsim sat resnet50 --nm 2:4 --set machine.rows=16 --set machine.dram_channels=1 --out out/small",
    "hwsim sat --config small.yaml --out out/base",
    "hwsim simulate sat resnet50 --set pattern=2:4 --out out/half",
    "hwsim compare out/small out/half",
    "hwsim explain out/small",
    "hwsim sat --topology net.csv",
    "hwsim scalesim scale.cfg net.csv --out out/scalesim",
    "hwsim sat mine.onnx --passes FF",
    "hwsim networks mine.onnx --out .",
    "hwsim sat my_model:make --nm 2:4",
    "hwsim networks my_model:make --explain",
    "hwsim sat mine.yaml --nm 2:4 --batch 64",
    "hwsim sat llama-3-8b --phase decode --context 8192 --batch 16",
    "hwsim sat llama-3.2-1b --phase prefill --context 2048 --nm 2:4",
    "hwsim sat tiny-llm.json --context 1024 --batch 8",
    "hwsim simulate tensor24 llama-3.2-1b --set phase=prefill --set pattern=2:4 --set machine.gpu=a100-pcie",
    "hwsim spatten bert-large-squad1 --set length=64",
    "hwsim serve-profile smollm2-135m --out out/serve",
    "hwsim spatten mine.csv --design eighth --set machine.topk_parallel=4 --out out/sp",
    "hwsim dram reads.trace --memory hbm2 --channels 16",
    "hwsim train digits-cnn --nm 2:8 --steps 50 --out out/digits",
    "hwsim methods",
    "hwsim models",
    "hwsim sweep array.yaml --dry-run",
    "hwsim sweep array.yaml --out out/array",
    'hwsim results out/array --where "machine.rows <= 32" --sort cycles --top 5',
    "hwsim schema sat",
    "hwsim doctor",
]
"""In the order in which they run: seconds each."""

SLOW = [
    "hwsim spatten gpt2-small-wikitext2",
    "hwsim spatten bert-base --compare",
    "hwsim search array.yaml --out out/found --set search.trials=20",
    "hwsim train char-lm --nm 2:8 --trace 0,100 --out out/lm",
    "hwsim sat --trace out/lm/trace",
    "hwsim attention",
    "hwsim attention --trace out/tr",
    "hwsim spatten out/tr",
    "hwsim cache --method quest,snapkv,random --budget 128 --out out/kv",
    "hwsim cache --method quest --budget 128 --trace out/kvt",
    "hwsim spatten out/kvt",
    "hwsim prune smollm2-135m --method sparsegpt --pattern 2:4 --out out/pruned",
    "hwsim sat out/pruned --phase prefill --context 512",
    "hwsim simulate tensor24 out/pruned --set phase=decode",
    "hwsim sweep sat-array",
    "hwsim report --networks resnet18,bert-base --nm 1:4,2:8 --out out/mine",
    "hwsim report --machine spatten --workloads gpt2-medium,bert-large --out out/spr",
    "hwsim verify sat",
    "hwsim verify spatten",
    "hwsim synth sat --set machine.rows=4 --set machine.cols=4",
    "hwsim synth sat --place ecp5 --top fp32_add",
    "hwsim energy sat --node 28",
    "hwsim validate",
]
"""Of the nightly run, in this order: tens of seconds to minutes each."""

ELSEWHERE = {
    "hwsim train --full": "over an hour; its parts are in tests/model/test_train.py",
    "hwsim reproduce": "make reproduce, which make test-all runs",
}
"""Run by no test of this file, and why."""


def blocks(language: str) -> list[str]:
    """The texts between ``` of a language."""
    return [text for found, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S) if found == language]


def commands() -> list[str]:
    """Lines of blocks without a language, and what stands in backticks alone in a table's first cell."""
    lines = [re.sub(r"\s+#.*", "", line) for text in blocks("") for line in text.splitlines()]
    cells = [match[1] for match in re.finditer(r"^\| `([a-z]+ [^`]+)` \|", README, re.M)]
    return [part.strip() for line in (*lines, *cells) for part in line.split("&&") if part.strip()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("readme") / "examples"
    shutil.copytree(ROOT / "examples", place)
    return place


def test_every_command_is_in_one_list() -> None:
    ours = [c for c in commands() if c.startswith("hwsim")]
    assert len(ours) == len(set(ours))
    assert sorted(ours) == sorted([*FAST, *SLOW, *ELSEWHERE])


def test_other_commands_are_known() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands():
        program, *words = shlex.split(command)
        if program == "make":
            assert re.search(rf"^{words[0]}:", makefile, re.M), command
        else:
            assert program in ("hwsim", "git", "cd", "sudo"), command


def run_all(wanted: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """Run commands in order; all that fail are told."""
    monkeypatch.chdir(folder)
    failed = []
    for command in wanted:
        code = run(monkeypatch, *shlex.split(command)[1:])
        said = capsys.readouterr()
        if code:
            failed.append(f"{command}: exit code {code}: {said.err.strip()[-300:]}")
        if "--out out/" in command and not Path(re.search(r"--out (\S+)", command)[1]).is_dir():  # type: ignore[index]
            failed.append(f"{command}: wrote nothing")
    assert not failed, "\n".join(failed)


def test_fast_commands(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    run_all(FAST, folder, monkeypatch, capsys)


@pytest.mark.nightly
def test_slow_commands(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    run_all(SLOW, folder, monkeypatch, capsys)


def test_the_library_code_runs_as_a_script(tmp_path: Path) -> None:
    """All of the README's Python, one block after another, in a process of its own, as a user's script."""
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks("python")), encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out/page/report.html").is_file()


def test_files_that_it_names_exist() -> None:
    examples = {word for command in commands() for word in shlex.split(command)
                if re.fullmatch(r"[\w-]+\.(yaml|onnx|csv|trace)", word)}  # fmt: skip
    assert len(examples) >= 6
    for name in examples:
        assert (ROOT / "examples" / name).is_file(), name


def test_the_written_example_is_what_the_command_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``mine.yaml`` is ``hwsim networks mine.onnx --out .``."""
    monkeypatch.chdir(folder)
    assert run(monkeypatch, "networks", "mine.onnx", "--out", folder / "again") == 0
    assert (folder / "again/mine.yaml").read_text() == (ROOT / "examples/mine.yaml").read_text()


def test_made_examples_are_what_the_script_makes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/make_examples.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "make_examples.py"], check=True)
    for name in ("mine.onnx", "mine.csv", "reads.trace"):
        assert (tmp_path / name).read_bytes() == (ROOT / "examples" / name).read_bytes(), name
