# SPDX-License-Identifier: Apache-2.0
"""SCALE-Sim's configuration and topology read, its three reports written, with its own numbers.

Held against SCALE-Sim 3.0.0 (scalesim-project/SCALE-Sim, commit 1d62b68, MIT) in its CALC mode: `requests`. Refused by
name: USER mode (that tool adds waits twice), sparsity, custom layouts, Ramulator's traces. ``corrected`` reports cycles
and sums as they are counted, without that tool's slips (`folds`).
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np

from dataflow.errors import InputError, unknown
from dataflow.files import read_text, write_text
from dataflow.importers.scalesim import Row, read_rows

from . import requests
from .config import Dataflow
from .folds import Folds

KEYS = {
    "general": ("run_name",),
    "architecture_presets": (
        "ArrayHeight", "ArrayWidth", "IfmapSramSzkB", "FilterSramSzkB", "OfmapSramSzkB", "IfmapOffset", "FilterOffset",
        "OfmapOffset", "Bandwidth", "Dataflow", "MemoryBanks", "ReadRequestBuffer", "WriteRequestBuffer",
    ),
    "layout": tuple(
        f"{operand}{key}" for operand in ("Ifmap", "Filter")
        for key in ("CustomLayout", "SRAMBankBandwidth", "SRAMBankNum", "SRAMBankPort")
    ),
    "sparsity": ("SparsitySupport", "SparseRep", "OptimizedMapping", "BlockSize", "RandomNumberGeneratorSeed"),
    "run_presets": ("InterfaceBandwidth", "UseRamulatorTrace"),
}  # fmt: skip
NUMBERS = ("ArrayHeight", "ArrayWidth", "IfmapSramSzkB", "FilterSramSzkB", "OfmapSramSzkB")
SWITCHES = {
    "IfmapCustomLayout": "custom layouts are", "FilterCustomLayout": "custom layouts are",
    "SparsitySupport": "sparsity is", "UseRamulatorTrace": "Ramulator's traces are",
}  # fmt: skip
READ = ("run_name", *NUMBERS, "Dataflow", "InterfaceBandwidth", *SWITCHES)
LARGEST = 1 << 20
LARGEST_LAYER = 1 << 29
"""Words of a layer's operands and lines of its sums, of which the memories are followed one by one: 4 GiB."""
COMPUTE = ("LayerID", "Total Cycles (incl. prefetch)", "Total Cycles", "Stall Cycles", "Overall Util %",
           "Mapping Efficiency %", "Compute Util %")  # fmt: skip
BANDWIDTH = ("LayerID", *(f"Avg {o} {m} BW" for m in ("SRAM", "DRAM") for o in ("IFMAP", "FILTER", "OFMAP")))
MOVED = {"IFMAP": "Reads", "Filter": "Reads", "OFMAP": "Writes"}
DETAILED = ("LayerID", *(
    f"{m} {o} {what}" for m in ("SRAM", "DRAM") for o in MOVED for what in ("Start Cycle", "Stop Cycle", MOVED[o])
))  # fmt: skip


@dataclass(frozen=True)
class ScaleSimConfig:
    """What of a configuration file has an effect in CALC mode."""

    run_name: str
    rows: int
    cols: int
    ifmap_kb: int
    filter_kb: int
    ofmap_kb: int
    dataflow: Dataflow
    without_effect: tuple[str, ...]
    """Keys that are there and change nothing in that mode, in that tool and here."""


@dataclass(frozen=True)
class Layer:
    """A layer's row in each report, without the layer's number."""

    name: str
    compute: tuple[float, ...]
    bandwidth: tuple[float, ...]
    detailed: tuple[float, ...]


def read_config(path: Path) -> ScaleSimConfig:
    """A configuration file.

    Raises:
        InputError: no such file, a section or key that is unknown or missing, a mode that is not modelled.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are written, for messages
    try:
        parser.read_string(read_text(path), source=str(path))
    except configparser.Error as error:
        raise InputError(f"{path}: no SCALE-Sim configuration: {' '.join(str(error).split())}") from None
    found: dict[str, str] = {}
    for section in parser.sections():
        if section not in KEYS:
            raise InputError(f"{path}: {unknown('section', section, KEYS)}")
        names = {key.lower(): key for key in KEYS[section]}
        for key, value in parser[section].items():
            if key.lower() not in names:
                raise InputError(f"{path}: [{section}]: {unknown('key', key, KEYS[section])}")
            if names[key.lower()] in found:
                raise InputError(f"{path}: [{section}]: {key} appears twice")
            found[names[key.lower()]] = value.strip()
    for section, keys in KEYS.items():
        for key in keys:
            if key in READ and key not in SWITCHES and key not in found:
                raise InputError(f"{path}: [{section}]: {key} is missing")
    mode = found["InterfaceBandwidth"]
    if mode == "USER":
        raise InputError(f"{path}: InterfaceBandwidth: USER: that mode adds waits twice and is not modelled; CALC is")
    if mode != "CALC":
        raise InputError(f"{path}: InterfaceBandwidth: {mode!r}: CALC")
    for key, what in SWITCHES.items():
        if found.get(key, "false").lower() not in ("false", "no", "off", "0"):
            raise InputError(f"{path}: {key}: {found[key]}: {what} not modelled; False is")
    if found["Dataflow"] not in get_args(Dataflow):
        raise InputError(f"{path}: Dataflow: {found['Dataflow']!r}: os, ws or is")
    sizes = []
    for key in NUMBERS:
        text = found[key]
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= LARGEST):
            raise InputError(f"{path}: {key}: {text or 'empty'!r}: an integer from 1 to {LARGEST}")
        sizes.append(int(text))
    if not found["run_name"] or Path(found["run_name"]).name != found["run_name"]:
        raise InputError(f"{path}: run_name: {found['run_name']!r}: the name of a folder")
    left = tuple(key for keys in KEYS.values() for key in keys if key in found and key not in READ)
    rows, cols, ifmap, filters, ofmap = sizes
    flow = cast(Dataflow, found["Dataflow"])
    return ScaleSimConfig(found["run_name"], rows, cols, ifmap, filters, ofmap, flow, left)


def layers(path: Path, *, gemm: bool | None = None) -> list[Row]:
    """The layers of a topology by that tool's rules: batch 1, ``DP`` rows once a channel.

    Raises:
        InputError: as `dataflow.importers.scalesim.read_rows`; columns in another order; another form than ``gemm``
            says; a batch, two strides, a filter beyond its image.
    """
    found = []
    for row in read_rows(path, in_order=True):
        if gemm not in (None, row.gemm):
            raise InputError(
                f"{path}: is a topology of form {'gemm' if row.gemm else 'conv'}, not {'gemm' if gemm else 'conv'}"
            )
        if row.batch != 1:
            raise InputError(f"{path}: layer {row.name}: batch {row.batch}: SCALE-Sim has batch 1")
        if row.strides[0] != row.strides[1]:
            raise InputError(f"{path}: layer {row.name}: strides {row.strides}: SCALE-Sim has one for both directions")
        if row.filter_height > row.height or row.filter_width > row.width:
            raise InputError(f"{path}: layer {row.name}: a filter larger than the image")
        times = row.channels if "DP" in row.name else 1
        found += [row] * times if times == 1 else [row._replace(channels=1)] * times
    return found


def folds_of(config: ScaleSimConfig, row: Row, *, as_scalesim: bool = True) -> Folds:
    """A layer on the array; its outputs reach past the edge where the stride does not divide, as that tool has it."""
    high, wide = _outputs(row)
    window = row.filter_height * row.filter_width * row.channels
    return Folds(config.rows, config.cols, config.dataflow, high * wide, window, row.filters, as_scalesim)


def _outputs(row: Row) -> tuple[int, int]:
    down, across = row.strides
    return -(-(row.height - row.filter_height + down) // down), -(-(row.width - row.filter_width + across) // across)


def run_layer(config: ScaleSimConfig, row: Row, *, corrected: bool = False) -> Layer:
    """One layer's rows of the reports.

    Raises:
        InputError: memories so small that that tool divides by zero; a layer of more words than are followed.
    """
    folds = folds_of(config, row, as_scalesim=not corrected)
    sums = folds.pixels * folds.filters * (1 if config.dataflow == "os" else folds.row_folds)
    words = row.height * row.width * row.channels + folds.reduction * folds.filters + sums
    if words > LARGEST_LAYER:
        raise InputError(
            f"layer {row.name}: {words:,} words of inputs, weights and partial sums: at most {LARGEST_LAYER:,}"
        )
    ifmap, weight = requests.reading(config.ifmap_kb), requests.reading(config.filter_kb)
    ofmap = requests.writing(config.ofmap_kb)
    shape = np.array([_outputs(row)[1], row.filter_width, row.channels, *row.strides, row.height, row.width], np.int64)
    array = np.array([config.rows, config.cols, get_args(Dataflow).index(config.dataflow)], np.int64)
    sizes = np.array([folds.pixels, folds.reduction, folds.filters], np.int64)
    seen_ifmap = np.full(row.height * row.width * row.channels, -1, np.int64)
    seen_weight = np.full(folds.reduction * folds.filters, -1, np.int64)
    fills = np.zeros(sums + 1, np.int64)
    waited = requests.memories(array, sizes, shape, ifmap, weight, ofmap, seen_ifmap, seen_weight, fills)
    if waited < 0:
        raise InputError(f"layer {row.name}: memories of so few words that SCALE-Sim divides by zero")
    r = requests
    dram = [float(v) for v in (ifmap[r.DRAM_START], ifmap[r.DRAM_STOP], ifmap[r.READS], weight[r.DRAM_START],
            weight[r.DRAM_STOP], weight[r.READS], ofmap[r.OUT_START], ofmap[r.OUT_STOP], ofmap[r.WRITES])]  # fmt: skip
    cycles = folds.cycles + waited
    mapping, used = _means(folds)
    accesses = (folds.ifmap_reads, folds.filter_reads, folds.ofmap_writes + folds.ofmap_reads)
    sram: list[float] = []
    for count, m, at in zip(accesses, (ifmap, weight, ofmap), (r.FROM, r.FROM, r.OUT_FROM), strict=True):
        sram += [float(m[at]), float(m[at + 1]), count]
    for place in (2, 5, 8):
        dram[place] = int(dram[place])
    return Layer(
        row.name,
        (int(dram[7] - min(dram[0], dram[3])) + corrected, cycles, waited,
         folds.macs * 100 / (cycles * folds.rows * folds.cols), mapping * 100, used * 100),
        (*(count / cycles for count in accesses), *(dram[i + 2] / (dram[i + 1] - dram[i] + 1) for i in (0, 3, 6))),
        (*sram, *dram),
    )  # fmt: skip


def _means(folds: Folds) -> tuple[float, float]:
    """Mean share of PEs used, and of their cycles, added up fold by fold as that tool does: the same last digit."""
    on_rows, on_cols, length = folds.sizes
    pes = folds.rows * folds.cols
    cycles = folds.fold_cycles + (folds.cols - 1 if folds.as_scalesim and folds.dataflow != "os" else 0)
    mapped = used = 0.0
    for c in range(folds.col_folds):
        wide = min(folds.cols, on_cols - c * folds.cols)
        for r in range(folds.row_folds):
            busy = min(folds.rows, on_rows - r * folds.rows) * wide
            mapped += busy / pes
            used += busy * length / (pes * cycles)
    return mapped / folds.count, used / folds.count


def write_reports(config: ScaleSimConfig, found: list[Layer], out: Path) -> list[Path]:
    """Write that tool's three reports into a folder of the run's name."""
    paths = []
    for name, titles, rows in (
        ("COMPUTE_REPORT", COMPUTE, [layer.compute for layer in found]),
        ("BANDWIDTH_REPORT", BANDWIDTH, [layer.bandwidth for layer in found]),
        ("DETAILED_ACCESS_REPORT", DETAILED, [layer.detailed for layer in found]),
    ):
        lines = [", ".join(titles), *(", ".join(str(v) for v in (i, *row)) for i, row in enumerate(rows))]
        paths.append(out / config.run_name / f"{name}.csv")
        write_text(paths[-1], "".join(f"{line},\n" for line in lines))
    return paths
