# SPDX-License-Identifier: Apache-2.0
"""Running a command in this process, and checking that wrong input is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hwsim.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["hwsim", *(str(w) for w in words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def check_refused(words: str, reason: str, folder: Path, monkeypatch, capsys) -> None:
    """In ``folder``, ``hwsim words`` ends with exit code 2 and one line that has the reason, and writes nothing."""
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert run(monkeypatch, *words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("hwsim: ")
    assert err.count("\n") == 1
    assert reason in err
    assert sorted(folder.rglob("*")) == before
