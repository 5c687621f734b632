# SPDX-License-Identifier: Apache-2.0
"""Running the studies of both machines with a progress bar, and the facts that go with them."""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataflow.attention.workload import MODELS
from dataflow.importers.network_files import read_network
from dataflow.mapping.lowering import lower
from dataflow.networks.network import Network
from dataflow.networks.zoo import PAPER_NETWORKS
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Method
from hwsim import __version__
from hwsim.core.study import StudyTables
from hwsim.sat.config import SatConfig
from hwsim.sat.run import SatStudy
from hwsim.sat.study import Row, method_speedup, simulations, study
from hwsim.sat.timing.step import simulate
from hwsim.spatten.run import SpattenStudy
from hwsim.spatten.study import Case, runs
from hwsim.spatten.study import study as spatten_study


def run_study(settings: SatStudy, extra: Sequence[Network] = ()) -> StudyTables:
    """Simulate each network (``extra``: further ones) at each pattern, and join the kept accuracy table with simulated
    speedups."""
    networks = [*settings.read_networks(), *extra]
    patterns = [NM.parse(p) for p in settings.patterns]
    names = [n.name for n in networks]
    detail = next((p for p in patterns if str(p) == "2:8"), patterns[-1])
    machine, batch = settings.machine, settings.batch
    with progress() as bar:
        task = bar.add_task("SAT", total=simulations(len(networks), len(patterns)))

        def tick(text: str) -> None:
            bar.update(task, advance=1, description=f"SAT {text}")

        mean_of = PAPER_NETWORKS if set(PAPER_NETWORKS) <= set(names) else ()
        tables, _ = study(machine, networks, batch, patterns, mean_of=mean_of, detail=detail, tick=tick)
        tables["accuracy"] = _accuracy(machine, batch, bar)
    meta: dict[str, Any] = {
        "title": "SAT: N:M sparse training, simulated",
        "command": shlex.join(["hwsim", *sys.argv[1:]]),
        "config": machine.model_dump(mode="json"),
        "batch": batch,
        "detail_pattern": str(detail),
        "peak_macs_per_cycle": machine.peak_macs_per_cycle,
        "dram_bytes_per_cycle": machine.dram_bytes_per_cycle,
        "frequency_hz": machine.frequency_hz,
        **facts(),
    }
    return StudyTables(meta, tables)


def run_spatten_study(settings: SpattenStudy) -> StudyTables:
    """SpAtten's study of the settings' workloads, with torch's attention on this machine where torch is installed."""
    cases = settings.cases()
    machine = settings.machine
    with progress() as bar:
        task = bar.add_task("SpAtten", total=runs(cases))
        tables = spatten_study(machine, cases, seed=settings.seed, spread=settings.spread,
                               tick=lambda text: bar.update(task, advance=1, description=text))  # fmt: skip
    tables["attention_torch"] = _torch(cases, tables["attention"])
    meta: dict[str, Any] = {
        "title": "SpAtten: sparse attention, simulated",
        "command": shlex.join(["hwsim", *sys.argv[1:]]),
        "spatten_config": machine.model_dump(mode="json"),
        "spatten_peak_bytes_per_s": machine.peak_bytes_per_s,
        "spatten_peak_tflops": machine.peak_tflops,
        "seed": settings.seed,
        "spread": settings.spread,
        **facts(),
    }
    return StudyTables(meta, tables)


def _torch(cases: Sequence[Case], simulated: list[Row]) -> list[Row]:
    """Torch's attention of the cases' models, on each device, beside SpAtten's time; none without torch."""
    if importlib.util.find_spec("torch") is None:
        return []
    from algorithms.attention.measure import attention_time, devices, roofline

    rows: list[Row] = []
    for device in devices():
        roof = roofline(device)
        for case, row in zip(cases, simulated, strict=True):
            if case.model:
                found = attention_time(MODELS[case.model], device, case.workload.rows["iteration_id"].nunique())
                reach = min(roof["gflops"], roof["gb_per_s"] * found["flop_per_byte"])
                mine = row["microseconds"] / 1e3
                rows.append({"model": row["workload"], "device": device, **found,
                             "roof_gflops": roof["gflops"], "roof_gb_per_s": roof["gb_per_s"],
                             "share_of_roof": found["gflops"] / reach, "spatten_milliseconds": mine,
                             "speedup": found["milliseconds"] / mine})  # fmt: skip
    return rows


def kept_accuracy() -> Path:
    """Folder of the kept table of ``hwsim train --full``, with the networks it trained as shapes."""
    import reports

    return Path(reports.__file__).parent / "accuracy"


def _accuracy(machine: SatConfig, batch: int, bar: Any) -> list[Row]:
    """The kept accuracy table with the speedup of each method's step of the same network; none where it is missing."""
    folder = kept_accuracy()
    if not (folder / "meta.json").exists():
        return []
    kept = StudyTables.read(folder).tables["accuracy"]
    task = bar.add_task("SAT, methods", total=len(kept))
    rows: list[Row] = []
    dense: dict[str, int] = {}
    for row in kept:
        network = read_network(folder / "networks" / f"{row['task']}.yaml")
        if row["task"] not in dense:
            workload = lower(network, batch=batch, method=Method.DENSE, pattern=DENSE)
            dense[row["task"]] = simulate(machine, workload).cycles
        method, pattern = Method.parse(row["method"]), NM.parse(row["pattern"])
        rows.append(row | method_speedup(machine, network, batch, method, pattern, dense[row["task"]]))
        bar.update(task, advance=1, description=f"SAT {row['task']}: {method.name} {pattern}")
    return rows


def facts() -> dict[str, Any]:
    """Date, version and machine of this run."""
    cpu = platform.processor() or platform.machine()
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "machine": f"{platform.system()} {cpu}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def progress() -> Any:
    """A progress bar on standard error, where that is a terminal: text, bar, count, time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
