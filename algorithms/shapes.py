# SPDX-License-Identifier: Apache-2.0
"""A torch module as shapes: it is run once on meta tensors (no memory, no arithmetic) and its operations are recorded.

What is recorded: convolutions, products with weights (Linear and its like), activation x activation products, batch and
layer normalization, pooling, softmax, addition of two activations, embedding. Everything else (activations, bias,
scaling, reshaping) rides on a neighbour and costs nothing, as in `dataflow.networks.network.elementwise`. Layer names
are module paths. Left out: dilated and transposed convolutions (refused), control flow that depends on values.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dataflow.errors import InputError
from dataflow.networks.network import Conv, Layer, Linear, MatMul, Network, elementwise

from .training.nm_training import plain


def network_of(model: nn.Module, example: Tensor | tuple[Tensor, ...], name: str) -> Network:
    """The network a module computes on ``example``, its input or all its inputs (batch first; values are not used).

    Raises:
        InputError: a convolution that is dilated or transposed, rows that are no multiple of the batch, a module that
            cannot run on meta tensors.
    """
    model = plain(copy.deepcopy(model)).to("meta")
    inputs = example if isinstance(example, tuple) else (example,)
    recorder = _Recorder(len(inputs[0]), {id(p) for p in model.parameters()})
    with torch.device("meta"), recorder.named(model), torch.no_grad(), recorder:
        try:
            model(*(x.to("meta") for x in inputs))
        except (RuntimeError, NotImplementedError) as error:
            raise InputError(f"{name}: cannot be traced: {str(error).splitlines()[0]}") from None
    if not recorder.layers:
        raise InputError(f"{name}: no layer was found in the module")
    return Network(name=name, layers=tuple(recorder.layers))


_NORMS = {"native_batch_norm": "batchnorm", "_native_batch_norm_legit": "batchnorm", "cudnn_batch_norm": "batchnorm",
          "_native_batch_norm_legit_no_training": "batchnorm", "native_layer_norm": "layernorm",
          "native_group_norm": "layernorm"}  # fmt: skip
_POOLS = {"max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "mean", "max_pool3d_with_indices",
          "adaptive_max_pool2d"}  # fmt: skip
_VIEWS = {"t", "transpose", "view", "_unsafe_view", "permute", "expand", "unsqueeze", "squeeze", "reshape", "detach",
          "alias", "clone"}  # fmt: skip


class _Recorder(TorchDispatchMode):
    def __init__(self, batch: int, parameters: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.batch = batch
        self.layers: list[Layer] = []
        self.weights = set(parameters)  # ids of parameters and their views
        self.learned = set(parameters)  # ids of tensors that depend on a parameter
        self.alive: list[Any] = []  # ids stay unique while their tensors live
        self.path: list[str] = []
        self.names: set[str] = set()

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

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        op = func.overloadpacket.__name__
        tensors = [a for a in _flat((args, kwargs or {})) if isinstance(a, Tensor)]
        outputs = [o for o in _flat(out) if isinstance(o, Tensor)]
        self._record(op, args, tensors, outputs)
        self.alive += tensors + outputs
        for o in outputs:
            if any(id(t) in self.learned for t in tensors):
                self.learned.add(id(o))
            if op in _VIEWS and tensors and id(tensors[0]) in self.weights:
                self.weights.add(id(o))
        return out

    def _record(self, op: str, args: Any, tensors: list[Tensor], outputs: list[Tensor]) -> None:
        if op in ("convolution", "_convolution", "convolution_overrideable"):
            self._conv(args)
        elif op == "addmm":
            self._product(args[1], args[2])
        elif op in ("mm", "bmm"):
            self._product(args[0], args[1])
        elif op in ("baddbmm",):
            self._product(args[1], args[2])
        elif op.startswith("_scaled_dot_product"):
            self._attention(*args[:3])
        elif op in _NORMS:
            self._elementwise(_NORMS[op], self._size(args[0]), "")
        elif op in _POOLS and outputs[0].numel() < tensors[0].numel():
            self._elementwise("pool", self._size(tensors[0]), "", outputs=self._size(outputs[0]))
        elif op in ("_softmax", "_safe_softmax"):
            self._elementwise("softmax", self._size(tensors[0]), "softmax")
        elif op in ("add", "add_") and len(tensors) == 2 and self._activations(tensors):
            self._elementwise("add", self._size(outputs[0]), "add", inputs=2)
        elif op == "embedding":
            self._elementwise("embedding", self._size(outputs[0]), "")

    def _activations(self, tensors: list[Tensor]) -> bool:
        a, b = tensors
        return a.shape == b.shape and a.dim() > 1 and not {id(a), id(b)} & self.weights

    def _size(self, x: Tensor) -> int:
        """Elements a sample."""
        return math.ceil(x.numel() / self.batch)

    def _name(self, suffix: str) -> str:
        path = self.path[-1] if self.path else ""
        base = ".".join(p for p in (path, suffix) if p) or suffix or "model"
        name, i = base, 2
        while name in self.names:
            name, i = f"{base}.{i}", i + 1
        self.names.add(name)
        return name

    def _elementwise(self, op: str, elements: int, suffix: str, **sizes: int) -> None:
        self.layers.append(elementwise(self._name(suffix), op, elements, **sizes))

    def _conv(self, args: Any) -> None:
        x, w, _, stride, padding, dilation, transposed, _, groups = args[:9]
        name = self._name("")
        if transposed or set(dilation) != {1} or x.dim() not in (3, 4):
            raise InputError(f"{name}: only plain 1-D and 2-D convolutions are modelled (no dilation, no transpose)")
        flat = x.dim() == 3
        self.layers.append(
            Conv(
                name=name,
                in_channels=x.shape[1],
                out_channels=w.shape[0],
                height=1 if flat else x.shape[2],
                width=x.shape[-1],
                kernel=(1, w.shape[2]) if flat else (w.shape[2], w.shape[3]),
                stride=(1, stride[0]) if flat else tuple(stride),
                padding=(0, padding[0]) if flat else tuple(padding),
                groups=groups,
                needs_input_grad=id(x) in self.learned,
            )
        )

    def _product(self, x: Tensor, y: Tensor) -> None:
        if y.dim() == 2 and id(y) in self.weights:
            name = self._name("")
            self.layers.append(
                Linear(
                    name=name,
                    in_features=y.shape[0],
                    out_features=y.shape[1],
                    rows=self._share(x.shape[0], name),
                    needs_input_grad=id(x) in self.learned,
                )
            )
            return
        name = self._name("matmul")
        count = x.shape[0] if x.dim() == 3 else 1
        rows, reduction, cols = x.shape[-2], x.shape[-1], y.shape[-1]
        if x.dim() == 2:
            rows = self._share(rows, name)
        else:
            count = self._share(count, name)
        self.layers.append(MatMul(name=name, rows=rows, reduction=reduction, cols=cols, count=count))

    def _attention(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        b, heads, tokens, dim = q.shape
        keys = k.shape[2]
        count = self._share(b * heads, "attention")
        self.layers.append(MatMul(name=self._name("qk"), rows=tokens, reduction=dim, cols=keys, count=count))
        self._elementwise("softmax", count * tokens * keys, "softmax")
        self.layers.append(MatMul(name=self._name("pv"), rows=tokens, reduction=keys, cols=v.shape[3], count=count))

    def _share(self, total: int, name: str) -> int:
        if total % self.batch:
            raise InputError(f"{name}: {total} rows are no multiple of the batch of {self.batch}")
        return total // self.batch


def _flat(x: Any) -> Iterator[Any]:
    if isinstance(x, list | tuple):
        for item in x:
            yield from _flat(item)
    elif isinstance(x, dict):
        yield from _flat(list(x.values()))
    else:
        yield x
