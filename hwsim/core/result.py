# SPDX-License-Identifier: Apache-2.0
"""The result of a run: one form for every machine, written and read in one format.

A result has records (a row a step, layer or whatever the machine runs in order), their cycles split by cause, and the
settings that it came from. `Result` is all that others use; `SimpleResult` is ready for a machine that needs no more.

A stored result is a folder: ``result.parquet`` (the records, with energy by component, and as the file's metadata
under the key ``hwsim`` everything else as JSON) and a Parquet file for each further table. Within a format's number
columns and facts are only added; a file of another number is refused by name.
"""

from __future__ import annotations

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dataflow.errors import InputError
from dataflow.files import atomic_path

from .energy import Energy

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

RESULT_FORMAT = "hwsim-result/2"
MAIN = "result"
"""The table of the records."""
_ENERGY = ("energy_", "_pj")
"""Before and behind a component's name in the stored records."""


class Result(ABC):
    """One run of a machine.

    A subclass has the attributes ``machine`` (the registered name), ``workload`` (what ran) and ``frequency_hz``.
    """

    CAUSES: ClassVar[Mapping[str, str]] = {}
    """What cycles are spent on: column of the records -> words; they sum to ``cycles``."""
    COMPONENTS: ClassVar[Mapping[str, str]] = {}
    """Components of `energy` -> words; one that is not here is printed by its own name."""

    machine: str
    workload: str
    run_settings: dict[str, Any] | None = None
    """What differs from the defaults in the settings of the run, as plain values; None: they are not held, as of a
    workload that was given as an object."""

    @property
    @abstractmethod
    def records(self) -> Sequence[Mapping[str, Any]]:
        """The rows, as plain values; each has ``cycles`` and the causes' columns."""

    @property
    @abstractmethod
    def frequency_hz(self) -> int:
        """Clock frequency, Hz."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Everything but the tables, as JSON can hold it: what `of` makes the result from again."""

    @classmethod
    @abstractmethod
    def of(cls, facts: dict[str, Any], rows: list[dict[str, Any]], tables: dict[str, pd.DataFrame]) -> Self:
        """The result of stored facts, records and further tables.

        Raises:
            KeyError, TypeError, ValueError: they are not those of such a result.
        """

    @property
    def ignored(self) -> Sequence[str]:
        """Operations of the workload's graph that cost nothing because the user said so."""
        return ()

    @property
    def name(self) -> str:
        """Workload and machine, for titles."""
        return f"{self.workload} on {self.machine}"

    @property
    def cycles(self) -> int:
        """Clock cycles of the whole run."""
        return int(sum(r["cycles"] for r in self.records))

    @property
    def seconds(self) -> float:
        """Time of the run at the machine's clock, s."""
        return self.cycles / self.frequency_hz

    @property
    def operations(self) -> int:
        """Operations of the task, counted as if nothing were pruned (a multiply-add is two); 0: not counted."""
        return 0

    @property
    def causes(self) -> dict[str, int]:
        """Cycles by cause; they sum to `cycles`."""
        rows = self.records
        return {cause: int(sum(r[cause] for r in rows)) for cause in self.CAUSES}

    def rows(self) -> pd.DataFrame:
        """The records as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.records))

    def tables(self) -> dict[str, pd.DataFrame]:
        """Further tables, by name."""
        return {}

    def energy_rows(self) -> list[dict[str, float]]:
        """Picojoules of each record by component, from published figures; empty: the machine counts no energy."""
        return []

    def energy(self, source: str = "table") -> Energy:
        """Energy of the run.

        Args:
            source: ``table`` (operations and bytes times published figures) or ``rtl`` (cells of the RTL times
                recorded switching; a machine with RTL).

        Raises:
            InputError: another source; the machine has no such energy.
        """
        if source == "rtl":
            from .machine import find

            return find(self.machine).rtl_energy(self)
        if source != "table":
            raise InputError(f"energy source {source!r}: table or rtl")
        energy = self.table_energy()
        if energy is None:
            raise InputError(f"machine {self.machine}: counts no energy")
        return energy

    def table_energy(self) -> Energy | None:
        """Energy from published figures; None: the machine counts none."""
        rows = self.energy_rows()
        if not rows and self.records:
            return None
        names = list(rows[0]) if rows else []
        return Energy("table", {name: sum(row[name] for row in rows) * 1e-12 for name in names})

    def save(self, folder: Path | str) -> list[Path]:
        """Write the result into a folder; the file that makes it whole comes last."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = Path(folder)
        tables = {name: pa.Table.from_pandas(t, preserve_index=False) for name, t in self.tables().items()}
        main = pa.Table.from_pylist([dict(r) for r in self.records])
        energy = self.energy_rows()
        for component in energy[0] if energy else ():
            main = main.append_column(component.join(_ENERGY), pa.array([e[component] for e in energy], pa.float64()))
        facts = {"format": RESULT_FORMAT, "machine": self.machine, "tables": list(tables), **self.facts()}
        if self.run_settings is not None:
            facts["run"] = self.run_settings
        tables[MAIN] = main
        paths = []
        for name, table in tables.items():
            paths.append(folder / f"{name}.parquet")
            with atomic_path(paths[-1]) as temporary:
                pq.write_table(table.replace_schema_metadata({"hwsim": json.dumps(facts)}), temporary)
        return paths[::-1]

    def __eq__(self, other: object) -> bool:
        """Whether facts and every value of every table are the same (NaN is NaN)."""
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Result)
        mine, theirs = self.tables(), other.tables()
        return (
            self.machine == other.machine
            and json.dumps(self.facts(), sort_keys=True) == json.dumps(other.facts(), sort_keys=True)
            and self.rows().equals(other.rows())
            and mine.keys() == theirs.keys()
            and all(mine[name].equals(theirs[name]) for name in mine)
        )

    __hash__ = None  # type: ignore[assignment]  # two results are equal by value and may change


@dataclass(eq=False)
class SimpleResult(Result):
    """A result made of plain rows.

    Each row has ``cycles``, a column for each cause, and where energy is counted ``energy_<component>_pj``.
    """

    machine: str
    workload: str
    settings: dict[str, Any]
    """Settings of the run (`hwsim.core.machine.RunSettings`), as plain values."""
    clock_hz: int
    steps: list[dict[str, Any]] = field(default_factory=list)
    cause_text: dict[str, str] = field(default_factory=dict)
    """Causes' columns -> words."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further facts, as JSON can hold them."""

    @property
    def CAUSES(self) -> Mapping[str, str]:  # type: ignore[override]  # read only
        return self.cause_text

    @property
    def frequency_hz(self) -> int:
        return self.clock_hz

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        return [{k: v for k, v in row.items() if not energy_component(k)} for row in self.steps]

    def energy_rows(self) -> list[dict[str, float]]:
        names = {k: energy_component(k) for k in (self.steps[0] if self.steps else ())}
        found = [{component: row[k] for k, component in names.items() if component} for row in self.steps]
        return found if found and found[0] else []

    @property
    def ignored(self) -> Sequence[str]:
        return self.extra.get("ignored") or self.settings.get("ignore_op") or ()

    def facts(self) -> dict[str, Any]:
        return {"workload": self.workload, "settings": self.settings, "frequency_hz": self.clock_hz,
                "causes": self.cause_text, "extra": self.extra}  # fmt: skip

    @classmethod
    def of(cls, facts: dict[str, Any], rows: list[dict[str, Any]], tables: dict[str, pd.DataFrame]) -> Self:
        return cls(facts["machine"], facts["workload"], facts["settings"], facts["frequency_hz"], rows,
                   facts["causes"], facts["extra"])  # fmt: skip


def energy_component(column: str) -> str:
    """The energy component that a column is of; empty: it is another column."""
    before, behind = _ENERGY
    inside = column.startswith(before) and column.endswith(behind)
    return column[len(before) : -len(behind)] if inside else ""


def why(error: Exception) -> str:
    """The reason of a failed read in a few words: the system's, where it has one."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else (getattr(error, "strerror", None) or str(error).splitlines()[0][:100])


def stored_facts(path: Path) -> dict[str, Any]:
    """The facts of a stored result's file.

    Raises:
        InputError: no such file, not Parquet, not a result, or of another version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        raw = (pq.read_schema(path).metadata or {}).get(b"hwsim")
    except (OSError, pa.ArrowException) as error:
        reason = why(error)
        raise InputError(f"{path}: not a readable result file: {reason}") from None
    try:
        facts = json.loads(raw) if raw else {}
    except ValueError:
        facts = {}
    found = facts.get("format") if isinstance(facts, dict) else None
    if re.fullmatch(r"hwsim(-\w+)?-result/1", str(found)):
        raise InputError(f"{path}: field format: {found} was written by hwsim 0.1: run the same command again")
    if found != RESULT_FORMAT:
        raise InputError(f"{path}: field format: not a result of this version ({RESULT_FORMAT})")
    return dict(facts)


def read_result(path: Path | str, kind: type[Result]) -> Result:
    """A stored result of a known class, from its folder (or its ``result.parquet``).

    Raises:
        InputError: not a readable result; a table or column is missing.
    """
    file = result_file(path)
    facts = stored_facts(file)
    try:
        rows = _read(file).to_pylist()
        tables = {name: _read(file.with_name(f"{name}.parquet")).to_pandas() for name in facts["tables"]}
        result = kind.of(facts, rows, tables)
        result.run_settings = facts.get("run")
        return result
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: column or fact {error} is missing or wrong") from None


def _read(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = why(error)
        raise InputError(f"{path}: not a readable table of a result: {reason}") from None


def result_file(path: Path | str) -> Path:
    """The file of the records of a result that is given as its folder or that file."""
    path = Path(path)
    return path / f"{MAIN}.parquet" if path.is_dir() or not path.suffix else path
