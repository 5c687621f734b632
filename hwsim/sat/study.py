# SPDX-License-Identifier: Apache-2.0
"""Studies of SAT: many simulated steps reduced to the tables a report shows.

Everything derived from results is derived here: speedups, the waterfall from the ideal, where sparsity does not pay,
roofline points, energy, ablation. No published figure enters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dataflow.importers.network_files import read_network
from dataflow.mapping.lowering import ALL_PASSES, lower
from dataflow.networks.network import Network
from dataflow.networks.zoo import PAPER_NETWORKS
from dataflow.pattern import DENSE, NM
from dataflow.training import REFERENCE_ACCURACY
from dataflow.training.methods import Method
from hwsim.core.energy import TABLE
from hwsim.core.machine import Tick as Progress
from hwsim.core.study import StudyTables
from hwsim.core.version import command, facts
from hwsim.sat.energy import COMPONENTS, total_energy_j

from .config import SatConfig
from .memory import streamed_efficiency
from .result import CAUSE_TEXT, CAUSES, StepResult, StepRow
from .timing.step import simulate

if TYPE_CHECKING:
    from .run import SatStudy

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Tick = Callable[[str], None]

_WATERFALL: tuple[tuple[str, Callable[[StepRow], float]], ...] = (
    ("element-wise traffic", lambda r: r.elementwise),
    ("weight update (WUVE, pre-generation)", lambda r: r.wuve + r.sore + r.dram if r.kind == "update" else 0),
    ("padding", lambda r: r.padding),
    ("adder bubbles", lambda r: r.interleave),
    ("fill and drain", lambda r: r.fill_drain),
    ("buffer ports, partial sums", lambda r: r.west + r.north + r.output),
    ("DRAM bandwidth", lambda r: r.dram if r.kind != "update" else 0),
    ("pruning on load (SORE)", lambda r: r.sore if r.kind != "update" else 0),
)


def ideal_speedup(method: Method, pattern: NM) -> float:
    """Dense over sparse multiplies when each pass has the same count: 3 / sum of the three passes' densities."""
    return 3 / float(sum(method.pattern_of(p, pattern).density for p in ALL_PASSES))


def step(config: SatConfig, network: Network, batch: int, method: Method, pattern: NM) -> StepResult:
    """Schedule and simulate one training step."""
    return simulate(config, lower(network, batch=batch, method=method, pattern=pattern))


def compare(dense: StepResult, sparse: StepResult, method: Method, pattern: NM) -> Tables:
    """Tables of one network: a sparse step beside the dense one."""
    key = {"network": dense.network, "method": method.name, "pattern": str(pattern)}
    energy = [sum(total_energy_j(r).values()) for r in (dense, sparse)]
    traffic = [r.total("dram_read_bytes") + r.total("dram_write_bytes") for r in (dense, sparse)]
    speedup = {
        **key,
        "batch": dense.batch,
        "dense_cycles": dense.cycles,
        "sparse_cycles": sparse.cycles,
        "speedup": dense.cycles / sparse.cycles,
        "ideal_speedup": ideal_speedup(method, pattern),
        "dense_ms": dense.seconds * 1e3,
        "sparse_ms": sparse.seconds * 1e3,
        "dense_utilization": dense.utilization,
        "sparse_utilization": sparse.utilization,
        "energy_ratio": energy[0] / energy[1],
        "dram_ratio": traffic[0] / traffic[1],
    }
    return {
        "speedup": [speedup],
        "waterfall": waterfall(dense, sparse, method, pattern),
        "where_not": where_not(dense, sparse, pattern),
    }


def waterfall(dense: StepResult, sparse: StepResult, method: Method, pattern: NM) -> list[Row]:
    """From the ideal speedup to the one reached: each cause's cycles are added to both steps in turn."""
    ideal = ideal_speedup(method, pattern)
    cycles = [float(dense.total("useful")), float(sparse.total("useful"))]
    steps = [("ideal", ideal), ("layers and passes left dense", cycles[0] / cycles[1])]
    for name, part in _WATERFALL:
        for i, result in enumerate((dense, sparse)):
            cycles[i] += sum(part(r) for r in result.steps)
        steps.append((name, cycles[0] / cycles[1]))
    steps.append(("reached", dense.cycles / sparse.cycles))
    rows, before = [], ideal
    for order, (name, value) in enumerate(steps):
        rows.append(
            {
                "network": dense.network,
                "pattern": str(pattern),
                "order": order,
                "step": name,
                "speedup": value,
                "delta": value - before,
            }
        )
        before = value
    return rows


def where_not(dense: StepResult, sparse: StepResult, pattern: NM) -> list[Row]:
    """FF and BP steps of weighted layers that gain less than 80% of M/N, with the largest cause of the loss."""
    ratio = float(1 / pattern.density)
    found: list[Row] = []
    for phase in ("FF", "BP"):
        pairs: dict[str, list[list[StepRow]]] = {}
        for i, result in enumerate((dense, sparse)):
            for r in result.steps:
                if r.kind == "product" and r.phase == phase and not r.dense_cause.startswith("attention"):
                    pairs.setdefault(r.layer, [[], []])[i].append(r)
        for layer, (before, after) in pairs.items():
            a, b = sum(r.cycles for r in before), sum(r.cycles for r in after)
            if not b or a / b >= 0.8 * ratio:
                continue
            bytes_moved = sum(r.dram_bytes for r in after)
            indices = sum(r.north_write_bytes for r in after) * pattern.index_bits / (16 + pattern.index_bits)
            found.append(
                {
                    "network": sparse.network,
                    "pattern": str(pattern),
                    "layer": layer,
                    "phase": phase,
                    "dense_cycles": a,
                    "sparse_cycles": b,
                    "speedup": a / b,
                    "ideal": ratio,
                    "lost_cycles": round(b - a / ratio),
                    "cause": _cause(before, after, ratio),
                    "index_share_of_dram": 0.0 if after[0].dense_cause else indices / max(1, bytes_moved),
                }
            )
    return sorted(found, key=lambda r: -r["lost_cycles"])


def _cause(before: Iterable[StepRow], after: Iterable[StepRow], ratio: float) -> str:
    """The cause whose cycles exceed its dense cycles / ratio the most."""
    after = list(after)
    if after[0].dense_cause:
        return after[0].dense_cause
    excess = {c: sum(getattr(r, c) for r in after) - sum(getattr(r, c) for r in before) / ratio for c in CAUSES}
    return CAUSE_TEXT[max(excess, key=lambda c: excess[c])]


def describe(result: StepResult) -> Tables:
    """Tables of one simulated step: causes, layers, roofline, utilization, energy, traffic."""
    key = {"network": result.network, "method": result.method, "pattern": result.pattern}
    layers: dict[tuple[str, str], Row] = {}
    roofline: list[Row] = []
    peak, bandwidth = result.peak_macs_per_cycle, result.dram_bytes_per_cycle
    for r in result.steps:
        row = layers.setdefault(
            (r.layer, r.phase),
            {**key, "layer": r.layer, "phase": r.phase, "cycles": 0, **dict.fromkeys(CAUSES, 0), "macs_done": 0},
        )
        for column in ("cycles", *CAUSES, "macs_done"):
            row[column] += getattr(r, column)
        if r.kind == "product":
            intensity = r.macs_done / max(1, r.dram_bytes)
            roofline.append(
                {
                    **key,
                    "step": r.step,
                    "phase": r.phase,
                    "intensity": intensity,
                    "macs_per_cycle": r.macs_done / r.cycles,
                    "cycles": r.cycles,
                    "bound": "compute" if intensity * bandwidth >= peak else "DRAM",
                    "utilization": r.macs_done / (r.cycles * peak),
                }
            )
    for row in layers.values():
        row["utilization"] = row.pop("macs_done") / (row["cycles"] * peak)
    bound = [r for r in roofline if r["bound"] == "compute"]
    slots = sum(r["cycles"] for r in bound) * peak
    utilization = {
        **key,
        "steps": len(roofline),
        "stce_bound_steps": len(bound),
        "stce_bound_share_of_cycles": slots / peak / result.cycles,
        "stce_bound_utilization": sum(r["macs_per_cycle"] * r["cycles"] for r in bound) / slots if slots else None,
        "whole_step_utilization": result.utilization,
    }
    memories = {
        "DRAM read": ("dram_read_bytes",),
        "DRAM write": ("dram_write_bytes",),
        "west buffer": ("west_read_bytes", "west_write_bytes"),
        "north buffer": ("north_read_bytes", "north_write_bytes"),
        "output buffer": ("output_read_bytes", "output_write_bytes"),
    }
    energy = total_energy_j(result)
    return {
        "layers": list(layers.values()),
        "roofline": roofline,
        "utilization": [utilization],
        "causes": [{**key, "cause": CAUSE_TEXT[c].split(":")[0], "cycles": result.total(c)} for c in CAUSES],
        "energy": [{**key, "component": c, "energy_j": energy[c]} for c in COMPONENTS],
        "traffic": [
            {**key, "memory": name, "gigabytes": sum(result.total(c) for c in columns) / 1e9}
            for name, columns in memories.items()
        ],
    }


VARIANTS = (
    ("all off", (False, False, False)),
    ("+ interleave mapping", (True, False, False)),
    ("+ pre-generation", (True, True, False)),
    ("+ offline scheduling (all on)", (True, True, True)),
    ("all but interleave mapping", (False, True, True)),
    ("all but pre-generation", (True, False, True)),
)


def ablation(config: SatConfig, network: Network, batch: int, pattern: NM, tick: Tick) -> list[Row]:
    """Cycles of a BDWP step with the three optimizations off, added one by one, and each alone removed."""
    rows: list[Row] = []
    for name, (interleave, pregeneration, offline) in VARIANTS:
        variant = config.model_copy(
            update={
                "interleave_mapping": interleave,
                "pregeneration": pregeneration,
                "offline_scheduling": offline,
            }
        )
        cycles = step(variant, network, batch, Method.BDWP, pattern).cycles
        base = rows[0]["cycles"] if rows else cycles
        rows.append(
            {
                "network": network.name,
                "pattern": str(pattern),
                "variant": name,
                "cycles": cycles,
                "speedup_over_all_off": base / cycles,
            }
        )
        tick(f"{network.name}: {name}")
    return rows


SENSITIVITY: tuple[tuple[str, dict[str, Any], int | None], ...] = (
    ("as configured", {}, None),
    ("2 DRAM channels", {"dram_channels": 2}, None),
    ("1 DRAM channel", {"dram_channels": 1}, None),
    ("1 DRAM channel at 50%", {"dram_channels": 1, "dram_efficiency": 0.5}, None),
    ("batch 64", {}, 64),
    ("batch 8", {}, 8),
    ("adder of 8 stages", {"add_latency": 8}, None),
    ("without offline scheduling", {"offline_scheduling": False}, None),
    ("without interleave mapping", {"interleave_mapping": False}, None),
    ("64 x 64 array", {"rows": 64, "cols": 64}, None),
)
"""What a study changes, one thing at a time: machine parameters and batch (None: as configured)."""


def sensitivity(
    config: SatConfig, networks: Sequence[Network], batch: int, pattern: NM, tick: Tick = lambda _: None
) -> list[Row]:
    """BDWP's speedup over dense for each variant of `SENSITIVITY`, and with the DRAM as fast as the memory model has it
    for such streams (`memory.streamed_efficiency`): a column a network, and their mean."""
    rows: list[Row] = []
    simulated = streamed_efficiency(config.dram_channels)
    streams = (f"DRAM as simulated: {simulated:.0%} of its peak", {"dram_efficiency": simulated}, None)
    for name, update, other_batch in (*SENSITIVITY, streams):
        machine = config.model_copy(update=update)
        row: Row = {"variant": name, "pattern": str(pattern)}
        for network in networks:
            dense = step(machine, network, other_batch or batch, Method.DENSE, DENSE)
            sparse = step(machine, network, other_batch or batch, Method.BDWP, pattern)
            row[network.name] = dense.cycles / sparse.cycles
        row["mean"] = sum(row[n.name] for n in networks) / len(networks)
        rows.append(row)
        tick(f"sensitivity: {name}")
    return rows


def study_tables(settings: SatStudy, progress: Progress, extra: Sequence[Network]) -> StudyTables:
    """Simulate each network (``extra``: further ones) at each pattern, and join the reference table of accuracy with
    simulated speedups."""
    networks = [*settings.read_networks(), *extra]
    patterns = [NM.parse(p) for p in settings.patterns]
    names = [n.name for n in networks]
    detail = next((p for p in patterns if str(p) == "2:8"), patterns[-1])
    machine, batch = settings.machine, settings.batch
    reference = StudyTables.read(REFERENCE_ACCURACY).tables["accuracy"]
    total, done = simulations(len(networks), len(patterns)) + len(reference), itertools.count(1)

    def tick(text: str) -> None:
        progress(text, next(done), total)

    mean_of = PAPER_NETWORKS if set(PAPER_NETWORKS) <= set(names) else ()
    tables, _ = study(machine, networks, batch, patterns, mean_of=mean_of, detail=detail, tick=tick)
    tables["accuracy"] = _accuracy(machine, batch, reference, tick)
    meta: dict[str, Any] = {
        "title": "SAT: N:M sparse training, simulated",
        "command": command(),
        "config": machine.model_dump(mode="json"),
        "batch": batch,
        "detail_pattern": str(detail),
        "peak_macs_per_cycle": machine.peak_macs_per_cycle,
        "dram_bytes_per_cycle": machine.dram_bytes_per_cycle,
        "frequency_hz": machine.frequency_hz,
        **facts(),
    }
    return StudyTables(meta, tables)


def _accuracy(machine: SatConfig, batch: int, reference: Sequence[Row], tick: Tick) -> list[Row]:
    """The reference accuracy table with the speedup of each method's step of the same network."""
    rows: list[Row] = []
    dense: dict[str, int] = {}
    for row in reference:
        network = read_network(REFERENCE_ACCURACY / "networks" / f"{row['task']}.yaml")
        if row["task"] not in dense:
            dense[row["task"]] = step(machine, network, batch, Method.DENSE, DENSE).cycles
        method, pattern = Method.parse(row["method"]), NM.parse(row["pattern"])
        rows.append(row | method_speedup(machine, network, batch, method, pattern, dense[row["task"]]))
        tick(f"{row['task']}: {method.name} {pattern}")
    return rows


def study(
    config: SatConfig,
    networks: Sequence[Network],
    batch: int,
    patterns: Sequence[NM],
    *,
    mean_of: Sequence[str] = (),
    detail: NM | None = None,
    tick: Tick = lambda _: None,
) -> tuple[Tables, list[StepResult]]:
    """All tables for networks at one batch: BDWP at each pattern against dense.

    Args:
        mean_of: networks whose mean is added as network ``mean`` (all of them must be present).
        detail: the pattern whose per-layer tables and ablation are made (default: the last one).
        tick: called with a text after each simulation.

    Returns:
        tables and the dense and detailed results.
    """
    detail = detail or patterns[-1]
    tables: Tables = {}
    results = []
    for network in networks:
        dense = step(config, network, batch, Method.DENSE, DENSE)
        tick(f"{network.name}: dense")
        detailed = [dense]
        for pattern in patterns:
            sparse = step(config, network, batch, Method.BDWP, pattern)
            tick(f"{network.name}: BDWP {pattern}")
            _extend(tables, compare(dense, sparse, Method.BDWP, pattern))
            if pattern == detail:
                detailed.append(sparse)
        details = [describe(result) for result in detailed]
        _relate(details)
        for detail_tables in details:
            _extend(tables, detail_tables)
        _extend(tables, {"ablation": ablation(config, network, batch, detail, tick)})
        results += detailed
    chosen = [n for n in networks if n.name in mean_of] or networks
    _extend(tables, {"sensitivity": sensitivity(config, chosen, batch, detail, tick)})
    if mean_of:
        _add_means(tables, mean_of, [str(p) for p in patterns])
    tables["energy_table"] = [
        {"what": f.what, "value_pj": f.value_pj, "unit": f.unit, "technology": f.technology, "source": f.source}
        for f in TABLE
    ]
    return tables, results


def simulations(networks: int, patterns: int) -> int:
    """How often `study` calls ``tick``."""
    return networks * (1 + patterns + len(VARIANTS)) + len(SENSITIVITY) + 1


def _relate(details: Sequence[Tables]) -> None:
    """Add each cause's, energy's and traffic's share of the first result's total."""
    for name, column in (("causes", "cycles"), ("energy", "energy_j"), ("traffic", "gigabytes")):
        whole = sum(r[column] for r in details[0][name])
        for tables in details:
            for row in tables[name]:
                row["share_of_dense"] = row[column] / whole


def method_speedup(config: SatConfig, network: Network, batch: int, method: Method, pattern: NM, dense: int) -> Row:
    """Speedup of one method's step over ``dense`` cycles."""
    cycles = step(config, network, batch, method, pattern).cycles
    return {"batch": batch, "cycles": cycles, "speedup": dense / cycles}


def _extend(tables: Tables, more: Tables) -> None:
    for name, rows in more.items():
        tables.setdefault(name, []).extend(rows)


def _add_means(tables: Tables, mean_of: Sequence[str], patterns: Sequence[str]) -> None:
    """Means of the ratios over the networks of ``mean_of``, as rows of a network ``mean``; none of cycles."""
    for pattern in patterns:
        for name, group in (("speedup", ""), ("waterfall", "step")):
            rows = [r for r in tables[name] if r["pattern"] == pattern and r["network"] in mean_of]
            for value in dict.fromkeys(r.get(group) for r in rows):
                same = [r for r in rows if r.get(group) == value]
                mean: Row = {**same[0], "network": "mean"}
                for column, cell in same[0].items():
                    if isinstance(cell, float):
                        mean[column] = sum(r[column] for r in same) / len(same)
                    if column in ("batch", "dense_cycles", "sparse_cycles", "dense_ms", "sparse_ms"):
                        mean[column] = None
                tables[name].append(mean)
