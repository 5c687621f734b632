# SPDX-License-Identifier: Apache-2.0
"""Archives of `torch.export.save` (``.pt2``): their graph is run on fake tensors and recorded.

Read are the graph, which is JSON, and the sizes of the weights. No weight is loaded, nothing is unpickled or evaluated
(torch's own loader does both). Left out: control flow (``cond``, ``while_loop``), objects of TorchScript, archives of
torch before 2.8.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dataflow.errors import InputError, unknown
from dataflow.networks.network import Network

from .reader import BatchError, Reader
from .trace import Recorder, Trace, mark, name_of, one_line, quiet

SCHEMA = 8
"""Major number of the graph's format."""
_DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 9: torch.complex32, 10: torch.complex64, 11: torch.complex128, 12: torch.bool,
    13: torch.bfloat16, 28: torch.uint16, 29: torch.float8_e4m3fn, 30: torch.float8_e5m2, 31: torch.float8_e4m3fnuz,
    32: torch.float8_e5m2fnuz,
}  # fmt: skip
_MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
_PLAIN: dict[str, Callable[..., Any]] = {
    **{f"_operator.{f.__name__}": f for f in (
        operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg, operator.truediv,
        operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.getitem)},
    **{f"math.{f.__name__}": f for f in (math.ceil, math.floor, math.sqrt, math.trunc)},
    "torch.sym_max": max, "torch.sym_min": min, "torch.sym_not": operator.not_, "torch.sym_float": float,
    "torch.sym_int": int, "torch.sym_ite": lambda c, a, b: a if c else b,
}  # fmt: skip
"""Operations on sizes."""
_WHOLE = ("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.rnn_relu", "aten.scaled_dot_product_attention")


def read_archive(path: Path, *, ignore: Collection[str] = (), dims: Mapping[str, int] | None = None) -> Network:
    """The network of an archive.

    Args:
        ignore: as of `algorithms.shapes.network_of`.
        dims: sizes of dynamic dimensions other than the batch, which is the first dimension of the first input: by
            symbol or by input and place, as in ``s27`` or ``tokens.1``.

    Raises:
        InputError: no archive, or of another format; a dynamic dimension without a size; an operation that is not
            modelled.
    """
    try:
        with quiet():
            return _Archive(path).network(tuple(ignore), dict(dims or {}))
    except InputError:
        raise
    except Exception as error:  # whatever a file may hold
        raise InputError(f"{path}: not a graph of torch.export: {type(error).__name__}: {one_line(error)}") from None


@dataclass(frozen=True)
class _Input:
    name: str
    dtype: torch.dtype
    sizes: tuple[int | str, ...]
    """A text is an expression of symbols."""


class _Archive:
    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as file:
                names = {n.partition("/")[2]: n for n in file.namelist()}
                models = [n for n in names if n.startswith("models/") and n.endswith(".json")]
                graphs = [json.loads(file.read(names[n])) for n in models]
                configs = [n for n in names if n.startswith("data/weights/") and n.endswith("_config.json")]
                stored = [json.loads(file.read(names[n]))["config"] for n in configs]
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, RuntimeError, NotImplementedError, EOFError):
            raise InputError(f"{path}: not an archive of torch.export.save") from None
        if len(graphs) != 1:
            raise InputError(
                f"{path}: holds {len(graphs)} graphs where one belongs: written by torch.export.save of torch 2.8 or "
                "newer? Export it anew"
            )
        self.data, self.stored = graphs[0], stored[0] if stored else {}
        major = self.data["schema_version"]["major"]
        if major != SCHEMA:
            raise InputError(f"{path}: the graph has format {major}, {SCHEMA} is read: export it with another torch")
        module = self.data["graph_module"]
        self.graph, self.specs = module["graph"], module["signature"]["input_specs"]

    # --- inputs and their sizes

    def _inputs(self) -> list[_Input]:
        found = []
        for spec in self.specs:
            arg = spec.get("user_input", {}).get("arg", {})
            if "as_tensor" in arg:
                name = arg["as_tensor"]["name"]
                meta = self.graph["tensor_values"][name]
                sizes = tuple(s["as_int"] if "as_int" in s else s["as_expr"]["expr_str"] for s in meta["sizes"])
                found.append(_Input(name, self._dtype(meta["dtype"]), sizes))
        return found

    def _dtype(self, number: int) -> torch.dtype:
        if number not in _DTYPES:
            raise InputError(f"{self.path}: elements of type {number} are not known")
        return _DTYPES[number]

    def _sizes(self, inputs: list[_Input], dims: dict[str, int]) -> tuple[dict[str, int], str | None]:
        """Sizes of symbols, and the batch's symbol."""
        first = next((x.sizes[0] for x in inputs if x.sizes), 1)
        batch = None
        if isinstance(first, str):
            symbols = _symbols(first)
            if len(symbols) != 1:
                raise InputError(f"{self.path}: the batch is made of several dynamic dimensions: {first}")
            batch = symbols.pop()
        named: dict[str, tuple[str, str]] = {}  # symbol, and what the size is of it
        for x in inputs:
            for i, size in enumerate(x.sizes):
                for symbol in _symbols(size) if isinstance(size, str) else ():
                    named[f"{x.name}.{i}"] = symbol, str(size)
        named |= {symbol: (symbol, f"Symbol({symbol!r})") for symbol, _ in named.values()}
        sizes: dict[str, int] = {}
        for name, wanted in dims.items():
            if name not in named:
                raise unknown(f"{self.path}: dims", name, [n for n, (s, _) in named.items() if s != batch])
            symbol, text = named[name]
            if symbol == batch:
                raise InputError(f"{self.path}: dims: {name}: is the batch, which the run gives")
            start, step = _value(text, {symbol: 0}), _value(text, {symbol: 1}) - _value(text, {symbol: 0})
            found, rest = divmod(wanted - start, step or 1)
            if rest or found < 1:
                more = f" more than {start}" if start else ""
                raise InputError(f"{self.path}: dims: {name}: {wanted}: must be a multiple of {step}{more}")
            if sizes.setdefault(symbol, found) != found:
                raise InputError(f"{self.path}: dims: {name}: {wanted}: another one gives {symbol}={sizes[symbol]}")
            self._check_range(name, symbol, found)
        for name, (symbol, _) in named.items():
            if symbol != batch and symbol not in sizes:
                raise InputError(f"{self.path}: dims: {name}: is dynamic, and no batch: --dim {name}=SIZE")
        return sizes, batch

    def _check_range(self, name: str, symbol: str, size: int) -> None:
        limits = self.data["range_constraints"].get(symbol, {})
        least, most = limits.get("min_val") or 0, limits.get("max_val")
        if size < least or (most is not None and size > most):
            raise InputError(f"{self.path}: dims: {name}: {symbol}={size}: must be {least} to {most or 'any number'}")

    # --- the network

    def network(self, ignore: tuple[str, ...], dims: dict[str, int]) -> Network:
        inputs = self._inputs()
        sizes, symbol = self._sizes(inputs, dims)
        where = str(self.path)
        if symbol is None:
            fixed = next((int(x.sizes[0]) for x in inputs if x.sizes), 1)
            if fixed != 1:
                raise InputError(
                    f"{where}: its batch is {fixed} and cannot be another: export it with one sample, or with a "
                    "dynamic batch (dynamic_shapes)"
                )
            return Reader(where, self._trace(inputs, sizes), None, 1, ignore).network(self.path.stem)
        size = next(x.sizes[0] for x in inputs if x.sizes)
        assert isinstance(size, str)
        limits = self.data["range_constraints"].get(symbol, {})
        least = max(2, limits.get("min_val") or 0)
        most = limits.get("max_val")
        if most is not None and most < 2 * least:
            raise InputError(f"{where}: its batch is {least} to {most}: two sizes are needed, one twice the other")
        first, second = (self._trace(inputs, {**sizes, symbol: n}) for n in (least, 2 * least))
        samples = [_value(size, {**sizes, symbol: n}) for n in (least, 2 * least)]
        if samples[1] != 2 * samples[0]:
            raise BatchError(f"{where}: the first dimension of its inputs is no batch: {size}")
        return Reader(where, first, second, samples[0], ignore).network(self.path.stem)

    def _trace(self, inputs: list[_Input], sizes: dict[str, int]) -> Trace:
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        values: dict[str, Any] = {}
        recorder = Recorder()
        with mode:
            parameters = self._parameters(values)
            given = []
            for x in inputs:
                shape = [_value(s, sizes) if isinstance(s, str) else s for s in x.sizes]
                values[x.name] = torch.empty(shape, dtype=x.dtype)
                given.append(values[x.name])
        mark(recorder.trace, parameters, given)
        with mode, recorder.on():
            self._run(self.graph, values, recorder)
        return recorder.trace

    def _parameters(self, values: dict[str, Any]) -> list[Tensor]:
        """Fake parameters, buffers and constants into ``values``; the parameters. Those that share a stored tensor
        share memory."""
        storages: dict[str, tuple[torch.dtype, int]] = {}
        metas: dict[str, tuple[str, Any]] = {}
        kinds = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
        learned = []
        for spec in self.specs:
            for kind, field in kinds.items():
                if kind in spec:
                    name, full = spec[kind]["arg"]["name"], spec[kind][field]
                    entry = self.stored.get(full) or {}
                    meta = entry.get("tensor_meta") or self.graph["tensor_values"][name]
                    path = entry.get("path_name") or name
                    metas[name] = path, meta
                    dtype, most = storages.get(path, (self._dtype(meta["dtype"]), 0))
                    storages[path] = dtype, max(most, _reach(meta))
                    learned += [name] if kind == "parameter" else []
            if "custom_obj" in spec or "token" in spec:
                raise InputError(f"{self.path}: takes a {next(iter(spec))}: such a graph is not modelled")
        flat = {path: torch.empty(size, dtype=dtype) for path, (dtype, size) in storages.items()}
        made: dict[str, Tensor] = {}
        for name, (path, meta) in metas.items():
            shape, strides, offset = _numbers(meta["sizes"]), _numbers(meta["strides"]), _number(meta["storage_offset"])
            key = f"{path} {shape} {strides} {offset}"
            if key not in made:
                made[key] = torch.as_strided(flat[path], shape, strides, offset)
            values[name] = made[key]
        return [values[name] for name in learned]

    def _run(self, graph: dict[str, Any], values: dict[str, Any], recorder: Recorder) -> None:
        for node in graph["nodes"]:
            path = _module_path(node.get("metadata", {}).get("nn_module_stack", ""))
            recorder.path[:] = [path] if path else []
            found = self._call(node, values, recorder)
            _store(node["outputs"], found, values)

    def _call(self, node: dict[str, Any], values: dict[str, Any], recorder: Recorder) -> Any:
        target = node["target"]
        where = ": ".join(p for p in (str(self.path), recorder.where, node.get("name") or "") if p)
        if target.startswith("torch.ops.higher_order."):
            return self._higher(target.rpartition(".")[2], node, values, recorder, where)
        args, kwargs = [], {}
        for given in node["inputs"]:
            value = self._argument(given["arg"], values, where)
            if given.get("kind", 1) == 1:
                args.append(value)
            else:
                kwargs[given["name"]] = value
        if target in _PLAIN:
            return _PLAIN[target](*args, **kwargs)
        func = self._operation(target, where)
        op = name_of(func)
        try:
            if op in _WHOLE:
                return recorder.whole(op, func, args, kwargs)
            return func(*args, **kwargs)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{where}: {op} cannot be traced: {type(error).__name__}: {one_line(error)}") from None

    def _operation(self, target: str, where: str) -> Any:
        """torch's operation of a name, as in ``torch.ops.aten.linear.default``; none that names a file."""
        parts = target.split(".")
        if parts[:2] != ["torch", "ops"] or len(parts) != 5:
            raise InputError(f"{where}: {target} is no operation of a graph")
        try:
            func = getattr(getattr(getattr(torch.ops, parts[2]), parts[3]), parts[4])
            schema = func._schema
        except (AttributeError, RuntimeError):
            raise InputError(f"{where}: {target} is not known here: the package that brings it is not loaded") from None
        if any("file" in a.name for a in schema.arguments) or not isinstance(func, torch._ops.OpOverload):
            raise InputError(f"{where}: {target} is not modelled")
        return func

    def _higher(self, kind: str, node: dict[str, Any], values: dict[str, Any], recorder: Recorder, where: str) -> Any:
        """A graph inside the graph, run where it stands."""
        given = [x["arg"] for x in node["inputs"]]
        place = next((i for i, a in enumerate(given) if "as_graph" in a), None)
        if kind not in ("wrap_with_set_grad_enabled", "wrap_with_autocast") or place is None:
            raise InputError(f"{where}: {kind} is not modelled")
        settings = [self._argument(a, values, where) for a in given[:place]]
        inner = given[place]["as_graph"]["graph"]
        names = [x["as_tensor"]["name"] if "as_tensor" in x else "" for x in inner["inputs"]]
        mine = dict(zip(names, (self._argument(a, values, where) for a in given[place + 1 :]), strict=True))
        with _autocast(settings) if kind == "wrap_with_autocast" else torch.no_grad():
            self._run(inner, mine, recorder)
        outs = [self._argument(o, mine, where) for o in inner["outputs"]]
        return outs[0] if len(outs) == 1 and "as_tensor" in (node["outputs"] or [{}])[0] else outs

    def _argument(self, arg: dict[str, Any], values: dict[str, Any], where: str) -> Any:
        ((kind, value),) = arg.items()
        if kind == "as_tensor":
            return values[value["name"]]
        if kind == "as_tensors":
            return [values[v["name"]] for v in value]
        if kind in ("as_optional_tensors", "as_nested_tensors"):
            return [self._argument(v, values, where) if isinstance(v, dict) else v for v in value]
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return _symbolic(value, values)
        if kind in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
            return [_symbolic(v, values) for v in value]
        if kind == "as_none":
            return None
        if kind == "as_scalar_type":
            return self._dtype(value)
        if kind == "as_memory_format":
            return _MEMORY[value]
        if kind == "as_layout":
            return torch.strided
        if kind == "as_device":
            return torch.device("cpu")
        if kind == "as_complex":
            return complex(value["real"], value["imag"])
        if kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string", "as_strings",
                    "as_int_lists"):  # fmt: skip
            return value
        raise InputError(f"{where}: an argument {kind} is not modelled")


def _store(outputs: list[dict[str, Any]], found: Any, values: dict[str, Any]) -> None:
    """Results under their names."""
    results = found if isinstance(found, list | tuple) else [found]
    if len(outputs) == 1 and "as_tensors" in outputs[0]:
        outputs = [{"as_tensor": x} for x in outputs[0]["as_tensors"]]
    for out, result in zip(outputs, results, strict=False):
        ((kind, value),) = out.items()
        if kind == "as_tensor":
            values[value["name"]] = result
        elif kind in ("as_sym_int", "as_sym_float", "as_sym_bool") and isinstance(value, dict) and "as_name" in value:
            values[value["as_name"]] = result
        elif kind == "as_tensors":
            _store([{"as_tensor": x} for x in value], result, values)


@contextmanager
def _autocast(settings: list[Any]) -> Iterator[None]:
    device, dtype, enabled = [*settings, None, None, None][:3]
    with torch.autocast(str(device), dtype=dtype, enabled=bool(enabled)):
        yield


def _symbolic(value: dict[str, Any], values: dict[str, Any]) -> Any:
    ((kind, found),) = value.items()
    return values[found] if kind == "as_name" else found


def _number(size: dict[str, Any]) -> int:
    return int(size["as_int"])


def _numbers(sizes: list[dict[str, Any]]) -> list[int]:
    return [_number(s) for s in sizes]


def _reach(meta: dict[str, Any]) -> int:
    """Elements of memory that a stored tensor needs."""
    sizes, strides = _numbers(meta["sizes"]), _numbers(meta["strides"])
    if not all(sizes):
        return 0
    return _number(meta["storage_offset"]) + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True)) + 1


def _module_path(stack: str) -> str:
    """The innermost module's path of ``key,path,class;key,path,class``."""
    parts = stack.split(";")[-1].split(",")
    path = parts[1] if len(parts) == 3 else ""
    return "" if path.startswith("_empty_nn_module_stack") else path


def _symbols(text: str) -> set[str]:
    return {n.args[0].value for n in ast.walk(_tree(text)) if _calls(n, "Symbol")}  # type: ignore[attr-defined]


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise InputError(f"a size {text[:60]!r} of the graph is not understood") from None


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _value(text: str, sizes: Mapping[str, int]) -> int:
    """An expression of sizes, as in ``Mul(Integer(2), Symbol('s80', integer=True))``."""

    def of(node: ast.expr) -> int:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "Symbol":
                return sizes[node.args[0].value]  # type: ignore[attr-defined]
            if node.func.id == "Integer":
                return int(node.args[0].value)  # type: ignore[attr-defined]
            if node.func.id in ("Mul", "Add"):
                parts = [of(a) for a in node.args]
                return math.prod(parts) if node.func.id == "Mul" else sum(parts)
        raise InputError(f"a size {text[:60]!r} of the graph is not understood")

    return of(_tree(text))
