# SPDX-License-Identifier: Apache-2.0
"""The tensors of an ONNX graph at given sizes: shape, whether constant, small values that shapes are computed from.

Nodes are looked at one by one in their order: onnx's own inference gives the shapes of standard operators from the
shapes and the known values of their inputs, and nodes that compute with small constants (the arithmetic of shapes) are
evaluated. Operators of ``com.microsoft`` have no inference in onnx; `contrib_shape` has theirs. Weights are never read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SMALL = 4096
"""Elements up to which a constant's value is kept: shapes, axes, steps."""
CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
_SAME_SHAPE = {
    "BiasGelu", "FastGelu", "QuickGelu", "Gelu", "BiasDropout", "SkipLayerNormalization", "QLinearSigmoid",
    "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization", "RotaryEmbedding", "QLinearLeakyRelu",
    "QLinearSoftmax", "GroupNorm", "SkipGroupNorm", "BiasAdd", "BiasSplitGelu", "QuantizeLinear", "DequantizeLinear",
}  # fmt: skip
"""Operators of com.microsoft whose first output has the shape of their first input."""


class UnknownShape(Exception):  # a question that the reader answers with a message of its own
    """A tensor whose shape the graph does not say."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass
class Values:
    """What is known of the tensors of a graph.

    Attributes:
        types: onnx's type of each tensor, with its shape as far as it is known.
        small: values of small constants.
        constant: names of tensors that depend on no input.
        origin: of constants, the stored tensors that they are made of.
        used: of stored tensors, by those that a weight is made of, elements that layers have by now.
        learned: names of tensors that depend on a parameter (a constant of floating point with several elements), so
            that a gradient flows back to them.
    """

    onnx: Any
    opsets: Mapping[str, int]
    types: dict[str, Any] = field(default_factory=dict)
    small: dict[str, np.ndarray] = field(default_factory=dict)
    constant: set[str] = field(default_factory=set)
    origin: dict[str, frozenset[str]] = field(default_factory=dict)
    used: dict[frozenset[str], int] = field(default_factory=dict)
    learned: set[str] = field(default_factory=set)

    def share(self, name: str, elements: int) -> int:
        """How many elements of a layer's weight earlier layers have; it has all of them from now on.

        A weight may be a part of what the file stores: only what goes beyond the whole of it was there before.
        """
        origin = self.origin.get(name, frozenset({name}))
        matrices = [size for size, dims in map(self._stored_size, origin) if dims > 1]
        whole = sum(matrices) or sum(size for size, _ in map(self._stored_size, origin))
        before = self.used.get(origin, 0)
        self.used[origin] = before + elements
        return min(max(before + elements - max(whole, elements), 0), elements)

    def _stored_size(self, name: str) -> tuple[int, int]:
        try:
            shape = self.shape(name)
        except (UnknownShape, KeyError):
            return 0, 0
        return math.prod(shape), len(shape)

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor.

        Raises:
            UnknownShape: one of them is not known.
        """
        tensor = self.types[name].tensor_type if name in self.types else None
        if tensor is None or not tensor.HasField("shape"):
            raise UnknownShape(name)
        sizes = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
        if min(sizes, default=1) < 0:
            raise UnknownShape(name)
        return sizes

    def size(self, name: str) -> int:
        """Elements of a tensor. Raises as `shape`."""
        return math.prod(self.shape(name))

    def stored(self, tensor: Any) -> None:
        """A tensor that the file holds."""
        dims = list(tensor.dims)
        self.types[tensor.name] = self.onnx.helper.make_tensor_type_proto(tensor.data_type, dims)
        self.constant.add(tensor.name)
        self.origin[tensor.name] = frozenset({tensor.name})
        if math.prod(dims) <= SMALL and tensor.data_location != self.onnx.TensorProto.EXTERNAL:
            self.small[tensor.name] = self.onnx.numpy_helper.to_array(tensor)

    def parameter(self, name: str) -> bool:
        """Whether a tensor is a parameter: constant, of floating point or a quantized one, of several elements."""
        if name not in self.constant:
            return False
        tensor = self.types[name].tensor_type
        kinds = self.onnx.TensorProto
        number = tensor.elem_type not in (kinds.INT32, kinds.INT64, kinds.BOOL, kinds.STRING)
        try:
            return number and self.size(name) > 1
        except UnknownShape:
            return number

    def node(self, node: Any, told: Mapping[str, Any]) -> None:
        """Learn of a node's outputs.

        Args:
            told: shapes that the file itself gives, by tensor, where inference finds none.
        """
        inputs = [name for name in node.input if name]
        constant = all(name in self.constant for name in inputs) and not _random(node.op_type)
        if node.op_type == "Shape" and node.domain in ("", "ai.onnx"):
            self._shape_of(node)
        elif constant and (inputs or node.op_type == "Constant"):
            self._evaluate(node)
        for name, found in self._inferred(node).items():
            if name and name not in self.types:
                self.types[name] = found
        for name in node.output:
            if name and name in told and not self._known(name):
                self.types[name] = told[name]
            if constant:
                self.constant.add(name)
                roots = [self.origin.get(i, frozenset()) for i in inputs]
                self.origin[name] = frozenset().union(*roots) or frozenset({name})
            elif any(i in self.learned or self.parameter(i) for i in inputs):
                self.learned.add(name)

    def _known(self, name: str) -> bool:
        try:
            self.shape(name)
        except UnknownShape:
            return False
        return True

    def _shape_of(self, node: Any) -> None:
        try:
            shape = self.shape(node.input[0])
        except UnknownShape:
            return
        start, end = attribute(node, "start", 0), attribute(node, "end", len(shape))
        self._set(node.output[0], np.array(shape[slice(start, end)], np.int64))

    def _set(self, name: str, value: np.ndarray) -> None:
        self.small[name] = value
        self.constant.add(name)
        self.origin.setdefault(name, frozenset({name}))
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        self.types[name] = self.onnx.helper.make_tensor_type_proto(kind, list(value.shape))

    def _evaluate(self, node: Any) -> None:
        """Values of a node that computes with small constants; nothing where it cannot be evaluated."""
        if any(name not in self.small for name in node.input if name):
            return
        feeds = {name: self.small[name] for name in node.input if name}
        from onnx.reference import ReferenceEvaluator

        helper = self.onnx.helper
        makers = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
                  for n, v in feeds.items()]  # fmt: skip
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "one", makers, outputs)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        try:
            found = ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets)).run(None, feeds)
        except Exception:  # any operator that onnx's reference does not have: its value stays unknown
            return
        for name, value in zip((n for n in node.output if n), found, strict=True):
            value = np.asarray(value)
            if value.size <= SMALL and value.dtype != object:
                self._set(name, value)

    def _inferred(self, node: Any) -> Mapping[str, Any]:
        """Types of the outputs as far as inference knows them."""
        from onnx.shape_inference import InferenceError, infer_node_outputs

        if node.domain not in ("", "ai.onnx"):
            return contrib_types(self, node)
        kinds = {name: self.types[name] for name in node.input if name in self.types}
        if any(name and name not in kinds for name in node.input):
            return {}
        numpy_helper = self.onnx.numpy_helper
        data = {n: numpy_helper.from_array(self.small[n], n) for n in node.input if n in self.small}
        try:
            schema = self.onnx.defs.get_schema(node.op_type, self.opsets.get("", 1), "")
            opsets = [self.onnx.helper.make_opsetid(d, v) for d, v in self.opsets.items()]
            found: dict[str, Any] = infer_node_outputs(schema, node, kinds, data, opset_imports=opsets)
        except (InferenceError, self.onnx.defs.SchemaError, KeyError, ValueError, RuntimeError) as error:
            if isinstance(error, InferenceError):
                raise
            return {}
        return found


def _random(op: str) -> bool:
    return op in ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """A node's attribute, texts as text."""
    from onnx import helper

    for found in node.attribute:
        if found.name == name:
            value = helper.get_attribute_value(found)
            return value.decode() if isinstance(value, bytes) else value
    return default


def matmul_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a product as numpy has it; operands of one dimension lose theirs."""
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    whole = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    if len(a) == 1:
        whole = (*whole[:-2], whole[-1])
    return whole[:-1] if len(b) == 1 else whole


def contrib_types(values: Values, node: Any) -> dict[str, Any]:
    """Types of the outputs of an operator of com.microsoft; none of one that is not known here."""
    try:
        shapes = contrib_shapes(values, node)
    except (UnknownShape, ValueError, IndexError):
        return {}
    first = next((values.types[n].tensor_type.elem_type for n in node.input if n in values.types), 1)
    make = values.onnx.helper.make_tensor_type_proto
    return {name: make(first, list(shape)) for name, shape in zip(node.output, shapes, strict=False) if name and shape}


def contrib_shapes(values: Values, node: Any) -> list[tuple[int, ...]]:
    """Shapes of the outputs of an operator of com.microsoft."""
    op, inputs = node.op_type, node.input
    shape = values.shape
    if op in _SAME_SHAPE:
        same = shape(inputs[0])
        return [same, (), (), same] if op.startswith("Skip") else [same]
    if op in ("FusedMatMul", "TransposeMatMul"):
        a, b = (_turned(shape(i), attribute(node, f"trans{n}", 0)) for i, n in zip(inputs, "AB", strict=False))
        return [matmul_shape(a, b)]
    if op in ("DynamicQuantizeMatMul", "MatMulIntegerToFloat"):
        return [matmul_shape(shape(inputs[0]), shape(inputs[1]))]
    if op in ("MatMulNBits", "MatMulBnb4", "MatMulFpQ4"):
        return [(*shape(inputs[0])[:-1], attribute(node, "N"))]
    if op == "QGemm":
        a = _turned(shape(inputs[0]), attribute(node, "transA", 0))
        b = _turned(shape(inputs[3]), attribute(node, "transB", 0))
        return [(a[0], b[1])]
    if op == "FusedGemm":
        a = _turned(shape(inputs[0]), attribute(node, "transA", 0))
        b = _turned(shape(inputs[1]), attribute(node, "transB", 0))
        return [(a[0], b[1])]
    if op in ("QLinearAdd", "QLinearMul"):
        return [np.broadcast_shapes(shape(inputs[0]), shape(inputs[3]))]
    if op in ("Attention", "QAttention"):
        batch, tokens, _ = shape(inputs[0])
        whole = shape(inputs[1])[1]
        sizes = attribute(node, "qkv_hidden_sizes") or [whole // 3] * 3
        return [(batch, tokens, sizes[2])]
    if op == "MultiHeadAttention":
        query = shape(inputs[0])
        if len(query) == 5:  # q, k, v in one: batch, tokens, heads, 3, size
            return [(query[0], query[1], query[2] * query[4])]
        value = shape(inputs[2]) if len(inputs) > 2 and inputs[2] else query
        wide = value[1] * value[3] if len(value) == 4 else value[2]
        return [(query[0], query[1], wide)]
    if op == "GroupQueryAttention":
        batch, tokens, wide = shape(inputs[0])
        heads, kv = attribute(node, "num_heads"), attribute(node, "kv_num_heads")
        size = wide // heads if inputs[1] else wide // (heads + 2 * kv)
        past = shape(inputs[3])[2] if len(inputs) > 3 and inputs[3] else 0
        cache = (batch, kv, past + tokens, size)
        return [(batch, tokens, heads * size), cache, cache]
    if op == "QLinearGlobalAveragePool":
        a = shape(inputs[0])
        return [(a[0], a[1], *(1 for _ in a[2:]))]
    if op == "QLinearConcat":
        parts = [shape(i) for i in inputs[2::3]]
        axis = attribute(node, "axis") % len(parts[0])
        return [tuple(sum(p[i] for p in parts) if i == axis else n for i, n in enumerate(parts[0]))]
    if op == "EmbedLayerNormalization":
        return [(*shape(inputs[0]), shape(inputs[2])[1])]
    return []


def _turned(shape: tuple[int, ...], flip: int) -> tuple[int, ...]:
    """A shape with its last two dimensions exchanged."""
    return (*shape[:-2], shape[-1], shape[-2]) if flip else shape
