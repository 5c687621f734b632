# SPDX-License-Identifier: Apache-2.0
"""What a user asks SpAtten to run, as one checked object, and where its workload comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import pandas as pd
from pydantic import Field, model_validator

from dataflow.attention.pruning import AttentionPruning
from dataflow.attention.trace import read_attention_trace
from dataflow.attention.workload import (
    PUBLISHED,
    RELEASE_SPLITS,
    Unquantized,
    Workload,
    as_run,
    decode_workload,
    is_authors,
    is_made,
    made_workload,
    model_of,
    read_workload,
    stream_workload,
    workload_file,
)
from dataflow.errors import InputError
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
READINGS: dict[Unquantized, str] = {
    "release": "keys of -1, 10 and 12 bits: 8 + 4 bits, always computed again, as the authors' release; values: 8 bits",
    "operands": "operands of -1 bits: as wide as the machine's",
}
MAKING = ("length", "pruning", "refetched", "batch", "budget", "layers")
"""Settings of workloads that are made from sizes."""
SINKS = 4
"""First tokens that a window keeps (StreamingLLM)."""
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
    reading: str = ""
    """How rows are read where there is more than one way, in words."""


class Reading(Settings):
    """How rows of a workload are read, and how many of them; what a run and a study share."""

    renamed: ClassVar[dict[str, str]] = {"every": "iteration_stride"}

    unquantized: Unquantized | None = Field(
        None,
        description="keys and values of -1, 10 or 12 bits: release: keys in 8 + 4 bits, always computed again, values "
        "in 8, as the authors' RTL runs them; operands: as written, -1 as wide as the machine's operands; none: "
        "release for a file with the authors' columns alone, operands for all others",
    )
    count_rounding: int = Field(
        1,
        ge=1,
        le=1024,
        description="fetched keys and values are rounded up to a multiple of it, never above the sentence (1: as "
        "written; 8: the authors' RTL)",
    )
    iteration_stride: int = Field(
        1,
        ge=1,
        le=10_000,
        description="run a sample: of every n iterations (generated tokens) the middle one; the result is named so (1: "
        "all)",
    )


class SpattenStudy(Reading):
    """Workloads beside the dense datapath, technique by technique, and beside A3 and MNNFast."""

    workloads: tuple[str, ...] = Field(
        ("gpt2-small-wikitext2", "bert-base"),
        min_length=1,
        description="as SpattenRun.workload; small enough for memory",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of drawn importance and probabilities")
    spread: float = Field(2.0, ge=0, le=20, description="standard deviation of a query's drawn scores")
    machine: SpattenConfig = SpattenConfig()

    def cases(self) -> list[Case]:
        """The workloads. Raises as `SpattenRun.open`; also where a name appears twice or a file is too large."""
        found: list[Case] = []
        for name in self.workloads:
            shared = {field: getattr(self, field) for field in (*Reading.model_fields, "seed", "spread", "machine")}
            opened = SpattenRun(workload=name, **shared).open()
            if opened.whole is None:
                raise InputError(f"workloads: {name}: too large for a study")
            label = opened.name
            if label in (c.name for c in found):
                raise InputError(f"workloads: {label!r} appears twice")
            note = "the authors' file" if name in PUBLISHED else "sizes by name" if is_made(name) else "a file"
            source = opened.source() if opened.trace else None
            whole = replace(opened.whole, name=label)
            found.append(Case(label, whole, "a trace" if source else note, model_of(name), source))
        return found


class SpattenRun(RunSettings, Reading):
    """One workload on one machine."""

    workload: str = Field(
        "gpt2-small",
        description="a model's size or a benchmark by name, a workload CSV, or the folder of an attention trace",
    )
    length: int | None = Field(
        None,
        ge=1,
        le=1 << 18,
        description="input tokens of a model's size or a benchmark; none: the benchmark's own; of a model 64 (encoder) "
        "or 992 (decoder)",
    )
    pruning: AttentionPruning | None = Field(
        None,
        description="of a model's size or a benchmark; none: `dataflow/attention/workloads/benchmarks.yaml`",
    )
    refetched: float | None = Field(
        None,
        ge=0,
        le=1,
        description="of a model's size or a benchmark: share of queries that need LSBs, where quantization is "
        "progressive; none: 0.059, the paper's average",
    )
    batch: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="of a decoder's size: a token more of so many sequences, each with ``length`` tokens in its cache, "
        "all layers, operands as wide as the machine's; none: the run of generated tokens that the paper has",
    )
    budget: int | None = Field(
        None,
        ge=1,
        le=1 << 20,
        description="with ``batch``: keys that a query sees at most, drawn by importance; what choosing them costs is "
        "not counted; none: all",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of drawn importance and probabilities")
    spread: float = Field(
        2.0, ge=0, le=20, description="standard deviation of a query's drawn scores (MiniLM's: 1.2 to 2.5 by layer)"
    )
    layers: int | None = Field(
        None, ge=1, le=1024, description="with ``batch``: only so many of the model's layers, which are all alike; "
        "the result is named so; none: all",
    )  # fmt: skip
    selection: Literal["tokens", "pages", "window"] = Field(
        "tokens",
        description="drawn importance keeps tokens, or whole pages of machine.page_tokens (layout pages); window: the "
        "first 4 tokens and the newest ones, of a model's size or a benchmark",
    )
    style: StyleName = Field("SpAtten", description="what the machine does with a head: SpAtten or a baseline")
    silicon: bool = Field(
        False, description="columns of area and energy from the RTL's cells too (Yosys; minutes once for each machine)"
    )
    machine: SpattenConfig = SpattenConfig()

    @model_validator(mode="after")
    def _has_effect(self) -> SpattenRun:
        if self.selection == "pages" and self.machine.layout != "pages":
            raise ValueError("selection=pages: needs machine.layout=pages")
        for name in ("budget", "layers"):
            if self.batch is None and getattr(self, name) is not None:
                raise ValueError(f"{name}={getattr(self, name)}: has no effect without batch")
        for name in ("pruning", "refetched"):
            if self.batch is not None and getattr(self, name) is not None:
                raise ValueError(f"{name}: has no effect with batch: a step keeps what budget says")
        return self

    def inputs(self) -> list[Path]:
        """Files and folders whose contents the result depends on."""
        return [] if is_made(self.workload) or self.workload in PUBLISHED else [Path(self.workload)]

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
            "ran": result.workload,
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
            "dram_bytes_per_cycle": c.peak_bytes_per_cycle,
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
            InputError: none of that name, a file or trace that cannot be read, pruning or length given for a file.
        """
        if is_made(self.workload):
            if self.batch is not None:
                return self._whole(decode_workload(self.workload, self.batch, self.length, self.budget, self.layers))
            made = {name: getattr(self, name) for name in ("length", "pruning", "refetched")}
            return self._whole(made_workload(self.workload, **made))
        path = workload_file(self.workload)
        self._only_as_it_is()
        if path.is_dir():
            return self._trace(path)
        try:
            stat = path.stat()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        if stat.st_size > WHOLE_BYTES:
            return self._streamed(path)
        return self._whole(_cached_workload(path, stat.st_mtime_ns), path.stem)

    def opened(self, workload: Workload) -> OpenWorkload:
        """A workload that is an object already. Raises where settings would make another one."""
        self._only_as_it_is()
        return self._whole(workload)

    def _only_as_it_is(self) -> None:
        """Refuse settings that a workload which is made already cannot follow."""
        for name in MAKING:
            if getattr(self, name) is not None:
                raise InputError(f"{name}: only for a model's size or a benchmark by name; a file says its own")

    def _whole(self, workload: Workload, name: str = "") -> OpenWorkload:
        """``name`` in place of the workload's own."""
        reading = self._reading(workload.authors)
        split = workload.rows[["quant_key_bit", "quant_value_bit"]].isin(RELEASE_SPLITS).any(axis=None)
        rows, sampled = _sample(workload.rows, self.iteration_stride)
        whole = replace(workload, rows=as_run(rows, reading, self.count_rounding))
        return OpenWorkload((name or whole.name) + sampled, whole, lambda: [whole.rows], self._drawn,
                            reading=self._told(reading if split else None))  # fmt: skip

    def _streamed(self, path: Path) -> OpenWorkload:
        reading, stride = self._reading(is_authors(path)), self.iteration_stride

        def pieces() -> Iterator[pd.DataFrame]:
            rows = 0
            for piece in stream_workload(path):
                sample = piece[piece["iteration_id"] % stride == stride // 2]
                rows += len(sample)
                yield as_run(sample, reading, self.count_rounding)
            if not rows:
                raise InputError(f"iteration_stride={stride}: {path} has no iteration {stride // 2}")

        name = path.stem + (f", sample of 1 of {stride} iterations" if stride > 1 else "")
        return OpenWorkload(name, None, pieces, self._drawn, reading=self._told(reading))

    def _trace(self, path: Path) -> OpenWorkload:
        for name in (*Reading.model_fields, "selection"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise InputError(f"{name}={getattr(self, name)}: the trace {path} is run whole, as it was recorded")
        meta, steps = read_attention_trace(path)
        whole = read_workload(path / "workload.csv")
        bits = self.machine.probability_bits
        return OpenWorkload(
            whole.name, whole, lambda: [whole.rows], lambda: RecordedScores(steps, bits, str(path)), (meta, steps)
        )

    def _drawn(self) -> Source:
        page = self.machine.page_tokens if self.selection == "pages" else 1
        sinks = SINKS if self.selection == "window" else None
        return SyntheticScores(self.seed, self.spread, self.machine.probability_bits, page, sinks)

    def _reading(self, authors: bool) -> Unquantized:
        return self.unquantized or ("release" if authors else "operands")

    def _told(self, reading: Unquantized | None) -> str:
        """How rows are read, in words; ``reading``: of operands that are not quantized, None: there are none."""
        told = [READINGS[reading]] if reading else []
        if self.count_rounding > 1:
            told.append(f"numbers of fetched keys and values: rounded up to {self.count_rounding}")
        return "; ".join(told)

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
            source = self._drawn()
            pieces = [dense_of(opened.whole).rows]
        used = style(self.style, self.machine, source)
        return simulate(
            self.machine, layers(pieces), source, workload=opened.name, style_name=self.style, style=used, tick=tick
        )


@lru_cache(maxsize=4)
def _cached_workload(path: Path, stamp: int) -> Workload:
    """A workload file, read once for many runs; ``stamp``: its time of modification, so that a changed file is read."""
    return read_workload(path)


def _sample(rows: pd.DataFrame, stride: int) -> tuple[pd.DataFrame, str]:
    """Of every ``stride`` iterations the middle one, and what is to be added to the workload's name.

    The first iteration of a decoder is not pruned yet; a sample that began with it would count it ``stride`` times.
    """
    iterations = rows["iteration_id"].unique()
    if stride == 1 or len(iterations) == 1:
        return rows, ""
    chosen = iterations[min(stride, len(iterations)) // 2 :: stride]
    return rows[rows["iteration_id"].isin(chosen)], f", sample of {len(chosen)} of {len(iterations)} iterations"
