# SPDX-License-Identifier: Apache-2.0
"""The library: ten names to configure a machine, run it, sweep, verify, compare and add one.

    import hwsim
    sat = hwsim.machine("sat", rows=16, cols=16)
    result = hwsim.simulate(sat, "resnet18", batch=256, method="bdwp", pattern="2:8")

Wrong input raises `InputError` with the line that the command line would print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataflow.errors import InputError
from dataflow.files import validated
from hwsim.core.machine import Machine, find, load, quiet, register_machine
from hwsim.core.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from dataflow.attention.workload import Workload
    from dataflow.networks.network import Network, Phase
    from hwsim.verification.case import BlockRow

__all__ = ["Comparison", "InputError", "Machine", "Sweep", "Verification", "compare", "load", "machine", "network",
           "register_machine", "simulate", "sweep", "verify", "workload"]  # fmt: skip


def machine(name: str, **settings: Any) -> Machine:
    """A design of a machine.

    Args:
        name: a registered machine (``hwsim machines``).
        settings: fields of its configuration (``hwsim schema NAME``); the rest are the published design's.

    Raises:
        InputError: no such machine; an unknown field or a value that it cannot have.
    """
    kind = find(name)
    return kind(validated(kind.Config, settings, f"machine {name}"))


def network(
    source: Any, *, example: Any = None, name: str | None = None, csv_padding: str = "valid",
    phase: Phase | None = None, context: int | None = None, ignore_op: Sequence[str] = (),
    dims: Mapping[str, int] | None = None,
) -> Network:  # fmt: skip
    """A network as shapes.

    Args:
        source: a name (``hwsim networks``), a .yaml, .onnx, .pt2 or .csv file, a language model's config.json, a trace
            folder, a torch module, or where to find one as ``package.module:factory``.
        example: of a torch module: an input, a tuple of them, or a dictionary by name; values are not used.
        name: of a torch module: what the network is called (default: its class).
        csv_padding: of a SCALE-Sim CSV's convolutions: valid or same.
        phase: of a language model by name or config.json: training (the default), prefill or decode.
        context: of such a model: tokens of a sequence.
        ignore_op: of a graph (ONNX, torch): operations, by kind or name, that cost nothing, though none models them.
        dims: of a graph: sizes of its dynamic dimensions, by name.

    Raises:
        InputError: none of these, or something in it that is not known.
    """
    from dataflow.importers.network_files import find_network
    from dataflow.networks.network import Network

    options = {key: value for key, value in (("phase", phase), ("context", context)) if value is not None}
    ignore_op = (ignore_op,) if isinstance(ignore_op, str) else ignore_op
    if isinstance(source, str | Path | Network):
        return find_network(source, csv_padding=csv_padding, ignore=ignore_op, dims=dims or {}, **options)
    for key in dims or ():
        raise InputError(f"network: dims: {key}: a torch module has the shapes of its example")
    for key, value in options.items():
        raise InputError(f"network: {key}: {value}: a torch module has the shapes of its example")
    if not any(base.__module__.startswith("torch.") for base in type(source).__mro__):
        raise InputError(f"network: a name, a file or a torch module, not {type(source).__name__}")
    from algorithms.shapes import network_of

    if example is None:
        raise InputError("network: example: a torch module needs an input that shows its sizes")
    return network_of(source, example, name or type(source).__name__.lower(), ignore=ignore_op)


def workload(source: str | Path) -> Workload:
    """An attention workload: a name (``hwsim simulate spatten --help``), a CSV in the SpAtten authors' form, or the
    folder of a trace.

    Raises:
        InputError: none of these.
    """
    from dataflow.attention.workload import find_workload

    return find_workload(source)


def simulate(design: Machine, workload: Any = None, **settings: Any) -> Result:
    """Run a machine.

    Args:
        design: of `machine`.
        workload: what runs, as an object, a name or a file; None: the machine's default.
        settings: further fields of the machine's run settings (``hwsim schema NAME``).

    Raises:
        InputError: an unknown field, a value that it cannot have, a workload that the machine cannot run.
    """
    kind = type(design)
    if "machine" in settings:
        raise InputError("machine: is the first argument")
    data: dict[str, Any] = {**settings, "machine": design.config}
    given = None
    if isinstance(workload, str | Path):
        data[kind.workload_field] = str(workload)
    elif workload is not None:
        given = workload
        for field in ("ignore_op", "dims"):
            if settings.get(field):
                raise InputError(f"{field}: belongs where the network is made: hwsim.network(..., {field}=...)")
        data |= _phase_of(kind, workload, data)
        data[kind.workload_field] = str(getattr(workload, "name", type(workload).__name__))
    run = kind.settings(data, f"simulate {kind.name}")
    return kind.run(run) if given is None else kind.simulate(run, given, quiet)


def _phase_of(kind: type[Machine], workload: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The phase and context of a network given as an object, where the settings do not say them."""
    from dataflow.networks.network import Network

    if not isinstance(workload, Network) or workload.context is None:
        return {}
    found = {"phase": workload.phase, "context": workload.context}
    return {key: v for key, v in found.items() if key in kind.Run.model_fields and settings.get(key) is None}


@dataclass(frozen=True)
class Verification:
    """What comparing RTL with the simulator found."""

    rows: Sequence[BlockRow]
    """One a block: cases, bits and cycles compared, what differs, the first mismatch in words."""

    @property
    def passed(self) -> bool:
        """Whether every block agrees, in every bit and every cycle."""
        return bool(self.rows) and all(row.agrees for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed


def verify(
    design: Machine, *, blocks: Sequence[str] = (), cases: int | None = None, seed: int = 0,
    rtl: Path | str | None = None, failures: Path | str | None = None,
) -> Verification:  # fmt: skip
    """Compare a machine's RTL with its simulator on random cases.

    Args:
        design: of `machine`; its blocks choose their own small sizes.
        blocks: which ones; none named: all.
        cases: random cases a block; None: as many as each has.
        rtl: folder of one's own changed Verilog.
        failures: folder for the case and the waveform of a mismatch.

    Raises:
        InputError: no RTL, an unknown block, no Verilator, Verilog that does not compile.
    """
    from dataflow.errors import unknown
    from hwsim.rtl_tools.sources import RTL
    from hwsim.verification.case import VerifyOptions
    from hwsim.verification.runner import verify as run

    known = design.blocks()
    if not known:
        raise design.without("blocks of RTL to verify")
    for name in blocks:
        if name not in known:
            raise unknown("block", name, known)
    if cases is not None and cases < 1:
        raise InputError(f"cases: {cases}: at least 1")
    options = VerifyOptions(Path(rtl) if rtl else design.rtl or RTL, Path(failures) if failures else None)
    return Verification(list(run(known, tuple(blocks) or tuple(known), cases, seed, options)))


@dataclass(frozen=True)
class Comparison:
    """Results side by side; the first is what the others are compared with."""

    results: Mapping[str, Result]

    def rows(self) -> pd.DataFrame:
        """One row a result: cycles, seconds, speedup over the first, energy, cycles by cause."""
        import pandas as pd

        first = next(iter(self.results.values()))
        found = []
        for name, r in self.results.items():
            row: dict[str, Any] = {"name": name, "machine": r.machine, "workload": r.workload, "cycles": r.cycles,
                                   "seconds": r.seconds,
                                   "speedup": first.seconds / r.seconds if r.seconds else None}  # fmt: skip
            energy = r.table_energy()
            row["energy_j"] = energy.total if energy else None
            found.append(row | {f"cycles: {text}": r.causes[cause] for cause, text in r.CAUSES.items()})
        return pd.DataFrame(found)

    def report(self, folder: Path | str) -> list[Path]:
        """Write the comparison as a page: HTML, Markdown, figures, tables."""
        from reports.compare import write_comparison

        paths: list[Path] = write_comparison(dict(self.results), Path(folder))
        return paths


def compare(results: Mapping[str, Result]) -> Comparison:
    """Set results side by side, of one machine or of several.

    Raises:
        InputError: fewer than two, or something that is no result.
    """
    if len(results) < 2:
        raise InputError("compare: give at least two results")
    for name, result in results.items():
        if not isinstance(result, Result):
            raise InputError(f"compare: {name}: a result of simulate or load, not {type(result).__name__}")
    return Comparison(dict(results))


@dataclass(frozen=True)
class Sweep:
    """The results of a sweep, a row a point."""

    table: pd.DataFrame
    store: Path
    fields: tuple[str, ...] = ()
    """Those that were varied."""

    def pareto(self, *objectives: str) -> pd.DataFrame:
        """The points that no other one of the same workload is better than (`hwsim.sweeps.analysis.workload_fields`).

        Args:
            objectives: columns to be small, or ``max COLUMN``.

        Raises:
            InputError: an unknown column.
        """
        from dataflow.errors import unknown
        from hwsim.sweeps.analysis import fronts
        from hwsim.sweeps.spec import objective

        good = self.table[self.table["status"] == "ok"].reset_index(drop=True)
        wanted = []
        for text in objectives or ("cycles",):
            try:
                wanted.append(objective(text))
            except ValueError as error:
                raise InputError(f"pareto: {text!r}: {error}") from None
            if (column := wanted[-1].split()[1]) not in good.columns:
                raise unknown("column", column, [str(c) for c in good.columns])
        return good[fronts(good, wanted, self.fields)]

    def report(self) -> list[Path]:
        """Write the sweep's page into its store."""
        from reports.explore import write_sweep

        return write_sweep(self.store)[0]


def sweep(
    design: Machine, workload: Any = None, *, over: Mapping[str, Any], store: Path | str,
    objectives: Sequence[str] = ("cycles", "energy_j"), workers: int | None = None, **settings: Any,
) -> Sweep:  # fmt: skip
    """Run a machine over a space of designs and settings; a sweep that was ended goes on where it was.

    Args:
        design: where the machine's other fields come from.
        workload: as of `simulate`.
        over: field -> values or range (``{"from": 8, "to": 64, "powers_of": 2}``); a field of the machine's
            configuration, or of the run's settings (``pattern``); several that move together, separated by commas.
        store: folder of the results.
        objectives: columns that a page shows and `Sweep.pareto` is asked for.
        workers: processes (default: one a core); 0: in this process, as a machine that only this process knows needs.

    Raises:
        InputError: an unknown field, a value that it cannot have, a store of another sweep.
    """
    import os

    import pandas as pd

    from hwsim.sweeps import executors
    from hwsim.sweeps.space import Space
    from hwsim.sweeps.spec import Spec
    from hwsim.sweeps.sweep import run_sweep
    from hwsim.sweeps.table import EXTRA

    kind, folder = type(design), Path(store)
    base: dict[str, Any] = {**settings}
    if changed := design.config.model_dump(mode="json", exclude_defaults=True):
        base["machine"] = changed
    if workload is not None:
        base |= _phase_of(kind, workload, base)
        base[kind.workload_field] = _named(workload, folder)
    axes = {",".join(_field(kind, f.strip()) for f in name.split(",")): v for name, v in over.items()}
    data = {"title": f"{kind.name} over {', '.join(over)}", "machine": kind.name, "base": base, "axes": axes,
            "objectives": list(objectives)}  # fmt: skip
    space = Space(validated(Spec, data, "sweep"), "sweep")
    count = (os.cpu_count() or 1) if workers is None else workers
    run_sweep(space, folder, executors.processes(count) if count else executors.serial)
    table = pd.read_parquet(folder / "results.parquet")
    fields = tuple(f for name in axes for f in name.split(","))
    return Sweep(table[table["design"] != EXTRA].reset_index(drop=True), folder, fields)


def _field(kind: type[Machine], name: str) -> str:
    """A field's path in the run settings: of the machine's configuration, unless the run has one of that name."""
    here = name.partition(".")[0]
    return name if here in kind.Run.model_fields else f"machine.{name}"


def _named(workload: Any, folder: Path) -> str:
    """A workload by name or file, as other processes can find it: an object is written into the store."""
    if isinstance(workload, str | Path):
        return str(workload)
    from dataflow.attention.workload import Workload
    from dataflow.networks import zoo
    from dataflow.networks.network import Network

    if isinstance(workload, Network):
        from dataflow.files import file_name
        from dataflow.importers.network_files import write_network_yaml

        if workload.name in zoo.NETWORKS and zoo.network(workload.name) == workload:
            return workload.name
        path = folder / "workload" / f"{file_name(workload.name)}.yaml"
        write_network_yaml(workload, path)
        return str(path.resolve())
    if isinstance(workload, Workload):
        path = folder / "workload" / f"{workload.name}.csv"
        workload.write(path)
        return str(path.resolve())
    raise InputError(f"sweep: a workload by name, file, or as a network, not {type(workload).__name__}")
