# SPDX-License-Identifier: Apache-2.0
"""What a user asks SpAtten to run, as one checked object, and where its workload comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import pandas as pd
from pydantic import Field

from dataflow.attention.pruning import AttentionPruning
from dataflow.attention.trace import read_attention_trace
from dataflow.attention.workload import (
    MODELS,
    PUBLISHED,
    Workload,
    make_workload,
    read_workload,
    stream_workload,
    usual_pruning,
)
from dataflow.errors import InputError, unknown
from hwsim.core.machine import RunSettings, Settings

from .baselines import dense_of, style
from .config import SpattenConfig
from .result import ALL_CAUSES, SpattenResult
from .study import Case
from .timing.lower import layers
from .timing.scores import RecordedScores, Source, SyntheticScores
from .timing.simulate import simulate

WHOLE_BYTES = 1 << 27
"""A CSV up to this size is read whole; a larger one is streamed."""
StyleName = Literal["SpAtten", "dense", "MNNFast", "A3"]


class OpenWorkload(NamedTuple):
    """A workload that was found."""

    name: str
    whole: Workload | None
    """The workload in memory; None: it is too large and is streamed."""
    pieces: Callable[[], Iterable[pd.DataFrame]]
    source: Callable[[], Source]
    trace: tuple[dict[str, Any], list[dict[str, Any]]] | None = None
    """A trace's meta data and steps."""


class SpattenStudy(Settings):
    """Workloads beside the dense datapath, technique by technique, and beside A3 and MNNFast."""

    renamed: ClassVar[dict[str, str]] = {"every": "iteration_stride"}

    workloads: tuple[str, ...] = Field(
        ("gpt2-small-wikitext2", "bert-base"),
        min_length=1,
        description="as SpattenRun.workload; small enough for memory",
    )
    iteration_stride: int = Field(8, ge=1, le=10_000, description="run only every n-th generated token (1: all)")
    seed: int = Field(0, ge=0, lt=2**31, description="of drawn importance and probabilities")
    spread: float = Field(2.0, ge=0, le=20, description="standard deviation of a query's drawn scores")
    machine: SpattenConfig = SpattenConfig()

    def cases(self) -> list[Case]:
        """The workloads. Raises as `SpattenRun.open`; also where a name appears twice or a file is too large."""
        found: list[Case] = []
        for name in self.workloads:
            run = SpattenRun(workload=name, seed=self.seed, spread=self.spread, machine=self.machine)
            opened = run.open()
            if opened.whole is None:
                raise InputError(f"workloads: {name}: too large for a study")
            rows, label = opened.whole.rows, opened.name
            count = rows["iteration_id"].nunique()
            if count > self.iteration_stride and opened.trace is None:
                rows = _thin(rows, self.iteration_stride)
                label += f", 1 token of {self.iteration_stride}" if self.iteration_stride > 1 else ""
            if label in (c.name for c in found):
                raise InputError(f"workloads: {label!r} appears twice")
            note = "the authors' file" if name in PUBLISHED else "sizes by name" if name in MODELS else "a file"
            source = opened.source() if opened.trace else None
            model = "gpt2-small" if name in PUBLISHED else name if name in MODELS else ""
            found.append(Case(label, Workload(label, rows), "a trace" if source else note, model, source))
        return found


class SpattenRun(RunSettings):
    """One workload on one machine."""

    renamed: ClassVar[dict[str, str]] = {"every": "iteration_stride"}

    workload: str = Field(
        "gpt2-small", description="a model's size by name, a workload CSV, or the folder of an attention trace"
    )
    pruning: AttentionPruning | None = Field(
        None, description="of a model's size; none: `dataflow.attention.workload.usual_pruning`"
    )
    refetched: float = Field(
        0.059, ge=0, le=1, description="of a model's size: share of queries that need LSBs (paper: 5.9% on average)"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of drawn importance and probabilities")
    spread: float = Field(
        2.0, ge=0, le=20, description="standard deviation of a query's drawn scores (MiniLM's: 1.2 to 2.5 by layer)"
    )
    iteration_stride: int = Field(
        1, ge=1, le=10_000, description="run only every n-th iteration (generated token) of the workload (1: all)"
    )
    style: StyleName = Field("SpAtten", description="what the machine does with a head: SpAtten or a baseline")
    silicon: bool = Field(
        False, description="columns of area and energy from the RTL's cells too (Yosys; minutes once for each machine)"
    )
    machine: SpattenConfig = SpattenConfig()

    def inputs(self) -> list[Path]:
        """Files and folders whose contents the result depends on."""
        return [] if self.workload in (*MODELS, *PUBLISHED) else [Path(self.workload)]

    def measure(self, *, detail: bool = False) -> dict[str, Any]:
        """Simulate: totals as columns; ``detail`` adds ``parts``, a row a layer of an iteration.

        Raises:
            InputError: as `open` and `run`.
        """
        from .energy import total_energy_j

        result = self.run(self.open())
        energy = total_energy_j(self.machine, result.steps)
        c = self.machine
        row: dict[str, Any] = {
            "cycles": result.cycles,
            "seconds": result.seconds,
            "energy_j": sum(energy.values()),
            "queries": result.total("queries"),
            "lsb_recomputations": result.total("lsb_recomputations"),
            "macs": result.macs,
            "flop_per_s": 2 * result.macs / result.seconds if result.cycles else 0.0,
            "dram_bytes": result.dram_bytes,
            "multipliers": c.qk_multipliers + c.pv_multipliers,
            "sram_bytes": c.key_sram_bytes + c.value_sram_bytes,
            "dram_bytes_per_cycle": float(c.memory.peak_bytes_per_cycle),
            "bound": result.bound,
            "share_of_bound": result.share_of_bound,
            **{f"{cause}_cycles": result.total(f"{cause}_cycles") for cause in ALL_CAUSES},
            **{f"busy_{name.lower().replace(' ', '_').replace('-', '_')}": v for name, v in result.occupancy.items()},
            **{f"energy_{name}_j": value for name, value in energy.items()},
        }
        if self.silicon:
            from .silicon import silicon_columns

            row |= silicon_columns(result)
        if detail:
            names = ("iteration", "layer", "heads", "keys", "queries", "cycles", "dram_bytes")
            row["parts"] = [{name: r[name] for name in names} for r in result.steps]
        return row

    def open(self) -> OpenWorkload:
        """Find the workload.

        Raises:
            InputError: none of that name, a file or trace that cannot be read, pruning given for a file.
        """
        path = PUBLISHED.get(self.workload, Path(self.workload))
        drawn = lambda: SyntheticScores(self.seed, self.spread, self.machine.probability_bits)  # noqa: E731
        if self.workload in MODELS:
            model = MODELS[self.workload]
            pruning = self.pruning or usual_pruning(model)
            whole = self._thinned(make_workload(self.workload, model, pruning, refetched=self.refetched))
            return OpenWorkload(whole.name, whole, lambda: [whole.rows], drawn)
        if self.pruning is not None:
            raise InputError(f"pruning: only for a model's size by name ({', '.join(MODELS)}); a file says its own")
        if path.is_dir():
            if self.iteration_stride > 1:
                raise InputError(f"iteration_stride={self.iteration_stride}: the trace {path} is run whole")
            meta, steps = read_attention_trace(path)
            whole = read_workload(path / "workload.csv")
            bits = self.machine.probability_bits
            return OpenWorkload(
                whole.name, whole, lambda: [whole.rows], lambda: RecordedScores(steps, bits, str(path)), (meta, steps)
            )
        if path.suffix.lower() != ".csv":
            more = "; or a .csv file, or the folder of an attention trace"
            raise unknown("workload", self.workload, [*MODELS, *PUBLISHED], more)
        try:
            large = path.stat().st_size > WHOLE_BYTES
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        if large:
            pieces = lambda: (_thin(p, self.iteration_stride) for p in stream_workload(path))  # noqa: E731
            return OpenWorkload(path.stem, None, pieces, drawn)
        whole = self._thinned(_cached_workload(path, path.stat().st_mtime_ns))
        return OpenWorkload(path.stem, whole, lambda: [whole.rows], drawn)

    def opened(self, workload: Workload) -> OpenWorkload:
        """A workload that is an object already."""
        whole = self._thinned(workload)
        draw = lambda: SyntheticScores(self.seed, self.spread, self.machine.probability_bits)  # noqa: E731
        return OpenWorkload(whole.name, whole, lambda: [whole.rows], draw)

    def _thinned(self, workload: Workload) -> Workload:
        return Workload(workload.name, _thin(workload.rows, self.iteration_stride))

    def run(self, opened: OpenWorkload, tick: Callable[[int], None] = lambda rows: None) -> SpattenResult:
        """Simulate; a baseline style runs the workload without any technique.

        Raises:
            InputError: also a streamed CSV's line that is wrong; a baseline of one that is streamed.
        """
        source = opened.source()
        pieces = opened.pieces()
        if self.style != "SpAtten":
            if opened.whole is None:
                raise InputError(f"{self.workload}: too large for a baseline: it is read in pieces")
            source = SyntheticScores(self.seed, self.spread, self.machine.probability_bits)
            pieces = [dense_of(opened.whole).rows]
        used = style(self.style, self.machine, source)
        return simulate(
            self.machine, layers(pieces), source, workload=opened.name, style_name=self.style, style=used, tick=tick
        )


@lru_cache(maxsize=4)
def _cached_workload(path: Path, stamp: int) -> Workload:
    """A workload file, read once for many runs; ``stamp``: its time of modification, so that a changed file is read."""
    return read_workload(path)


def _thin(rows: pd.DataFrame, stride: int) -> pd.DataFrame:
    """Rows of every n-th iteration, from the first on."""
    return rows if stride == 1 else rows[rows["iteration_id"] % stride == 0]
