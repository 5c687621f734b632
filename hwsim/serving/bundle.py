# SPDX-License-Identifier: Apache-2.0
"""Tables of a model's times, in the folders and columns that LLMServingSim 2.0 reads.

    profiler/perf/HARDWARE/ORG/MODEL/fp16/meta.yaml
    profiler/perf/HARDWARE/ORG/MODEL/fp16/tp1/attention.csv      a layer's call, microseconds
                                              dense.csv          the same of every other layer, by tokens
                                              per_sequence.csv   the same, by sequences
    configs/model/ORG/MODEL.json, configs/cluster/HARDWARE.json
    cells.json     every simulation's time, by what it is of: what a stopped run goes on from

Files of the bundle are written when all is timed. Its reader skips a layer that is in no table, takes the nearest pair
of chunk and sequences where one is missing, and loads no time below a nanosecond; so all rows are always there.
Source: github.com/casys-kaist/LLMServingSim, documentation of its profiler and its loader, version 2.0.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

from dataflow.errors import InputError
from dataflow.files import read_json, write_text
from dataflow.networks.language import LanguageModel
from hwsim.core.machine import Tick, quiet
from hwsim.core.version import VERSION, command

from .cells import PER_SEQUENCE, Cell, attention_us, cells, layers_us, rows_of
from .settings import ServeProfile

Times = dict[str, dict[str, Any]]
"""Table -> row -> microseconds; of dense and per_sequence by layer."""
STORE = "cells.json"
VARIANT = "fp16"
LEAST_US = 0.001
"""What a reader takes for nothing at least."""
LINK = {"link_bw": 16, "link_latency": 0}
"""Of the cluster's file, GB/s and ns: needed there, used by nothing, as one device holds the model."""


def timed(settings: ServeProfile, out: Path, tick: Tick = quiet) -> Times:
    """Simulate what the folder does not have yet; it is stored every second, and when this ends in whatever way.

    Raises:
        InputError: the folder holds times of other settings; a machine cannot run a cell.
    """
    config, model = settings.config()
    settings.attention_run()
    settings.products_run(1, 1)
    key = hashlib.sha256(json.dumps([VERSION, settings.model_dump(mode="json"), config]).encode()).hexdigest()
    times = _stored(out / STORE, key)
    wanted = list(rows_of(settings, model))
    stored, changed = monotonic(), False
    try:
        for done, (table, row) in enumerate(wanted):
            tick(f"{table} {row}", done, len(wanted))
            if row in times.setdefault(table, {}):
                continue
            if table == "attention":
                times[table][row] = attention_us(settings, model, Cell(*map(int, row.split(","))))
            else:
                times[table][row] = layers_us(settings, model, int(row))
            changed = True
            if monotonic() > stored + 1:  # the whole store is written: not for each of thousands of cells
                _store(out, key, times)
                stored, changed = monotonic(), False
    finally:
        if changed:
            _store(out, key, times)
    return times


def _store(out: Path, key: str, times: Times) -> None:
    write_text(out / STORE, json.dumps({"settings": key, "times": times}, indent=1) + "\n")


def _stored(path: Path, key: str) -> Times:
    if not path.is_file():
        return {}
    data = read_json(path)
    if not isinstance(data, dict) or data.get("settings") != key:
        raise InputError(f"{path}: holds times of other settings or another version; write into another folder")
    found: Times = data["times"]
    return found


def tables(settings: ServeProfile, times: Times) -> dict[str, list[list[Any]]]:
    """Rows of the three CSV files, their titles first."""
    attention: list[list[Any]] = [[*Cell._fields, "time_us"]]
    attention += [[*cell, _us(times["attention"][",".join(map(str, cell))])] for cell in cells(settings)]
    dense: list[list[Any]] = [["layer", "tokens", "time_us"]]
    per_sequence: list[list[Any]] = [["layer", "sequences", "time_us"]]
    for name in next(iter(times["dense"].values())):
        if name not in PER_SEQUENCE:
            dense += [[name, n, _us(times["dense"][str(n)][name])] for n in settings.tokens]
    for name in PER_SEQUENCE:
        per_sequence += [[name, n, _us(times["per_sequence"][str(n)].get(name, 0.0))] for n in settings.sequences]
    return {"attention": attention, "dense": dense, "per_sequence": per_sequence}


def _us(value: float) -> float:
    return max(round(value, 6), LEAST_US)


def falling(settings: ServeProfile, times: Times) -> list[tuple[Cell, Cell]]:
    """Cells of attention that take longer than a neighbour with more of one thing and as much of all others."""
    found = []
    known = {cell: times["attention"][",".join(map(str, cell))] for cell in cells(settings)}
    for axis in Cell._fields:
        rest = [name for name in Cell._fields if name != axis]
        lines: dict[tuple[int, ...], list[Cell]] = {}
        for cell in known:
            lines.setdefault(tuple(getattr(cell, name) for name in rest), []).append(cell)
        for line in lines.values():
            ordered = sorted(line, key=lambda cell: int(getattr(cell, axis)))
            found += [(a, b) for a, b in pairwise(ordered) if known[a] > known[b]]
    return found


def step_rows(settings: ServeProfile, model: LanguageModel, times: Times) -> list[dict[str, Any]]:
    """A whole step that generates a token for each of n sequences: milliseconds of attention and of the rest."""
    rows = []
    for count in settings.decodes:
        if not count:
            continue
        layers = _between(times["dense"], count)
        block = sum(t for name, t in layers.items() if name not in (*PER_SEQUENCE, "embedding", "final_layernorm"))
        block += layers["layernorm"]  # twice a block
        ends = layers["embedding"] + layers["final_layernorm"]
        rest = len(model.blocks) * block + ends + _between(times["per_sequence"], count)["lm_head"]
        for context in settings.contexts:
            attention = len(model.blocks) * times["attention"][f"0,0,{count},{context}"]
            rows.append({
                "sequences": count, "context": context, "attention_ms": attention / 1e3, "products_ms": rest / 1e3,
                "step_ms": (attention + rest) / 1e3, "tokens_per_s": 1e6 * count / (attention + rest),
            })  # fmt: skip
    return rows


def _between(table: Mapping[str, Mapping[str, float]], n: int) -> dict[str, float]:
    """Times for n, between those that there are in a straight line, as the tables' reader has them: below the first
    as the first, above the last on in the last line."""
    points = sorted(map(int, table))
    if n <= points[0]:
        return dict(table[str(points[0])])
    high = next((i for i, p in enumerate(points) if p >= n), len(points) - 1)
    low, top = points[high - 1], points[high]
    share = (n - low) / (top - low)
    return {name: t + share * (table[str(top)][name] - t) for name, t in table[str(low)].items()}


def write_bundle(settings: ServeProfile, times: Times, out: Path) -> list[Path]:
    """Write the bundle's files; their paths."""
    config, model = settings.config()
    title, label = settings.title(model), settings.label()
    folder = out / "profiler" / "perf" / label / title / VARIANT
    written = []
    for name, rows in tables(settings, times).items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        written.append(folder / "tp1" / f"{name}.csv")
        write_text(written[-1], text.getvalue())
    kind, run = settings.attention_run()
    described = {
        "written_by": f"hwsim {VERSION}: {command()}", "hardware": label, "model": title, "variant": VARIANT,
        "architecture": config["model_type"], "tp_degrees": [1],
        "engine_effective": {
            "max_num_batched_tokens": max(*settings.tokens, *settings.chunks),
            "max_num_seqs": max(*settings.decodes, *settings.sequences),
        },
        "attention": {
            "machine": kind.name, "title": kind.title, "settings": run.model_dump(mode="json", exclude_defaults=True),
        },
        "products": settings.products.model_dump(mode="json"),
        "keys_seen_at_most": settings.budget,
        "not_timed": not_timed(settings),
        "skew_fit": {"enabled": False},
    }  # fmt: skip
    written.append(folder / "meta.yaml")
    write_text(written[-1], json.dumps(described, indent=1) + "\n")  # JSON is YAML
    fields = {key: value for key, value in config.items() if not key.startswith("_")}
    written.append(out / "configs" / "model" / f"{title}.json")
    write_text(written[-1], json.dumps({"torch_dtype": "float16"} | fields, indent=1) + "\n")
    memory = {"mem_size": settings.memory_gib, "mem_bw": round(_bandwidth(run), 3), "mem_latency": 0}
    instance = {
        "model_name": title, "hardware": label, "npu_mem": memory, "num_npus": 1, "tp_size": 1, "pd_type": None,
    }  # fmt: skip
    host = {"mem_size": 64, "mem_bw": 50, "mem_latency": 0}
    node = {"num_instances": 1, "cpu_mem": host, "instances": [instance]}
    written.append(out / "configs" / "cluster" / f"{label}.json")
    write_text(written[-1], json.dumps({"num_nodes": 1, **LINK, "nodes": [node]}, indent=1) + "\n")
    return written


def not_timed(settings: ServeProfile) -> list[str]:
    """What the tables have as nothing, or do not know, in words."""
    found = [
        "sampler: no machine here chooses the token",
        "storing a step's keys and values, and outputs on their way back to the memory",
        "moving activations between the two machines",
    ]
    if settings.budget:
        found.append(f"choosing the {settings.budget} keys that a query sees")
    return found


def _bandwidth(run: Any) -> float:
    """Peak bandwidth of the machine of attention, GB/s; 0: it does not say."""
    return float(getattr(run.machine, "peak_bytes_per_s", 0.0)) / 1e9
