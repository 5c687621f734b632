# SPDX-License-Identifier: Apache-2.0
"""Layers of the operators of ONNX and com.microsoft: products, convolutions, attention, recurrence; what is free.

Shapes are those of one sample. Who is constant decides what is a weight: an initializer, or whatever is computed from
constants alone (dequantized, cast, transposed, sliced), on either side of a product. Two matrices a weight has beside
each other are experts of one layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..networks.network import Conv, Layer, Linear, MatMul, elementwise
from .onnx_values import Values, attribute, matmul_shape

_MOVES = "moves or names data; its reader and writer count it"
_EACH = "one operation an element, done on the way between its neighbours"
_SHAPES = "arithmetic of shapes and indices"
_NUMBERS = "changes the form of numbers on the way between its neighbours"
_NOTHING = "does nothing when a model is run"
FREE: dict[str, str] = {
    **dict.fromkeys((
        "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Expand", "Tile", "Split", "Slice",
        "Concat", "Pad", "DepthToSpace", "SpaceToDepth", "Gather", "GatherND", "GatherElements", "ReverseSequence",
        "QLinearConcat", "SplitToSequence", "SequenceAt", "SequenceConstruct", "ConcatFromSequence", "Compress",
    ), _MOVES),
    **dict.fromkeys((
        "Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Mish",
        "Tanh", "Softplus", "Softsign", "ThresholdedRelu", "Shrink", "Gelu", "BiasGelu", "FastGelu", "QuickGelu", "Erf",
        "Clip", "Mul", "Sub", "Div", "Add", "Sum", "Mean", "Pow", "Sqrt", "Reciprocal", "Neg", "Abs", "Exp", "Log",
        "Sin", "Cos", "Tan", "Sinh", "Cosh", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh", "Min", "Max", "Mod",
        "Floor", "Ceil",
        "Round", "Sign", "Where", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BiasAdd",
        "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "BiasSplitGelu", "Trilu", "IsNaN", "IsInf",
        "And", "Or", "Xor", "Not", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    ), _EACH),
    **dict.fromkeys((
        "Shape", "Size", "Constant", "ConstantOfShape", "Range", "EyeLike", "OneHot", "NonZero", "RandomNormal",
        "RandomUniform", "RandomNormalLike", "RandomUniformLike",
    ), _SHAPES),
    **dict.fromkeys((
        "Cast", "CastLike", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "BitCast",
    ), _NUMBERS),
    **dict.fromkeys(("Dropout", "BiasDropout", "Bernoulli"), _NOTHING),
}  # fmt: skip
"""Operators that cost nothing, and why."""

TRAFFIC: dict[str, str] = {
    "BatchNormalization": "batchnorm",
    **dict.fromkeys((
        "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization", "LpNormalization",
        "MeanVarianceNormalization", "LRN", "SimplifiedLayerNormalization", "GroupNorm",
    ), "layernorm"),
    **dict.fromkeys((
        "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "MaxRoiPool",
        "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
        "ReduceLogSumExp", "ReduceSumSquare", "QLinearAveragePool", "QLinearGlobalAveragePool", "NhwcMaxPool",
    ), "pool"),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "QLinearSoftmax"), "softmax"),
    **dict.fromkeys(("Resize", "Upsample", "GridSample", "AffineGrid", "RoiAlign", "Col2Im", "MaxUnpool"), "resize"),
    **dict.fromkeys(("TopK", "ArgMax", "ArgMin", "CumSum", "NonMaxSuppression", "Unique"), "search"),
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND", "TensorScatter"), "scatter"),
    "RotaryEmbedding": "rope",
}  # fmt: skip
"""Operators that cost the memory traffic of an element-wise layer (`dataflow.networks.network.elementwise`)."""
_RECURRENT = {"LSTM": 4, "GRU": 3, "RNN": 1}
"""Matrices of a recurrent operator: gates."""


class Refused(Exception):  # not an error of the program: the reader says it with the node's name
    """An operation that is not modelled; the message says what of it."""


def layers_of(values: Values, node: Any, name: str) -> list[Layer] | str:
    """The layers of a node, or why it costs nothing.

    Raises:
        Refused: it is not modelled.
        UnknownShape: of a tensor that counts.
    """
    op = node.op_type
    if all(i in values.constant for i in node.input if i) and op not in ("Constant",) and any(node.input):
        return "made of constants alone: computed once"
    if op in _PRODUCTS:
        return _PRODUCTS[op](values, node, name)
    if op in ("Add", "Sum") and _added(values, node):
        return [elementwise(name, "add", values.size(node.output[0]), inputs=len(node.input))]
    if op == "Gather" and values.parameter(node.input[0]) and len(values.shape(node.input[0])) > 1:
        return [elementwise(name, "embedding", values.size(node.output[0]))]
    if op in FREE:
        return FREE[op]
    if op in ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"):
        size = values.size(node.input[0])
        return [elementwise(f"{name}.add", "add", size, inputs=2), elementwise(name, "layernorm", size)]
    if op == "EmbedLayerNormalization":
        size = values.size(node.output[0])
        return [elementwise(f"{name}.embedding", "embedding", size), elementwise(name, "layernorm", size)]
    if op in TRAFFIC:
        size = values.size(node.input[0])
        outputs = values.size(node.output[0]) if TRAFFIC[op] in ("pool", "resize", "search") else None
        return [elementwise(name, TRAFFIC[op], size, outputs=outputs)]
    raise Refused("is not modelled")


def _added(values: Values, node: Any) -> bool:
    """Whether activations of the same shape are added: a residual. (A constant or a broadcast one rides along.)"""
    if any(i in values.constant for i in node.input):
        return False
    shapes = {values.shape(i) for i in node.input}
    return len(shapes) == 1 and len(shapes.pop()) > 1


def _learned(values: Values, name: str) -> bool:
    return name in values.learned


# --- products


def product(values: Values, name: str, left: str, right: str, a: Sequence[int], b: Sequence[int]) -> Linear | MatMul:
    """A x B as numpy's matmul has it; whoever is constant is the weight.

    Args:
        a, b: shapes as they enter the product.
    """
    whole = math.prod(matmul_shape(tuple(a), tuple(b)))
    a, b = (1, *a) if len(a) == 1 else tuple(a), (*b, 1) if len(b) == 1 else tuple(b)
    reduction = a[-1]
    if left in values.constant or right in values.constant:
        weight_right = right in values.constant
        weight, other = (right, left) if weight_right else (left, right)
        outputs = b[-1] if weight_right else a[-2]
        return _linear(values, name, weight, other, reduction, outputs, whole // outputs,
                       math.prod((b if weight_right else a)[:-2]))  # fmt: skip
    count = math.prod(np.broadcast_shapes(a[:-2], b[:-2]))
    return MatMul(name=name, rows=a[-2], reduction=reduction, cols=b[-1], count=count)


def _linear(
    values: Values, name: str, weight: str, other: str, inputs: int, outputs: int, rows: int, experts: int = 1,
    steps: int = 1,
) -> Linear:  # fmt: skip
    """A layer with a stored weight, of which earlier layers may have elements; ``other``: the activations."""
    shared = values.share(weight, experts * inputs * outputs)
    return Linear(name=name, in_features=inputs, out_features=outputs, rows=rows, experts=experts, steps=steps,
                  shared=shared, needs_input_grad=_learned(values, other))  # fmt: skip


def _flipped(shape: Sequence[int], flip: int) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if flip else tuple(shape)


def _operands(left: int, right: int) -> Callable[[Values, Any, str], list[Layer]]:
    """A product of the node's inputs in these places, turned by transA and transB where the node has them."""

    def build(values: Values, node: Any, name: str) -> list[Layer]:
        if attribute(node, "transBatchA", 0) or attribute(node, "transBatchB", 0):
            raise Refused("with transBatchA or transBatchB is not modelled")
        x, y = node.input[left], node.input[right]
        a = _flipped(values.shape(x), attribute(node, "transA", 0))
        b = _flipped(values.shape(y), attribute(node, "transB", 0))
        return [product(values, name, x, y, a, b)]

    return build


def _packed(values: Values, node: Any, name: str) -> list[Layer]:
    """A product with a weight that is packed to few bits; K and N are attributes."""
    size, outputs = attribute(node, "K"), attribute(node, "N")
    rows = values.size(node.input[0]) // size
    return [Linear(name=name, in_features=size, out_features=outputs, rows=rows,
                   needs_input_grad=_learned(values, node.input[0]))]  # fmt: skip


def _einsum(values: Values, node: Any, name: str) -> list[Layer] | str:
    equation = attribute(node, "equation", "").replace(" ", "")
    if len(node.input) == 1:
        return "a transpose, a diagonal or a sum of one operand; moves data"
    if "." in equation or len(node.input) != 2:
        raise Refused(f"of {equation!r} is not modelled: two operands without an ellipsis are")
    terms, _, out = equation.partition("->")
    left, right = terms.split(",")
    if "->" not in equation:
        out = "".join(sorted(c for c in set(left + right) if (left + right).count(c) == 1))
    size: dict[str, int] = {}
    for letters, operand in ((left, node.input[0]), (right, node.input[1])):
        if len(set(letters)) != len(letters):
            raise Refused(f"of {equation!r} is not modelled: an operand's diagonal")
        for letter, n in zip(letters, values.shape(operand), strict=True):
            size[letter] = max(size.get(letter, 1), n)

    def times(letters: set[str]) -> int:
        return math.prod(size[c] for c in letters)

    both = set(left) & set(right)
    shared, reduction = times(both & set(out)), times(both - set(out))
    mine, theirs = (times((set(x) - set(y)) & set(out)) for x, y in ((left, right), (right, left)))
    x, y = node.input
    if x in values.constant or y in values.constant:
        right_constant = y in values.constant
        weight, other = (y, x) if right_constant else (x, y)
        outputs, rows = (theirs, mine) if right_constant else (mine, theirs)
        return [_linear(values, name, weight, other, reduction, outputs, rows * shared, shared)]
    return [MatMul(name=name, rows=mine, reduction=reduction, cols=theirs, count=shared)]


# --- convolutions


def _windows(values: Values, node: Any, x: str, w: str) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Kernel, strides, dilations, and pads at the beginning and at the end of each axis of space."""
    kernel = list(values.shape(w)[2:])
    n = len(kernel)
    strides = list(attribute(node, "strides") or [1] * n)
    dilations = list(attribute(node, "dilations") or [1] * n)
    pads = list(attribute(node, "pads") or [0] * 2 * n)
    auto = attribute(node, "auto_pad", "NOTSET")
    begin, end = pads[:n], pads[n:]
    if auto.startswith("SAME"):
        begin, end = [], []
        for size, k, s, d in zip(values.shape(x)[2:], kernel, strides, dilations, strict=True):
            whole = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
            less = whole // 2
            begin.append(less if auto == "SAME_UPPER" else whole - less)
            end.append(whole - begin[-1])
    elif auto == "VALID":
        begin, end = [0] * n, [0] * n
    return kernel, strides, dilations, begin, end


def _conv_of(x_at: int, w_at: int) -> Callable[[Values, Any, str], list[Layer]]:
    def build(values: Values, node: Any, name: str) -> list[Layer]:
        x, w = node.input[x_at], node.input[w_at]
        shape, weight = values.shape(x), values.shape(w)
        if w not in values.constant:
            raise Refused("with a kernel that is computed is not modelled")
        kernel, strides, dilations, begin, end = _windows(values, node, x, w)
        if len(kernel) not in (1, 2, 3):
            raise Refused(f"of {len(kernel)} dimensions is not modelled")
        images, channels = shape[:2]
        space = list(shape[2:])
        if len(kernel) == 3:  # each output plane is a 2-D convolution over the planes that it sees
            planes = (space[0] + begin[0] + end[0] - (kernel[0] - 1) * dilations[0] - 1) // strides[0] + 1
            if planes < 1:
                raise Refused("has an empty output")
            images, channels = images * planes, channels * kernel[0]
            kernel, strides, dilations, space = kernel[1:], strides[1:], dilations[1:], space[1:]
            begin, end = begin[1:], end[1:]
        if len(kernel) == 1:
            kernel, strides, dilations, space = [1, *kernel], [1, *strides], [1, *dilations], [1, *space]
            begin, end = [0, *begin], [0, *end]
        groups = attribute(node, "group", 1)
        return [
            Conv(
                name=name, in_channels=channels, out_channels=weight[0], height=space[0], width=space[1],
                kernel=(kernel[0], kernel[1]), stride=(strides[0], strides[1]), padding=(begin[0], begin[1]),
                padding_end=None if begin == end else (end[0], end[1]), dilation=(dilations[0], dilations[1]),
                groups=groups, images=images, shared=values.share(w, math.prod(weight)),
                needs_input_grad=_learned(values, x),
            )
        ]  # fmt: skip

    return build


def _transposed(values: Values, node: Any, name: str) -> list[Layer]:
    """A transposed convolution; of three dimensions each input pixel times the kernel, the results added up."""
    x, w = node.input[:2]
    if w not in values.constant:
        raise Refused("with a kernel that is computed is not modelled")
    shape, weight = values.shape(x), values.shape(w)
    groups = attribute(node, "group", 1)
    n = len(weight) - 2
    if n not in (1, 2):
        share = math.prod(weight) // groups
        return [
            Linear(
                name=name if groups == 1 else f"{name}.{g}", in_features=weight[0] // groups,
                out_features=math.prod(weight[1:]), rows=math.prod(shape[2:]) * shape[0],
                shared=values.share(w, share), needs_input_grad=_learned(values, x),
            )
            for g in range(groups)
        ]  # fmt: skip
    kernel, strides, dilations, begin, end = _windows(values, node, x, w)
    more = list(attribute(node, "output_padding") or [0] * n)
    auto, sizes = attribute(node, "auto_pad", "NOTSET"), attribute(node, "output_shape")
    if sizes or auto.startswith("SAME"):
        wanted = list(sizes)[-n:] if sizes else [i * s for i, s in zip(shape[2:], strides, strict=True)]
        for i in range(n):
            over = strides[i] * (shape[2 + i] - 1) + more[i] + (kernel[i] - 1) * dilations[i] + 1 - wanted[i]
            half = max(over, 0) // 2
            begin[i] = half if auto == "SAME_UPPER" else max(over, 0) - half
            end[i] = max(over, 0) - begin[i]
    space = list(shape[2:])
    if n == 1:
        kernel, strides, dilations, space = [1, *kernel], [1, *strides], [1, *dilations], [1, *space]
        begin, end, more = [0, *begin], [0, *end], [0, *more]
    return [
        Conv(
            name=name, in_channels=weight[0], out_channels=weight[1] * groups, height=space[0], width=space[1],
            kernel=(kernel[0], kernel[1]), stride=(strides[0], strides[1]), padding=(begin[0], begin[1]),
            padding_end=None if begin == end else (end[0], end[1]), dilation=(dilations[0], dilations[1]),
            transposed=True, output_padding=(more[0], more[1]), groups=groups, images=shape[0],
            shared=values.share(w, math.prod(weight)), needs_input_grad=_learned(values, x),
        )
    ]  # fmt: skip


# --- attention


def _attention(
    name: str, batch: int, heads: int, queries: int, keys: int, size: int, value_size: int, window: int = 0
) -> list[Layer]:
    """Q K^T, softmax, P V; a query group shares keys, which changes bytes and no multiply."""
    if 0 < window < keys:
        if queries > 1:
            raise Refused(f"with a window of {window} of {keys} keys is not modelled for {queries} queries")
        keys = window
    count = batch * heads
    return [
        MatMul(name=f"{name}.qk", rows=queries, reduction=size, cols=keys, count=count),
        elementwise(f"{name}.softmax", "softmax", count * queries * keys),
        MatMul(name=f"{name}.pv", rows=queries, reduction=keys, cols=value_size, count=count),
    ]


def _place(node: Any, i: int) -> str:
    return node.input[i] if len(node.input) > i else ""


def _attention_onnx(values: Values, node: Any, name: str) -> list[Layer]:
    """ai.onnx Attention: [batch, heads, tokens, size] or [batch, tokens, heads x size]."""
    q, k, v = (values.shape(i) for i in node.input[:3])
    past = values.shape(_place(node, 4))[2] if _place(node, 4) else 0
    if len(q) == 4:
        return _attention(name, q[0], q[1], q[2], k[2] + past, q[3], v[3])
    heads, kv = attribute(node, "q_num_heads"), attribute(node, "kv_num_heads")
    return _attention(name, q[0], heads, q[1], k[1] + past, q[2] // heads, v[2] // kv)


def _attention_heads(values: Values, node: Any, name: str) -> list[Layer]:
    """com.microsoft MultiHeadAttention."""
    heads = attribute(node, "num_heads")
    q = values.shape(node.input[0])
    past = values.shape(_place(node, 6))[2] if _place(node, 6) else 0
    if len(q) == 5:
        return _attention(name, q[0], q[2], q[1], q[1] + past, q[4], q[4])
    k = values.shape(node.input[1])
    if len(k) == 5:  # keys and values in one: batch, tokens, heads, 2, size
        return _attention(name, q[0], heads, q[1], k[1] + past, k[4], k[4])
    v = values.shape(node.input[2])
    keys = k[2] if len(k) == 4 else k[1]
    return _attention(name, q[0], heads, q[1], keys + past, q[2] // heads, v[3] if len(v) == 4 else v[2] // heads)


def _attention_grouped(values: Values, node: Any, name: str) -> list[Layer]:
    """com.microsoft GroupQueryAttention."""
    heads, kv = attribute(node, "num_heads"), attribute(node, "kv_num_heads")
    batch, tokens, wide = values.shape(node.input[0])
    size = wide // heads if _place(node, 1) else wide // (heads + 2 * kv)
    past = values.shape(_place(node, 3))[2] if _place(node, 3) else 0
    window = attribute(node, "local_window_size", -1)
    return _attention(name, batch, heads, tokens, past + tokens, size, size, window)


def _attention_whole(values: Values, node: Any, name: str) -> list[Layer]:
    """com.microsoft Attention, QAttention: the projection of q, k, v is in it."""
    x, w = node.input[:2]
    batch, tokens, width = values.shape(x)
    whole = values.shape(w)[1]
    heads = attribute(node, "num_heads")
    q, _, v = attribute(node, "qkv_hidden_sizes") or [whole // 3] * 3
    if _place(node, 4) and node.op_type == "Attention":
        raise Refused("with a cache of keys and values is not modelled")
    projection = product(values, f"{name}.qkv", x, w, (batch, tokens, width), (width, whole))
    return [projection, *_attention(name, batch, heads, tokens, tokens, q // heads, v // heads)]


# --- recurrence


def _recurrent(values: Values, node: Any, name: str) -> list[Layer]:
    """Products of every step; weights are the same in all of them. [time, batch, size] or, by layout, batch first."""
    gates = _RECURRENT[node.op_type]
    x, w, r = node.input[:3]
    if w not in values.constant or r not in values.constant:
        raise Refused("with weights that are computed is not modelled")
    first, second, inputs = values.shape(x)
    steps, samples = (second, first) if attribute(node, "layout", 0) else (first, second)
    directions, _, hidden = values.shape(r)
    found: list[Layer] = []
    for d in range(directions):
        base = name if directions == 1 else f"{name}.{d}"
        found += [
            _linear(values, f"{base}.input", w, x, inputs, gates * hidden, steps * samples),
            _linear(values, f"{base}.hidden", r, x, hidden, gates * hidden, samples, steps=steps).model_copy(
                update={"needs_input_grad": steps > 1 or _learned(values, x)}
            ),
        ]
    return found


_PRODUCTS: dict[str, Callable[[Values, Any, str], list[Layer] | str]] = {
    **dict.fromkeys(("MatMul", "Gemm", "MatMulInteger", "FusedMatMul", "TransposeMatMul", "FusedGemm",
                     "DynamicQuantizeMatMul", "MatMulIntegerToFloat"), _operands(0, 1)),
    **dict.fromkeys(("QLinearMatMul", "QGemm"), _operands(0, 3)),
    **dict.fromkeys(("MatMulNBits", "MatMulBnb4", "MatMulFpQ4"), _packed),
    "Einsum": _einsum,
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv"), _conv_of(0, 1)),
    "QLinearConv": _conv_of(0, 3),
    "ConvTranspose": _transposed,
    "Attention": lambda values, node, name: (
        _attention_onnx if node.domain in ("", "ai.onnx") else _attention_whole)(values, node, name),
    "QAttention": _attention_whole,
    "MultiHeadAttention": _attention_heads,
    "GroupQueryAttention": _attention_grouped,
    **dict.fromkeys(_RECURRENT, _recurrent),
}  # fmt: skip
