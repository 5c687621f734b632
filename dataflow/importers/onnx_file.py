# SPDX-License-Identifier: Apache-2.0
"""ONNX models as networks of one sample (needs the ``onnx`` package: the ``onnx`` extra).

Every node becomes layers, is free for a reason, or is refused by name (`onnx_layers`). Local functions are inlined;
weights beside the file are never read. The batch is not guessed: a dynamic dimension is given by ``dims``, or is the
batch because it stands first in every input and is called so; a fixed first dimension is the batch where the model has
an operator that defines it so (`_BATCHED`) and all its work is in proportion to it, else the whole file is one sample.
The network is that of one sample, read from the model at a batch of one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import InputError, unknown
from ..files import first_problem
from ..networks.network import Elementwise, Layer, Network
from ..networks.operations import Operations
from .onnx_layers import Refused, layers_of
from .onnx_values import CONTROL_FLOW, UnknownShape, Values

_BATCH = re.compile(r"batch([_ -]?size)?|n|b|bs", re.IGNORECASE)
"""What a dynamic dimension that is the batch is called."""
_BATCHED = {
    "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv", "BatchNormalization", "InstanceNormalization",
    "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Attention", "MultiHeadAttention",
    "GroupQueryAttention", "QAttention",
}  # fmt: skip
"""Operators whose first dimension is the batch by their definition."""


def read_onnx(path: Path, *, ignore: Collection[str] = (), dims: Mapping[str, int] | None = None) -> Network:
    """The network of an ONNX file, one sample.

    Args:
        ignore: kinds or names of nodes that count as nothing although they are not modelled.
        dims: sizes of dynamic dimensions, by the name they have in the file or as ``input.axis``. ``batch`` of a model
            with fixed sizes: how many samples its first dimension holds.

    Raises:
        InputError: no onnx package, an unreadable or invalid model, a dimension that has to be given, a shape that is
            not known, a node that is refused.
    """
    try:
        import onnx
    except ImportError:
        raise InputError(f"{path}: reading ONNX needs the onnx package: pip install 'hwsim[onnx]'") from None
    model = _load(onnx, path)
    return _Model(onnx, path, model, frozenset(ignore), dict(dims or {})).network()


def _load(onnx: Any, path: Path) -> Any:
    """The model, its functions inlined."""
    from google.protobuf.message import DecodeError
    from onnx import inliner

    try:
        model = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(str(path))
        return inliner.inline_local_functions(model) if model.functions else model
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (DecodeError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise InputError(f"{path}: not a valid ONNX model: {_line(error)}") from None


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


class _Model:
    """A model, read at one batch or another."""

    def __init__(self, onnx: Any, path: Path, model: Any, ignore: frozenset[str], dims: dict[str, int]) -> None:
        self.onnx, self.path, self.graph = onnx, path, model.graph
        self.ignore, self.dims = ignore, dims
        self.opsets = {o.domain if o.domain != "ai.onnx" else "": o.version for o in model.opset_import}
        stored = {i.name for i in self.graph.initializer} | {i.values.name for i in self.graph.sparse_initializer}
        self.inputs = [i for i in self.graph.input if i.name not in stored]
        self.used: set[str] = set()

    def network(self) -> Network:
        """The network of one sample."""
        for name, size in self.dims.items():
            if not isinstance(size, int) or not 1 <= size <= 1 << 24:
                raise InputError(f"{self.path}: dims: {name}={size}: must be from 1 to {1 << 24}")
        symbols = list(dict.fromkeys(s for value in self.inputs for s in self._symbols(value) if s is not None))
        batch = self._batch_symbol(symbols)
        missing = [s for s in symbols if s not in self.dims and s != batch]
        if missing:
            where = next(f"{v.name}, dimension {self._symbols(v).index(missing[0])}" for v in self.inputs
                         if missing[0] in self._symbols(v))  # fmt: skip
            raise InputError(f"{self.path}: input {where}: {missing[0]!r} has no size: give --dim {missing[0]}=SIZE")
        given = {s: self.dims[s] for s in symbols if s in self.dims}
        fixed = None if symbols else self._fixed_batch()
        names = [*symbols, *([] if symbols else ["batch"])]
        for name in self.dims:
            if name not in names:
                raise unknown(f"{self.path}: dims", name, names)
        if batch is not None and batch not in given:
            found = self._read(given | {batch: 1}, None)
            self._in_proportion(found, self._read(given | {batch: 2}, None), f"dimension {batch!r}")
            return found.network(self.path.stem)
        return self._read(given, fixed).network(self.path.stem)

    def _symbols(self, value: Any) -> list[str | None]:
        """Of each dimension of an input: its name if it is dynamic (one of ours if it has none), else None."""
        shape = value.type.tensor_type.shape
        return [None if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param or f"{value.name}.{i}"
                for i, d in enumerate(shape.dim)]  # fmt: skip

    def _batch_symbol(self, symbols: list[str]) -> str | None:
        """The dynamic dimension that is the batch: it is called so and is the first of every input that has it."""
        for symbol in symbols:
            places = [i for value in self.inputs for i, s in enumerate(self._symbols(value)) if s == symbol]
            if _BATCH.fullmatch(symbol) and set(places) == {0}:
                return symbol
        return None

    def _fixed_batch(self) -> int | None:
        """Of a model with fixed sizes: the size that its inputs' first dimension is read at; None: as it is.

        Raises:
            InputError: it cannot be told whether the first dimension is the batch, or ``dims`` says what it cannot be.
        """
        first = {v.type.tensor_type.shape.dim[0].dim_value for v in self.inputs if v.type.tensor_type.shape.dim}
        size = self.inputs[0].type.tensor_type.shape.dim[0].dim_value if first else 1
        told = self.dims.get("batch")
        if told == 1 or size == 1 or (told is None and not any(n.op_type in _BATCHED for n in self.graph.node)):
            return None
        if told not in (None, size):
            raise InputError(f"{self.path}: dims: batch={told}: the first input begins with {size}: give that, or 1")
        try:
            one, two, whole = self._read({}, 1), self._read({}, 2), self._read({}, None)
            self._in_proportion(one, two, "batch")
            self._in_proportion(one, whole, "batch", size)
        except InputError:
            self._read({}, None)  # says what is wrong with the model itself, if something is
            raise InputError(
                f"{self.path}: the first input begins with {size}, which sizes inside the model hold fast: export it "
                "with a batch of 1 or a dynamic one, or give --dim batch=1 where it is part of a sample"
            ) from None
        return 1

    def _in_proportion(self, one: Operations, more: Operations, what: str, times: int = 2) -> None:
        """Raises InputError where the work is not in proportion to the batch."""
        a, b = one.layers, more.layers
        for x, y in zip(a, b, strict=False):
            if times * _work(x) != _work(y):
                raise InputError(f"{self.path}: {what}: the work of {x.name} is not in proportion to it: give --dim")
        if len(a) != len(b):
            raise InputError(f"{self.path}: {what}: other layers at another size: give --dim")

    def _read(self, sizes: Mapping[str, int], first: int | None) -> Operations:
        """All operations at these sizes of the dynamic dimensions; ``first``: in place of the inputs' first one."""
        values = Values(self.onnx, self.opsets)
        operations = Operations(str(self.path), self.ignore)
        for tensor in self.graph.initializer:
            values.stored(tensor)
        for sparse in self.graph.sparse_initializer:
            whole = self.onnx.TensorProto(name=sparse.values.name, data_type=sparse.values.data_type, dims=sparse.dims,
                                          data_location=self.onnx.TensorProto.EXTERNAL)  # fmt: skip
            values.stored(whole)
        begin = self.inputs[0].type.tensor_type.shape.dim[0].dim_value if first is not None else 0
        for value in self.inputs:
            values.types[value.name] = self._sized(value.type, sizes, value.name, first, begin)
        told = {v.name: self._sized(v.type, sizes, "", None, 0) for v in (*self.graph.value_info, *self.graph.output)}
        names: dict[str, int] = {}
        for node in self.graph.node:
            self._node(values, operations, node, told if first is None else {}, names)
        return operations

    def _node(
        self, values: Values, operations: Operations, node: Any, told: Mapping[str, Any], names: dict[str, int]
    ) -> None:
        base = node.name or node.op_type
        names[base] = names.get(base, 0) + 1
        name = base if names[base] == 1 else f"{base}.{names[base]}"
        op = node.op_type if node.domain in ("", "ai.onnx", "com.microsoft") else f"{node.domain}.{node.op_type}"
        if op in CONTROL_FLOW or any(a.HasField("g") or a.graphs for a in node.attribute):
            operations.refuse(name, op, "is control flow, which is not modelled")
        try:
            values.node(node, told)
            found = layers_of(values, node, name) if op not in CONTROL_FLOW else "ignored"
        except Refused as error:
            operations.refuse(name, op, str(error))
        except UnknownShape as error:
            operations.refuse(name, op, f"needs the shape of {error.name!r}, which is not known")
        except ValidationError as error:
            raise InputError(f"{self.path}: node {name}: {first_problem(error)}") from None
        except (ValueError, IndexError, TypeError, ZeroDivisionError, RuntimeError, KeyError) as error:
            raise InputError(f"{self.path}: node {name}: {op} has impossible shapes: {_line(error)}") from None
        else:
            if isinstance(found, str):
                if op not in CONTROL_FLOW:
                    operations.free(name, op, found)
            else:
                operations.model(name, op, *found)

    def _sized(self, kind: Any, sizes: Mapping[str, int], name: str, first: int | None, begin: int) -> Any:
        """A tensor's type with the sizes of its dynamic dimensions, as far as they are given."""
        found = self.onnx.TypeProto()
        found.CopyFrom(kind)
        for i, d in enumerate(found.tensor_type.shape.dim):
            if d.HasField("dim_param") or not d.dim_value:
                symbol = d.dim_param or f"{name}.{i}"
                d.Clear()
                if symbol in sizes:
                    d.dim_value = sizes[symbol]
            elif i == 0 and first is not None and d.dim_value == begin:
                d.dim_value = first
        return found


def _work(layer: Layer) -> int:
    """Multiplies of a layer, or elements of one without."""
    return layer.ff_read + layer.ff_write if isinstance(layer, Elementwise) else layer.macs
