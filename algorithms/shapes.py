# SPDX-License-Identifier: Apache-2.0
"""A torch module as shapes: it is run on fake tensors (no memory, no arithmetic) and its operations are recorded.

Every operation becomes layers, is free with a reason, or is refused by name (`algorithms.graphs.reader`); layers are
called by module paths. The model runs at two sizes of the batch, so that what is of a sample and what is not is known.
Left out: control flow and shapes that depend on values, TorchScript modules, packed sequences.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from dataflow.errors import InputError
from dataflow.networks.network import Network

from .graphs.reader import BatchError, Reader
from .graphs.trace import Recorder, Trace, first_length, mark, one_line, quiet, resized, storage_of
from .training.nm_training import plain

Example = Tensor | tuple[Any, ...] | list[Any] | dict[str, Any]


def network_of(model: nn.Module, example: Example, name: str, *, ignore: Collection[str] = ()) -> Network:
    """The network that a module computes.

    Args:
        example: its input, a tuple of all its inputs, or a dictionary of them by name; values are not used. The first
            dimension of the first tensor is the batch, and of every other tensor that is as long there. Where the work
            shows that it is not (recurrent and attention layers that take sequences first), the second one is.
        ignore: operations that cost nothing although none models them: ``aten.cdist``, or a module's path.

    Raises:
        InputError: an operation that is not modelled, by name; a module that cannot run on fake tensors (control flow
            that depends on values), a TorchScript module; work that does not grow with the batch.
    """
    check(model, name)
    args, kwargs = ((), example) if isinstance(example, Mapping) else (example, {})
    inputs = (tuple(args) if isinstance(args, tuple | list) else (args,), dict(kwargs))
    model = _materialized(model, inputs, name)
    try:
        return _read(_Runs(model, inputs, name, 0), ignore)
    except BatchError as error:  # perhaps the sequence comes first
        try:
            return _read(_Runs(model, inputs, name, 1), ignore)
        except InputError:
            raise InputError(str(error)) from None


def _read(runs: _Runs, ignore: Collection[str]) -> Network:
    if runs.given is None:
        raise InputError(f"{runs.name}: no input has a dimension for the batch")
    batch = max(runs.given, 2)
    try:
        first, second = runs.two(batch)
        reader = Reader(runs.name, first, second, batch, tuple(ignore))
    except InputError as error:
        try:
            alone = runs.trace(runs.given)
        except InputError as other:
            raise other if runs.given > 1 else error from None
        if isinstance(error, BatchError):
            raise
        if runs.given > 1:  # one sample can be read as it is
            why = str(error).removeprefix(f"{runs.name}: ")
            raise InputError(
                f"{runs.name}: runs with {runs.given} samples but not with {2 * runs.given} (is the first dimension of "
                f"the inputs the batch? An example of one sample can be read as it is): {why}"
            ) from None
        reader = Reader(runs.name, alone, None, 1, tuple(ignore))
    return reader.network(runs.name)


@dataclass(frozen=True)
class _Runs:
    """A model and its inputs, to be run at one size of the batch or another.

    Attributes:
        axis: the inputs' dimension that is the batch.
    """

    model: nn.Module
    inputs: Any
    name: str
    axis: int

    @property
    def given(self) -> int | None:
        """The batch of the example."""
        return first_length(self.inputs, self.axis)

    def two(self, batch: int) -> tuple[Trace, Trace]:
        """The operations at a batch and at twice as many. Inputs that have the batch's length in two dimensions, as a
        mask of a sequence as long, are resized unless the model runs only without."""
        try:
            return self.trace(batch), self.trace(2 * batch)
        except InputError as error:
            try:
                return self.trace(batch, squares=False), self.trace(2 * batch, squares=False)
            except InputError:
                raise error from None

    def trace(self, size: int, *, squares: bool = True) -> Trace:
        """The operations at one size of the batch."""
        mode, recorder = FakeTensorMode(allow_non_fake_inputs=True), Recorder()
        try:
            fake = plain(_faked(self.model, mode, recorder.trace))
        except Exception as error:
            raise InputError(f"{self.name}: cannot be copied: {type(error).__name__}: {one_line(error)}") from None
        assert self.given is not None
        args, kwargs = resized(self.inputs, mode, self.axis, self.given, size, squares)
        mark(recorder.trace, list(fake.parameters()), (args, kwargs))
        with _eager(), mode, recorder.named(fake), recorder.on():
            try:
                fake(*args, **kwargs)
            except (Exception, SystemExit) as error:
                raise _cannot(self.name, recorder.where, recorder.now, error) from None
        return recorder.trace


@contextmanager
def _eager() -> Iterator[None]:
    """Modules run operation by operation, and torch logs nothing."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with quiet(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def check(model: object, name: str) -> None:
    """Refuse what is no module, and TorchScript.

    Raises:
        InputError: names the module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"{name}: expected a torch module, found {type(model).__name__}")
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f"{name}: {path or 'the model'}: a TorchScript module hides its operations; hand over the module that "
                "it was made of"
            )


def _materialized(model: nn.Module, inputs: Any, name: str) -> nn.Module:
    """A lazy model after its first run, which gives its parameters their shapes."""
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    lazy: list[Any] = [x for x in (*model.parameters(), *model.buffers()) if nn.parameter.is_lazy(x)]
    if not lazy:
        return model
    # torch copies no buffer without a shape
    model = copy.deepcopy(model, {id(x): type(x)(x.requires_grad, x.device, x.dtype) for x in lazy})
    try:
        with torch.no_grad():
            model(*inputs[0], **inputs[1])
    except Exception as error:
        raise _cannot(name, "", "", error) from None
    return model


def _cannot(name: str, path: str, op: str, error: BaseException) -> InputError:
    kind = type(error).__name__
    where = "".join(f"{part}: " for part in (name, path) if part)
    if kind in ("DataDependentOutputException", "DynamicOutputShapeException", "GuardOnDataDependentSymNode"):
        return InputError(f"{where}control flow or a shape depends on values ({op or kind}); shapes have none")
    if "no rule registered for HOP" in str(error) or "HigherOrderOperator" in str(error):
        return InputError(f"{where}{one_line(error)}: such an operation is not modelled")
    return InputError(f"{where}cannot be traced: {kind}: {one_line(error)}")


class _Copies(TorchFunctionMode):
    """Copies of tensors are fake, wherever in a model they are; ``trace`` keeps the values of indices."""

    def __init__(self, mode: FakeTensorMode, trace: Trace) -> None:
        super().__init__()
        self.mode, self.trace = mode, trace

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:
            x, memo = args
            if id(x) not in memo:
                memo[id(x)] = self.fake(x.detach())
            return memo[id(x)]
        return func(*args, **(kwargs or {}))

    def fake(self, x: Tensor) -> Tensor:
        made = self.mode.from_tensor(x)
        if not (x.is_floating_point() or x.is_complex() or x.is_meta) and x.layout is torch.strided:
            flat = torch.empty(0, dtype=x.dtype, device=x.device).set_(x.untyped_storage())
            self.trace.real[storage_of(made)] = flat.cpu()
        return made


def _faked(model: nn.Module, mode: FakeTensorMode, trace: Trace) -> nn.Module:
    """A copy of a model on fake tensors; what shares parameters shares them in the copy."""
    copies = _Copies(mode, trace)
    memo: dict[int, Any] = {id(x): copies.fake(x) for x in (*model.parameters(), *model.buffers())}
    memo[id(memo)] = list(model.parameters())  # as deepcopy does, so that no id is another's
    with copies:
        try:
            return copy.deepcopy(model, dict(memo))
        except TypeError:  # a lock, a generator: what cannot be copied stays what it is
            for value in [v for m in model.modules() for k, v in vars(m).items() if k != "_modules"]:
                try:
                    copy.deepcopy(value, dict(memo))
                except TypeError:
                    memo[id(value)] = value
            return copy.deepcopy(model, memo)
