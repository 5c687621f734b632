# SPDX-License-Identifier: Apache-2.0
"""Kills a sweep at random moments, lets it finish, and compares its table with that of a sweep that was left alone.

python -m tests.support.sweep_kill [POINTS [KILLS]]
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from hwsim.sweeps.evaluate import Row, Task, evaluate

SPEC = """\
title: kills
machine: sat
base: {{network: resnet18-tiny, batch: 1}}
axes:
  machine.rows: {{from: 1, to: 16, step: 1}}
  machine.cols: {{from: 1, to: 16, step: 1}}
  pattern: [dense, 2:4, 2:8, 1:64]  # the last one fits no machine here: it fails
  machine.dram_channels: [1, 2]
sample: {{method: random, count: {points}}}
"""


def deadly(code: str, tasks: list[Task]) -> list[Row]:
    """Runs tasks, unless one of them is a certain point: that one kills its worker."""
    if any(t.values == {"machine.rows": 4, "machine.cols": 8, "pattern": "2:4"} for t in tasks):
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(code, tasks)


def aborting(code: str, tasks: list[Task]) -> list[Row]:
    """A worker that never works."""
    os._exit(3)


def command(spec: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-c", "from hwsim.cli import main; main()", "sweep", str(spec), "--out", str(out),
            "--no-page", *more]  # fmt: skip


def killed_and_whole(points: int, kills: int, folder: Path, seed: int = 1) -> tuple[Path, Path, int]:
    """Run both sweeps; their tables, and how many kills met a running sweep."""
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.format(points=points))
    whole, broken = folder / "whole", folder / "broken"
    began = time.monotonic()
    subprocess.run(command(spec, whole), check=True, capture_output=True)
    longest = time.monotonic() - began
    moments = random.Random(seed)
    met = 0
    for _ in range(kills):
        process = subprocess.Popen(
            command(spec, broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=moments.uniform(0.2, max(longest * 4 / kills, min(5, 0.8 * longest))))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)  # the process alone: its workers must see to themselves
            process.wait()
            met += 1
    subprocess.run(command(spec, broken), check=True, capture_output=True)
    return whole / "results.parquet", broken / "results.parquet", met


def main() -> int:
    given = [int(a) for a in sys.argv[1:]]
    points, kills = [*given, 2000, 50][:2] if len(given) != 1 else [given[0], 50]
    folder = Path(tempfile.mkdtemp())
    try:
        whole, broken, met = killed_and_whole(points, kills, folder)
        same = whole.read_bytes() == broken.read_bytes()
        keys = pq.read_table(broken)["key"].to_pylist()
        twice, parts = len(keys) - len(set(keys)), len(list((broken.parent / "parts").iterdir()))
        tables = "equal" if same else "DIFFERENT"
        print(f"{len(keys)} rows, {met} kills while it ran, {twice} keys twice, {parts} parts, tables {tables}")
        return not (same and len(keys) == len(set(keys)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
