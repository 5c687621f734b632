# SPDX-License-Identifier: Apache-2.0
"""Traces: what a real training step held, in a folder that explains itself and can be read anywhere.

    meta.json        format, origin, versions, seed, method, pattern, the network as shapes
    (`dataflow.networks.network`) records.parquet  one row a tensor: step, layer, tensor, file, key, shape, dtype,
    density, CRC-32 step-000010.npz  the tensors of a step, keyed ``layer/tensor``

Tensors of a layer (torch's shapes; ``x`` etc. are the first samples of the step's batch):

    weight           master weights, float32, before the update
    ff_mask bp_mask  bool, of the weight's shape: what FF and BP keep (all true where a pass uses all weights; SR-STE's
                     BP uses FF's mask)
    x y dy dx        activations in and out (without bias), gradients out and in, float32; dx is left out where it is
                     not needed
    dw               the WU product of exactly these samples, float32
    gradient         weight gradient of the whole batch as the optimizer sees it, before weight decay
    momentum         optimizer state before the update; new_weight: master weights after it

``meta.json`` is written last: a folder without it is an unfinished trace.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..errors import InputError
from ..files import atomic_path, read_json, validated, write_text
from ..networks.network import Network
from ..pattern import NM
from .methods import Method

TRACE_FORMAT: Literal["hwsim-trace/1"] = "hwsim-trace/1"


class TraceMeta(BaseModel):
    """``meta.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["hwsim-trace/1"] = TRACE_FORMAT
    origin: str = Field(description="what made it: a task's name, a command")
    seed: int
    method: str
    pattern: str
    fp16: bool = Field(description="whether operands were rounded to FP16, as the hardware does")
    batch: int = Field(ge=1, description="samples in a training step")
    samples: int = Field(ge=1, description="samples of which activations and gradients are kept")
    rates: dict[int, float] = Field(description="learning rate of each traced step")
    momentum: float
    weight_decay: float
    versions: dict[str, str]
    dense_causes: dict[str, str | None] = Field(description="why each weighted layer stays dense; null: it does not")
    network: Network


class Record(NamedTuple):
    """One tensor of a trace."""

    step: int
    layer: str
    tensor: str
    file: str
    key: str
    shape: list[int]
    dtype: str
    density: float
    """Share of nonzero elements."""
    crc32: int


class Trace:
    """A trace folder, opened; tensors are read and checked when asked for."""

    def __init__(self, folder: Path, meta: TraceMeta, records: list[Record]) -> None:
        self.folder, self.meta, self.records = folder, meta, records
        self._archive = lru_cache(maxsize=2)(self._open)

    @property
    def method(self) -> Method:
        return Method.parse(self.meta.method)

    @property
    def pattern(self) -> NM:
        return NM.parse(self.meta.pattern)

    @property
    def steps(self) -> list[int]:
        return sorted({r.step for r in self.records})

    def layers(self, step: int) -> list[str]:
        """Layers traced at a step, in the order they were written."""
        return list(dict.fromkeys(r.layer for r in self.records if r.step == step))

    def tensors(self, step: int, layer: str) -> dict[str, np.ndarray]:
        """All tensors of a layer at a step, checked."""
        return {r.tensor: self._read(r) for r in self.records if (r.step, r.layer) == (step, layer)}

    def check(self) -> None:
        """Read everything: shapes, checksums, NaN, and that the masks keep N of M.

        Raises:
            InputError: the first thing wrong, with file and tensor.
        """
        for step in self.steps:
            for layer in self.layers(step):
                tensors = self.tensors(step, layer)
                for name, axis in (("ff_mask", 1), ("bp_mask", 1 if self.method.bp_uses_ff_mask else 0)):
                    mask = tensors.get(name)
                    if mask is not None and not mask.all():
                        _check_mask(mask, axis, self.pattern, f"{self.folder}: step {step}, {layer}/{name}")

    def _read(self, record: Record) -> np.ndarray:
        where = f"{self.folder / record.file}: {record.key}"
        try:
            array: np.ndarray = self._archive(record.file)[record.key]
        except KeyError:
            raise InputError(f"{where}: tensor is missing") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            raise InputError(f"{where}: truncated or damaged") from None
        if list(array.shape) != list(record.shape) or str(array.dtype) != record.dtype:
            raise InputError(
                f"{where}: {array.dtype}{list(array.shape)}, records.parquet says {record.dtype}{list(record.shape)}"
            )
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise InputError(f"{where}: NaN at {tuple(int(i) for i in np.argwhere(np.isnan(array))[0])}")
        if zlib.crc32(np.ascontiguousarray(array).tobytes()) != record.crc32:
            raise InputError(f"{where}: field crc32: the tensor differs from the one recorded")
        return array

    def _open(self, file: str) -> Any:
        path = self.folder / file
        try:
            return np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise InputError(f"{path}: missing") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            raise InputError(f"{path}: truncated or damaged") from None

    @classmethod
    def read(cls, folder: Path) -> Trace:
        """Open a trace.

        Raises:
            InputError: no trace, one that was not finished or is empty, or one of another version.
        """
        path = folder / "meta.json"
        if not path.is_file():
            raise InputError(f"{path}: not a finished trace: No such file")
        data = read_json(path)
        if not isinstance(data, dict) or data.get("format") != TRACE_FORMAT:
            raise InputError(f"{path}: field format: not a trace of this version ({TRACE_FORMAT})")
        meta = validated(TraceMeta, data, str(path))
        for field, parse in (("method", Method.parse), ("pattern", NM.parse)):
            try:
                parse(getattr(meta, field))
            except InputError as error:
                raise InputError(f"{path}: field {field}: {error}") from None
        records = _read_records(folder / "records.parquet")
        if not records:
            raise InputError(f"{folder / 'records.parquet'}: an empty trace: no tensors")
        return cls(folder, meta, records)


def write_trace(folder: Path, meta: TraceMeta, tensors: Mapping[int, Mapping[str, Mapping[str, np.ndarray]]]) -> Trace:
    """Write a trace from ``tensors[step][layer][name]`` and open it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "meta.json").unlink(missing_ok=True)
    records = []
    for step, layers in tensors.items():
        file = f"step-{step:06}.npz"
        arrays = {f"{layer}/{name}": a for layer, named in layers.items() for name, a in named.items()}
        with atomic_path(folder / file) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]  # arrays are no bool
        for layer, named in layers.items():
            for name, array in named.items():
                records.append(
                    Record(
                        step,
                        layer,
                        name,
                        file,
                        f"{layer}/{name}",
                        list(array.shape),
                        str(array.dtype),
                        float(np.count_nonzero(array) / max(1, array.size)),
                        zlib.crc32(np.ascontiguousarray(array).tobytes()),
                    )
                )
    table = pa.table({f: [getattr(r, f) for r in records] for f in Record._fields})
    with atomic_path(folder / "records.parquet") as temporary:
        pq.write_table(table, temporary)
    write_text(folder / "meta.json", meta.model_dump_json(indent=1) + "\n")
    return Trace.read(folder)


def _read_records(path: Path) -> list[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path}: missing") from None
    except (OSError, pa.ArrowException):
        raise InputError(f"{path}: truncated or damaged") from None
    for field in Record._fields:
        if field not in table.column_names:
            raise InputError(f"{path}: column {field} is missing")
    return [Record(**{f: row[f] for f in Record._fields}) for row in table.to_pylist()]


def _check_mask(mask: np.ndarray, axis: int, pattern: NM, where: str) -> None:
    length, m = mask.shape[axis], pattern.m_group
    if length % m:
        raise InputError(f"{where}: {length} elements along axis {axis}, no multiple of M={m}")
    kept = np.moveaxis(mask, axis, -1).reshape(-1, m).sum(1)
    if (kept > pattern.n_keep).any():
        raise InputError(f"{where}: a group keeps {kept.max()} of {m}, the pattern {pattern} allows {pattern.n_keep}")
