# SPDX-License-Identifier: Apache-2.0
"""A model's operations, recorded while it runs on fake tensors: shapes without memory or arithmetic.

What is recorded are torch's own operations below its modules and functions (``aten.mm``, ``aten.convolution``), and as
one operation each what has a form of its own: recurrent layers and `scaled_dot_product_attention`. Tensors are numbered
in the order in which they appear, so that two runs of a model can be laid side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

WHOLE: dict[Any, str] = {
    torch._VF.lstm: "aten.lstm", torch._VF.gru: "aten.gru",
    torch._VF.rnn_tanh: "aten.rnn_tanh", torch._VF.rnn_relu: "aten.rnn_relu",
    nn.functional.scaled_dot_product_attention: "aten.scaled_dot_product_attention",
}  # fmt: skip
"""Functions that are recorded as one operation, not as those that they are made of."""
_SHAPES: dict[str, Callable[..., Any]] = {
    "aten._grouped_mm": lambda x, w, *_, **__: x.new_empty((*x.shape[:-1], w.shape[-1])),
}
"""Operations whose results torch's fake tensors have for some types alone."""
_SILENT = {"prim.device", "prim.layout", "prim.dtype"}


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor of a trace, by number."""

    number: int


@dataclass(frozen=True, slots=True)
class Call:
    """One operation.

    Attributes:
        op: its name without the overload, as in ``aten.mm``.
        path: of the module that ran it; empty at the top.
        args, kwargs: with a `Ref` in the place of each tensor.
        outs: tensors that it gave.
        func: to call it again.
    """

    op: str
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: tuple[Ref, ...]
    func: Callable[..., Any]

    @property
    def inputs(self) -> list[Ref]:
        return [x for x in tree_leaves((self.args, self.kwargs)) if isinstance(x, Ref)]

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by place or name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)


@dataclass
class Trace:
    """The operations of one run."""

    calls: list[Call] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    storages: list[int] = field(default_factory=list)
    """Storage of each tensor; views of one another have the same."""
    parameters: set[int] = field(default_factory=set)
    """Storages of parameters."""
    data: set[int] = field(default_factory=set)
    """Storages of the model's inputs."""
    real: dict[int, Tensor] = field(default_factory=dict)
    """Values of buffers that may be indices: elements in the storage's order."""
    _numbers: dict[int, int] = field(default_factory=dict)

    def ref(self, x: Tensor) -> Ref:
        """The tensor's number; a new one if it has none."""
        if id(x) not in self._numbers:  # the list keeps it alive, so that its id stays its own
            self._numbers[id(x)] = len(self.tensors)
            self.tensors.append(x)
            self.storages.append(storage_of(x))
        return Ref(self._numbers[id(x)])

    def add(self, op: str, path: str, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        args, kwargs = tree_map(lambda x: self.ref(x) if isinstance(x, Tensor) else x, (tuple(args), dict(kwargs)))
        outs = tuple(self.ref(x) for x in tree_leaves(out) if isinstance(x, Tensor))
        self.calls.append(Call(op, path, args, kwargs, outs, func))


def storage_of(x: Tensor) -> int:
    """What is the same for tensors that share their memory."""
    try:
        return int(x.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse and the like have none
        return id(x)


@dataclass
class Recorder:
    """Records what runs inside `on`; ``path`` is kept by who runs it."""

    trace: Trace = field(default_factory=Trace)
    path: list[str] = field(default_factory=list)
    silent: bool = False
    now: str = ""
    """The operation that ran last."""

    @property
    def where(self) -> str:
        return self.path[-1] if self.path else ""

    @contextmanager
    def on(self) -> Iterator[None]:
        with torch.no_grad(), _Functions(self), _Operations(self):
            yield

    def whole(self, op: str, func: Any, args: Any, kwargs: Any) -> Any:
        """Run and record it as one operation."""
        if self.silent:
            return func(*args, **kwargs)
        self.now, self.silent = op, True
        try:
            out = func(*args, **kwargs)
        finally:
            self.silent = False
        self.trace.add(op, self.where, func, args, kwargs, out)
        return out

    @contextmanager
    def named(self, model: nn.Module) -> Iterator[None]:
        """Follow which module runs; hooks are removed again."""
        handles = []
        for path, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(lambda _m, _a, p=path: self.path.append(p)))
            handles.append(module.register_forward_hook(lambda _m, _a, _o: self.path.pop() and None))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class _Functions(TorchFunctionMode):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op = WHOLE.get(func) if isinstance(func, Hashable) else None
        if op is None:
            return func(*args, **(kwargs or {}))
        return self.recorder.whole(op, func, args, kwargs or {})


class _Operations(TorchDispatchMode):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        recorder, op = self.recorder, name_of(func)
        silent = recorder.silent or op in _SILENT or op.startswith("profiler.")
        if not silent:
            recorder.now = op
        out = _SHAPES[op](*args) if op in _SHAPES else func(*args, **(kwargs or {}))
        if not silent:
            recorder.trace.add(op, recorder.where, func, args, kwargs or {}, out)
        return out


def name_of(func: Any) -> str:
    """An operation without its overload: ``aten.mm``; ours and others' have their own name space."""
    packet = getattr(func, "overloadpacket", func)
    return str(getattr(packet, "_qualified_op_name", packet)).replace("::", ".")


@contextmanager
def quiet() -> Iterator[None]:
    """Torch logs what a module's mistake raises: one line says it already."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def one_line(error: BaseException) -> str:
    """The first line of an error's text."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else "no reason given"


def resized(inputs: Any, mode: FakeTensorMode, axis: int, was: int, size: int, squares: bool = True) -> Any:
    """Fake tensors of the inputs' shapes; those of length ``was`` along ``axis`` have ``size`` there, with ``squares``
    also those that have that length in another dimension too (and always the first)."""

    made: dict[int, Tensor] = {}  # what is given twice stays one tensor: some modules look

    def make(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if id(x) not in made:
            shape = list(x.shape)
            if len(shape) > axis and shape[axis] == was and (squares or not made or shape.count(was) == 1):
                shape[axis] = size
            with mode:
                made[id(x)] = torch.empty(shape, dtype=x.dtype, device=x.device)
        return made[id(x)]

    return tree_map(make, inputs)


def first_length(inputs: Any, axis: int) -> int | None:
    """Length along ``axis`` of the first tensor that has one."""
    found = (x.shape[axis] for x in tree_flatten(inputs)[0] if isinstance(x, Tensor) and x.dim() > axis)
    return next(found, None)


def mark(trace: Trace, parameters: Sequence[Tensor], inputs: Any) -> None:
    """Say which tensors are parameters and which are the model's inputs."""
    trace.parameters = {trace.storages[trace.ref(p).number] for p in parameters}
    trace.data = {trace.storages[trace.ref(x).number] for x in tree_leaves(inputs) if isinstance(x, Tensor)}
