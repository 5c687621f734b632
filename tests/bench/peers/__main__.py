# SPDX-License-Identifier: Apache-2.0
"""Speed beside the peers, measured in one run on one machine (``make peers``): seconds, CPU seconds, peak memory.

ResNet-18 on a weight-stationary array of 32 x 32 by SCALE-Sim and by ours, equal work beside equal work: the cycles
alone, and all three reports; ZigZag on its own ResNet-18 and array of that size beside our plain array with DRAM; one
tile on SAT's array by Verilator, by our clock level, in closed form. Each peer lives in a venv of its own that this
script makes; what does not install is said and left out. A whole process is measured from outside (wait4: its CPU and
its largest resident memory), in process from inside. The cycles must be equal, else nothing is written.

    python -m tests.bench.peers [--venvs DIR] [--only NAME ...] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dataflow.files import write_text
from hwsim.core.version import facts
from hwsim.sat.bench.array import bench_of, case_of
from hwsim.sat.bench.jobs import job_case
from hwsim.sat.config import SatConfig
from hwsim.sat.timing.clock import run_job
from hwsim.systolic.scalesim import folds_of, layers, read_config
from hwsim.verification.case import VerifyOptions, program

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TOPOLOGY = ROOT / "tests" / "data" / "scalesim" / "resnet18_conv.csv"
KEPT = ROOT / "tests" / "data" / "scalesim" / "reports" / "resnet18_ws_32"
PEERS = {
    "scalesim": ("scalesim==3.0.0", "numpy<2", "pandas<3"),  # with numpy 2.4 its CALC mode ends in a TypeError
    "zigzag": ("zigzag-dse==3.9.1", "six"),
}
NEEDED_GIB = 6
"""Free memory without which SCALE-Sim is not started; it took 5.5."""
CONFIG = """[general]
run_name = scale_example_run_32x32_ws
[architecture_presets]
ArrayHeight: 32
ArrayWidth: 32
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 10
Dataflow: ws
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
REPEATS = 7
CYCLES_ALONE = """
import sys
from pathlib import Path
from hwsim.systolic.scalesim import folds_of, layers, read_config
config, topology = read_config(Path(sys.argv[1])), layers(Path(sys.argv[2]))
print(sum(folds_of(config, row).cycles for row in topology))
"""
"""All that a process needs that wants the cycles alone."""
Rows = list[dict[str, Any]]


def say(text: str) -> None:
    sys.stderr.write(f"peers: {text}\n")
    sys.stderr.flush()


def whole(command: list[str | Path], **more: str) -> tuple[dict[str, float], str]:
    """Run a process to its end: seconds, CPU seconds, peak MiB; what it printed."""
    begun = time.perf_counter()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, env=os.environ | more, text=True)
    assert child.stdout is not None
    printed = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command[0])
    return {"seconds": time.perf_counter() - begun, "cpu_seconds": used.ru_utime + used.ru_stime,
            "peak_mib": used.ru_maxrss / 1024}, printed  # fmt: skip


def in_process(work: Callable[[], object], least: float = 0.2) -> dict[str, float]:
    """Seconds and CPU seconds of a call, the fastest of some rounds of at least so many seconds."""
    work()
    found = []
    for _ in range(REPEATS):
        calls, begun, cpu = 0, time.perf_counter(), time.process_time()
        while calls == 0 or time.perf_counter() - begun < least:
            work()
            calls += 1
        found.append(((time.process_time() - cpu) / calls, (time.perf_counter() - begun) / calls))
    cpu, wall = min(found)
    return {"seconds": wall, "cpu_seconds": cpu}


def interpreter(name: str, venvs: Path) -> Path:
    """The Python of a peer's venv, made where it is not there."""
    python = venvs / name / "bin" / "python"
    if not (venvs / name / "installed").exists():
        say(f"installing {' '.join(PEERS[name])} into {venvs / name}")
        subprocess.run([sys.executable, "-m", "venv", venvs / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS[name]], check=True)
        (venvs / name / "installed").touch()
    return python


def ours(folder: Path) -> Rows:
    """The cycles alone, and all reports: whole processes on an empty and a filled kernel cache, and in process."""
    config_file, rows = folder / "scale.cfg", []
    config, topology = read_config(config_file), layers(TOPOLOGY)
    cycles = [folds_of(config, row).cycles for row in topology]
    rows.append(_row("hwsim", "cycles alone", "in process", in_process(
        lambda: [folds_of(config, row).cycles for row in topology]), cycles))  # fmt: skip
    took, printed = whole([sys.executable, "-c", CYCLES_ALONE, config_file, TOPOLOGY])
    assert int(printed) == sum(cycles)
    rows.append(_row("hwsim", "cycles alone", "whole process", took, cycles))
    kernels = str(folder / "kernels")
    command: list[str | Path] = [Path(sys.executable).with_name("hwsim"), "scalesim", config_file, TOPOLOGY, "--out"]
    for start in ("whole process, no kernel compiled before", "whole process, kernels compiled before"):
        say(f"hwsim, reports, {start}")
        out = folder / start.replace(" ", "-")
        took, _ = whole([*command, out], NUMBA_CACHE_DIR=kernels)
        _same(out / KEPT_NAME, "hwsim")
        rows.append(_row("hwsim", "three reports", start, took, cycles))
    script = INSIDE.format(repeats=1)
    _, printed = whole([sys.executable, "-c", script, config_file, TOPOLOGY], NUMBA_CACHE_DIR=kernels)
    rows.append(_row("hwsim", "three reports", "in process", json.loads(printed), cycles))
    return rows


KEPT_NAME = "scale_example_run_32x32_ws"
INSIDE = """
import json, sys, time
from pathlib import Path
from hwsim.systolic.scalesim import layers, read_config, run_layer
config, topology = read_config(Path(sys.argv[1])), layers(Path(sys.argv[2]))
found = []
for _ in range({repeats} + 1):
    begun, cpu = time.perf_counter(), time.process_time()
    for row in topology:
        run_layer(config, row)
    found.append((time.process_time() - cpu, time.perf_counter() - begun))
cpu, wall = min(found[1:])
print(json.dumps({{"seconds": wall, "cpu_seconds": cpu}}))
"""


def _same(folder: Path, who: str) -> None:
    """All three reports are those that SCALE-Sim wrote when the tests' data was made."""
    for path in KEPT.iterdir():
        if (folder / path.name).read_text(encoding="utf-8") != path.read_text(encoding="utf-8"):
            raise SystemExit(f"peers: {who}: {path.name} differs from the kept one")


def scale_sim(folder: Path, venvs: Path, work: str, mode: str) -> Rows:
    """The same work by SCALE-Sim: without its memories, or whole without its traces."""
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    free = int(memory["MemAvailable"].split()[0]) / 2**20
    if free < NEEDED_GIB:
        raise RuntimeError(f"{free:.0f} GiB of memory are free, it takes up to {NEEDED_GIB}")
    python, out, layout = interpreter("scalesim", venvs), folder / mode, folder / "layout.csv"
    layout.write_text(TOPOLOGY.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    say(f"SCALE-Sim, {work}")
    took, printed = whole([python, HERE / "run_scalesim.py", mode, folder / "scale.cfg", TOPOLOGY, layout, out])
    inside = json.loads(printed.splitlines()[-1])
    if mode == "reports":
        _same(out / KEPT_NAME, "SCALE-Sim")
    cycles = inside.pop("cycles")
    return [_row("SCALE-Sim 3.0.0", work, "whole process", took, cycles),
            _row("SCALE-Sim 3.0.0", work, "in process", inside, cycles)]  # fmt: skip


def zig_zag(folder: Path, venvs: Path) -> Rows:
    """ZigZag's mappings, energy and latency of its own ResNet-18, and our plain array with its DRAM."""
    python = interpreter("zigzag", venvs)
    say("ZigZag: minutes")
    took, printed = whole([python, HERE / "run_zigzag.py", folder / "zigzag"])
    inside = json.loads(printed.splitlines()[-1])
    cycles = inside.pop("cycles")
    rows = [_row("ZigZag 3.9.1", "mapping, latency, energy", "whole process", took, cycles),
            _row("ZigZag 3.9.1", "mapping, latency, energy", "in process", inside, cycles)]  # fmt: skip
    took, _ = whole([Path(sys.executable).with_name("hwsim"), "simulate", "systolic", "resnet18", "--json"])
    from dataflow.networks.zoo import network
    from hwsim.systolic.machine import Systolic, SystolicRun

    net, run = network("resnet18"), SystolicRun(network="resnet18")
    mine = [Systolic.simulate(run, net).cycles]
    rows += [_row("hwsim", "one mapping, latency, energy", "whole process", took, mine),
             _row("hwsim", "one mapping, latency, energy", "in process",
                  in_process(lambda: Systolic.simulate(run, net)), mine)]  # fmt: skip
    return rows


def verilator() -> Rows:
    """A tile of 256 x 256 x 64 on SAT's 16 x 16 array, 2:8: the RTL; clock by clock; in closed form."""
    from dataflow.pattern import NM
    from hwsim.rtl_tools.verilator import run
    from hwsim.sat.timing.tile import CAUSES, job_cycles

    rng, config = np.random.default_rng(0), SatConfig(rows=16, cols=16)
    drawn = job_case(rng, config, (256, 256, 64), "WS", NM(2, 8), 8)
    case = case_of(rng, drawn, stress=False)
    say("Verilator: builds the array")
    simulation = program(bench_of(config), VerifyOptions())
    cycles = [int(case.expected["cycles"][0])]
    clock = in_process(lambda: run_job(drawn.job, drawn.x, drawn.values, drawn.positions))
    rtl = min((_timed(lambda: run(simulation, case.stdin)) for _ in range(3)), key=lambda t: t["cpu_seconds"])
    causes = np.zeros(len(CAUSES), np.int64)
    if [job_cycles(drawn.job, causes)] != cycles:
        raise SystemExit("peers: the closed form and the RTL's bench differ")
    closed = in_process(lambda: job_cycles(drawn.job, causes))
    what = "a tile on SAT's 16 x 16 array"
    return [_row("Verilator", f"{what}: RTL", "its process, built before", rtl, cycles),
            _row("hwsim", f"{what}: clock level", "in process", clock, cycles),
            _row("hwsim", f"{what}: tile level", "in process", closed, cycles)]  # fmt: skip


def _timed(work: Callable[[], object]) -> dict[str, float]:
    before, begun = os.times(), time.perf_counter()
    work()
    after = os.times()
    return {"seconds": time.perf_counter() - begun,
            "cpu_seconds": sum(after[i] - before[i] for i in range(4))}  # fmt: skip


def _row(tool: str, work: str, start: str, took: dict[str, float], cycles: list[float]) -> dict[str, Any]:
    return {"tool": tool, "work": work, "start": start, **took, "cycles": sum(cycles), "layers": cycles}


PARTS: dict[str, Callable[[Path, Path], Rows]] = {
    "hwsim": lambda folder, venvs: ours(folder),
    "scalesim": lambda folder, venvs: scale_sim(folder, venvs, "cycles alone", "cycles"),
    "scalesim-reports": lambda folder, venvs: scale_sim(folder, venvs, "three reports", "reports"),
    "zigzag": zig_zag,
    "verilator": lambda folder, venvs: verilator(),
}


def keep(path: Path, rows: Rows, left_out: dict[str, str], begun: float) -> None:
    """Write what is measured so far: a run that is ended keeps its finished parts. The cycles must be equal."""
    resnet = [r for r in rows if r["work"] in ("cycles alone", "three reports")]
    if any(r["layers"] != resnet[0]["layers"] for r in resnet):
        raise SystemExit("peers: SCALE-Sim's cycles and ours differ")
    load = [round(v, 1) for v in (begun, os.getloadavg()[0])]
    table = {**facts(), "load_before_after": load, "left_out": left_out,
             "rows": [{k: v for k, v in r.items() if k != "layers"} for r in rows]}  # fmt: skip
    write_text(path, json.dumps(table, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--venvs", type=Path, default=Path("out/peers"), help="where the peers' venvs are")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="of these alone (default: all)")
    parser.add_argument("--out", type=Path, default=Path("out/peers/peers.json"), help="the measured table, JSON")
    given = parser.parse_args()
    rows: Rows = []
    begun = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scale.cfg").write_text(CONFIG, encoding="utf-8")
        left_out = dict.fromkeys(PARTS, "not asked for in this run")
        left_out |= dict.fromkeys(given.only, "the run was ended before it")
        for at, part in enumerate(given.only):
            say(f"{part}, {at + 1} of {len(given.only)}")
            try:
                rows += PARTS[part](folder, given.venvs.resolve())
                del left_out[part]
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                left_out[part] = str(error).splitlines()[0]
                say(f"{part} is left out: {left_out[part]}")
            keep(given.out, rows, left_out, begun)
    for r in rows:
        memory = f"{r['peak_mib']:10,.0f} MiB" if "peak_mib" in r else ""
        sys.stdout.write(f"{r['tool']:16} {r['work']:46} {r['start']:42} {r['seconds']:12.6f} s "
                         f"{r['cpu_seconds']:12.6f} CPU s {memory}\n")  # fmt: skip
    sys.stdout.write(f"{given.out}\n")


if __name__ == "__main__":
    main()
