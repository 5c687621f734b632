# SPDX-License-Identifier: Apache-2.0
"""ONNX models as networks (needs the ``onnx`` package: the ``onnx`` extra).

Shapes are inferred by onnx itself; the first dimension of every activation is the batch. Read: Conv, Gemm, MatMul (by a
weight, or of two activations), BatchNormalization, LayerNormalization, pooling, ReduceMean, Softmax, Add of two
activations, Gather of a weight (embedding). Other operations ride on a neighbour and cost nothing; a control-flow or
transposed-convolution node is refused.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import InputError
from ..files import first_problem
from ..networks.network import Conv, Layer, Linear, MatMul, Network, elementwise

_ELEMENTWISE = {
    "BatchNormalization": "batchnorm", "LayerNormalization": "layernorm", "MaxPool": "pool", "AveragePool": "pool",
    "GlobalAveragePool": "pool", "GlobalMaxPool": "pool", "ReduceMean": "pool", "Softmax": "softmax",
}  # fmt: skip
_REFUSED = {"If", "Loop", "Scan", "ConvTranspose", "LSTM", "GRU", "RNN", "QLinearConv", "ConvInteger"}
_VIEWS = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast", "Flatten"}


def read_onnx(path: Path) -> Network:
    """The network of an ONNX file, one sample.

    Raises:
        InputError: no onnx package, an unreadable or invalid model, a shape that is not known, a node that is refused.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise InputError(f"{path}: reading ONNX needs the onnx package: pip install 'hwsim[onnx]'") from None
    try:
        model = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (DecodeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise InputError(f"{path}: not a valid ONNX model: {str(error).strip().splitlines()[0][:120]}") from None
    return _Reader(path, model.graph).network()


class _Reader:
    def __init__(self, path: Path, graph: Any) -> None:
        self.path, self.graph = path, graph
        self.weights = {i.name for i in graph.initializer}
        self.shapes: dict[str, list[int | None]] = {i.name: list(i.dims) for i in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            dims = value.type.tensor_type.shape.dim
            self.shapes.setdefault(value.name, [d.dim_value or None for d in dims])
        self.learned = set(self.weights)
        self.names: dict[str, int] = {}
        inputs = [i.name for i in graph.input if i.name not in self.weights]
        first = self.shapes.get(inputs[0], []) if inputs else []
        self.batch = first[0] if first and first[0] else 1

    def network(self) -> Network:
        layers: list[Layer] = []
        for node in self.graph.node:
            if node.op_type in _REFUSED:
                raise InputError(f"{self.path}: node {node.name or node.op_type}: {node.op_type} is not modelled")
            try:
                layer = self._layer(node)
            except ValidationError as error:
                raise InputError(f"{self.path}: node {node.name}: {first_problem(error)}") from None
            if layer is not None:
                layers.append(layer)
            if node.op_type == "Constant" or (node.op_type in _VIEWS and node.input[0] in self.weights):
                self.weights |= set(node.output)
            if any(i in self.learned for i in node.input):
                self.learned |= set(node.output)
        if not layers:
            raise InputError(f"{self.path}: no layer was found in the model")
        return Network(name=self.path.stem, layers=tuple(layers))

    def _layer(self, node: Any) -> Layer | None:
        op = node.op_type
        if op == "Conv":
            return self._conv(node)
        if op == "Gemm":
            shape = self._shape(node, node.input[1])
            flip = _attribute(node, "transB", 0)
            outputs, inputs = (shape[0], shape[1]) if flip else (shape[1], shape[0])
            return self._linear(node, inputs, outputs)
        if op == "MatMul":
            if node.input[1] in self.weights:
                inputs, outputs = self._shape(node, node.input[1])[-2:]
                return self._linear(node, inputs, outputs)
            a, b = self._shape(node, node.input[0]), self._shape(node, node.input[1])
            count = self._share(node, math.prod(a[:-2]))
            return MatMul(name=self._name(node), rows=a[-2], reduction=a[-1], cols=b[-1], count=count)
        if op in _ELEMENTWISE:
            size = self._size(node, node.input[0])
            return elementwise(self._name(node), _ELEMENTWISE[op], size, outputs=self._size(node, node.output[0]))
        if op == "Add" and not set(node.input) & self.weights:
            a, b = (self._shape(node, i) for i in node.input)
            if a == b and len(a) > 1:
                return elementwise(self._name(node), "add", self._size(node, node.output[0]), inputs=2)
        if op == "Gather" and node.input[0] in self.weights and node.input[1] not in self.weights:
            return elementwise(self._name(node), "embedding", self._size(node, node.output[0]))
        return None

    def _conv(self, node: Any) -> Conv:
        x, w = self._shape(node, node.input[0]), self._shape(node, node.input[1])
        flat = len(x) == 3
        kernel = [1, w[2]] if flat else w[2:4]
        strides, pads = _attribute(node, "strides", [1] * len(kernel)), _attribute(node, "pads", [0] * 2 * len(kernel))
        if set(_attribute(node, "dilations", [1])) != {1} or len(x) not in (3, 4):
            raise InputError(f"{self.path}: node {node.name}: only 1-D and 2-D convolutions without dilation")
        auto = _attribute(node, "auto_pad", b"NOTSET")
        half = len(pads) // 2
        if auto not in (b"NOTSET", b"VALID") or pads[:half] != pads[half:]:
            raise InputError(f"{self.path}: node {node.name}: only symmetric, explicit padding is modelled")
        return Conv(
            name=self._name(node),
            in_channels=x[1],
            out_channels=w[0],
            height=1 if flat else x[2],
            width=x[-1],
            kernel=tuple(kernel),
            stride=(1, strides[0]) if flat else tuple(strides),
            padding=(0, pads[0]) if flat else tuple(pads[:2]),
            groups=_attribute(node, "group", 1),
            needs_input_grad=node.input[0] in self.learned,
        )

    def _linear(self, node: Any, inputs: int, outputs: int) -> Linear:
        rows = self._share(node, math.prod(self._shape(node, node.output[0])[:-1]))
        name = self._name(node)
        grad = node.input[0] in self.learned
        return Linear(name=name, in_features=inputs, out_features=outputs, rows=rows, needs_input_grad=grad)

    def _shape(self, node: Any, name: str) -> list[int]:
        """Dimensions of a tensor; an unknown first one is the batch.

        Raises:
            InputError: another dimension is not known.
        """
        dims = self.shapes.get(name)
        if dims is None or any(d is None for d in dims[1:]):
            raise InputError(
                f"{self.path}: node {node.name or node.op_type}: the shape of {name!r} is not known; "
                "export the model with fixed sizes"
            )
        return [self.batch if d is None else d for d in dims]

    def _share(self, node: Any, total: int) -> int:
        if total % self.batch:
            raise InputError(f"{self.path}: node {node.name}: {total} rows are no multiple of the batch {self.batch}")
        return total // self.batch

    def _size(self, node: Any, name: str) -> int:
        return math.ceil(math.prod(self._shape(node, name)) / self.batch)

    def _name(self, node: Any) -> str:
        base = node.name or node.op_type
        self.names[base] = self.names.get(base, 0) + 1
        return base if self.names[base] == 1 else f"{base}.{self.names[base]}"


def _attribute(node: Any, name: str, default: Any) -> Any:
    from onnx import helper

    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default
