# SPDX-License-Identifier: Apache-2.0
"""What a machine is to the rest of hwsim, and where machines are found.

A machine is a class: how it is configured, what a run of it takes, and `Machine.simulate`. Everything else is optional
and refused by name where it is missing: blocks of RTL, area and energy from cells, a study with its page, claims. An
object of the class is one design: the machine with a configuration.

Machines are registered by name (`register_machine`) or offered by an installed package as an entry point of the group
``hwsim.machines``; no other place of the house knows their names.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ConfigDict, model_validator

from dataflow.errors import InputError
from dataflow.files import validated
from dataflow.registry import Registry

from .result import Result, SimpleResult, read_result, result_file, stored_facts

if TYPE_CHECKING:
    from .energy import Energy
    from .study import StudyTables

Tick = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done and of how much (None: unknown)."""


Priced = tuple[list[dict[str, Any]], Any]
"""Energy by what is done, and the `hwsim.silicon.cost.Silicon` that it is of."""


def quiet(text: str, done: int = 0, total: int | None = None) -> None:
    """A `Tick` that does nothing."""


class Settings(BaseModel):
    """Settings that people write. Frozen; unknown keys are errors, and a key that was renamed says its new name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions -> what they are called now."""

    @model_validator(mode="before")
    @classmethod
    def _old_keys(cls, data: Any) -> Any:
        for old in cls.renamed if isinstance(data, dict) else ():
            if old in data:
                raise ValueError(f"{old}: is now {cls.renamed[old]}")
        return data


class RunSettings(Settings):
    """What one run takes: a subclass adds its fields, among them ``machine``, the configuration."""

    def inputs(self) -> list[Path]:
        """Files and folders whose contents the result depends on."""
        return []


class Machine:
    """A machine; an object is a design of it.

    A subclass sets `Config`, `Run` and `workload_field` and defines `simulate`; the rest is there if it is defined.
    """

    name: ClassVar[str] = ""
    """Name under which it is registered."""
    title: ClassVar[str] = ""
    """The machine in one line."""
    Config: ClassVar[type[BaseModel]]
    """Every parameter of the machine, checked; ``Config()`` is the published design, if there is one."""
    Run: ClassVar[type[RunSettings]]
    """Settings of one run; its field ``machine`` is a `Config`."""
    result_class: ClassVar[type[Result]] = SimpleResult
    workload_field: ClassVar[str] = "network"
    """Field of `Run` that says what runs, by name or file."""

    resources: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What there can be more of, in words -> fields of `Config` that hold how much and grow together (``hwsim
    explain``); a field inside another is written with a dot. A machine whose configuration decides what can grow
    overrides `growing` and `instead`."""

    Study: ClassVar[type[BaseModel] | None] = None
    """Settings of the machine's study (`study`), if it has one."""
    study_field: ClassVar[str] = "networks"
    """Field of `Study` that lists what runs."""
    rtl: ClassVar[Path | None] = None
    """Folder of its Verilog files; None: hwsim's own (`hwsim.rtl_tools.sources.RTL`)."""
    top: ClassVar[str] = ""
    """Verilog module of the whole machine; empty: it has no RTL."""
    synth_top: ClassVar[str] = ""
    """Module that is synthesized where none is named; empty: `top`."""
    placed: ClassVar[tuple[str, ...]] = ()
    """Modules whose clock is measured where none is named (``hwsim synth --place``); empty: `synth_top`."""
    shaped_block: ClassVar[str] = ""
    """Block that can be verified at rows and columns of one's choice; empty: none."""
    machine_blocks: ClassVar[tuple[str, ...]] = ()
    """Blocks that can be verified at any configuration that their RTL can be; the first is the whole machine."""

    @classmethod
    def growing(cls, run: Any) -> Mapping[str, tuple[str, ...]]:
        """Of `resources`, those that a run's configuration can have more of."""
        return cls.resources

    @classmethod
    def instead(cls, run: Any) -> Mapping[str, Mapping[str, Any]]:
        """Other machines that a run could have had, in words -> fields of `Config` and their values: where nothing can
        grow, because the configuration names a machine that is as it is."""
        return {}

    def __init__(self, config: BaseModel | None = None) -> None:
        self.config = config if config is not None else self.Config()

    def __repr__(self) -> str:
        changed = self.config.model_dump(exclude_defaults=True)
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in changed.items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Machine) and self.config == other.config

    def __hash__(self) -> int:
        return hash((type(self), repr(self.config)))

    # --- one run

    @classmethod
    def settings(cls, data: Mapping[str, Any], where: str = "settings") -> RunSettings:
        """A run's checked settings.

        Raises:
            InputError: the first field that is wrong, in one line.
        """
        return validated(cls.Run, dict(data), where)

    @classmethod
    def simulate(cls, run: Any, workload: Any = None, tick: Tick = quiet) -> Result:
        """Run the machine.

        Args:
            run: checked settings, a `Run`.
            workload: the workload, as an object; None: the one that the settings name.
            tick: called with the progress.

        Raises:
            InputError: settings or a workload that this machine cannot run.
        """
        raise NotImplementedError(f"{cls.__name__}.simulate")

    @classmethod
    def run(cls, run: RunSettings, tick: Tick = quiet) -> Result:
        """`simulate`; the result holds its settings, so that it can be run again."""
        result = cls.simulate(run, tick=tick)
        result.run_settings = run.model_dump(mode="json", exclude_defaults=True)
        return result

    @classmethod
    def bounds(cls, run: Any, result: Result) -> dict[str, float]:
        """Cycles that a run cannot be below, by what sets them; empty: none is known."""
        return {}

    @classmethod
    def measure(cls, run: Any, *, detail: bool = False) -> dict[str, Any]:
        """Simulate, as columns of a sweep: totals; ``detail`` adds ``parts``, the records.

        Raises:
            InputError: as `simulate`.
        """
        result = cls.simulate(run)
        row: dict[str, Any] = {"cycles": result.cycles, "seconds": result.seconds}
        if energy := result.table_energy():
            row["energy_j"] = energy.total
            row |= {f"energy_{name}_j": value for name, value in energy.components.items()}
        if (bounds := cls.bounds(run, result)) and result.cycles:
            row |= {
                "bound": max(bounds, key=bounds.__getitem__),
                "share_of_bound": max(bounds.values()) / result.cycles,
            }
        row |= {cause if cause.endswith("_cycles") else f"{cause}_cycles": n for cause, n in result.causes.items()}
        if detail:
            row["parts"] = [dict(r) for r in result.records]
        return row

    # --- what a machine may have besides

    @classmethod
    def study(cls, settings: Any, tick: Tick = quiet, extra: Sequence[Any] = ()) -> StudyTables:
        """Run a study: the tables that a report shows.

        Args:
            settings: a `Study`.
            extra: further workloads, as objects.
        """
        raise cls.without("study")

    @classmethod
    def report_sections(cls) -> Sequence[Any]:
        """Sections of a report (`hwsim.core.report.Section`) that show the study's tables; none: the plain one."""
        return ()

    @classmethod
    def published(cls) -> Path | None:
        """File of published figures with their sources (YAML), shown beside the machine's own."""
        return None

    @classmethod
    def claims(cls, tables: dict[str, list[dict[str, Any]]], tick: Tick = quiet) -> dict[str, str]:
        """Compute the published claims about this machine; adds to ``tables`` (`hwsim.core.claims`).

        Returns:
            what is assumed: subject -> source.
        """
        raise cls.without("published claims")

    @classmethod
    def check_rtl(cls, config: Any) -> None:
        """Raises InputError where the RTL of the whole machine cannot be this configuration."""

    @classmethod
    def blocks(cls) -> Mapping[str, Any]:
        """Blocks of RTL that can be compared with the simulator: name -> `hwsim.verification.case.Block`."""
        return {}

    @classmethod
    def verify_trace(cls, folder: Path, options: Any) -> Any:
        """Compare the RTL on a trace's tensors: a `hwsim.verification.case.BlockRow`."""
        raise cls.without("traces to run through its RTL")

    @classmethod
    def verilog_parameters(cls, config: Any) -> dict[str, int]:
        """Parameters of the RTL at a configuration.

        Raises:
            InputError: the machine has no RTL; the RTL cannot be built so.
        """
        if not cls.top:
            raise cls.without("RTL")
        return cast("dict[str, int]", config.verilog_parameters())

    @classmethod
    def silicon_energy(cls, result: Result, activity: Any = None, tick: Tick = quiet) -> Priced:
        """Energy of a result by what is done, from the table and from the RTL's cells, and the `Silicon` of it.

        Args:
            activity: recorded switching (`hwsim.silicon.activity.Activity`); None: the reference activity.
        """
        raise cls.without("RTL to cost")

    @classmethod
    def record(cls, trace: Path, say: Callable[[str], None], run: Any = None) -> Any:
        """Record switching activity of a trace in the co-simulated RTL (`hwsim.silicon.activity.Activity`).

        Args:
            run: settings whose machine is meant, where the RTL has modes; None: the preset's.
        """
        raise cls.without("RTL to record")

    @classmethod
    def reference_activity(cls) -> Any:
        """The switching activity that is shipped with the machine (`hwsim.silicon.activity.Activity`)."""
        raise cls.without("RTL to record")

    @classmethod
    def demo(cls, context: Any) -> bool:
        """The machine's part of ``hwsim demo`` (a `hwsim.core.demo.Demo`); False: it has none."""
        return False

    # --- what follows from these

    @classmethod
    def rtl_energy(cls, result: Result) -> Energy:
        """Energy of a result from the RTL's cells, joules by what is done.

        Raises:
            InputError: no RTL, no Yosys.
        """
        from .energy import Energy

        rows, _ = cls.silicon_energy(result)
        return Energy("rtl", {row["what"]: row["rtl_j"] for row in rows})

    @classmethod
    def can(cls) -> list[str]:
        """Commands that this machine has besides `simulate`, in words."""
        has = {
            "study": cls.Study is not None,
            "verify": bool(cls.blocks.__func__ is not Machine.blocks.__func__),  # type: ignore[attr-defined]  # a method
            "synth": bool(cls.top),
            "energy --from rtl": cls.silicon_energy.__func__ is not Machine.silicon_energy.__func__,  # type: ignore[attr-defined]  # a method
            "claims": cls.claims.__func__ is not Machine.claims.__func__,  # type: ignore[attr-defined]  # a method
        }
        return [name for name, there in has.items() if there]

    @classmethod
    def without(cls, what: str) -> InputError:
        """The error for a command or part that this machine does not have."""
        return InputError(f"machine {cls.name}: has no {what}")


def _checked(name: str, thing: Any) -> type[Machine]:
    if not (isinstance(thing, type) and issubclass(thing, Machine)):
        raise TypeError("a machine is a subclass of hwsim.Machine")
    for wanted in ("Config", "Run"):
        if not isinstance(getattr(thing, wanted, None), type):
            raise TypeError(f"{thing.__name__} has no {wanted}")
    if "machine" not in thing.Run.model_fields:
        raise TypeError(f"{thing.Run.__name__} has no field machine")
    if thing.workload_field not in thing.Run.model_fields:
        raise TypeError(f"{thing.Run.__name__} has no field {thing.workload_field} (workload_field)")
    if thing.simulate.__func__ is Machine.simulate.__func__:  # type: ignore[attr-defined]  # a method
        raise TypeError(f"{thing.__name__} does not define simulate")
    thing.name = name
    return thing


MACHINES: Registry[type[Machine]] = Registry("machine", "hwsim.machines", convert=_checked)

M = TypeVar("M", bound=type[Machine])


def register_machine(name: str) -> Callable[[M], M]:
    """A class decorator: adds a `Machine` under a name. It is checked when it is first used.

    Raises:
        InputError: the name is taken.
    """

    def decorate(machine: M) -> M:
        MACHINES.add(name, machine)
        machine.name = name
        return machine

    return decorate


def find(name: str) -> type[Machine]:
    """The machine of a name.

    Raises:
        InputError: none of that name; a package that offers it cannot be loaded.
    """
    return MACHINES.get(name)


def names() -> tuple[str, ...]:
    """All machines by name, those of hwsim first; nothing is imported."""
    return tuple(sorted(MACHINES.names(), key=lambda name: (not MACHINES.source(name).startswith("hwsim "), name)))


@cache
def _left_out(why: str) -> None:
    """Warn, once in a process."""
    warnings.warn(f"{why}; it is left out", stacklevel=3)


def every() -> Iterator[type[Machine]]:
    """All machines, in the order of `names`; one that cannot be loaded is a warning, and does not end the others."""
    for name in names():
        try:
            kind = find(name)
        except InputError as error:
            _left_out(str(error))
        else:
            yield kind


def load(path: Path | str) -> Result:
    """A stored result, of whatever machine.

    Raises:
        InputError: not a result of this version; a machine that is not installed.
    """
    return read_result(path, find(str(stored_facts(result_file(path)).get("machine", ""))).result_class)
