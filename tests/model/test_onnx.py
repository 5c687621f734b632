# SPDX-License-Identifier: Apache-2.0
"""ONNX models: cases with answers counted by hand, every operator against numpy's shapes or torch's counter, what is
free or refused by name, dimensions that are never guessed, and broken files."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dataflow.errors import InputError
from dataflow.importers import onnx_layers
from dataflow.importers.network_files import read_network
from dataflow.networks.network import Elementwise, Linear, Network
from dataflow.networks.operations import explain
from tests.support import tools
from tests.support.mutations import mutated

HANDED = Path(__file__).parents[1] / "data" / "front_ends" / "onnx"


@pytest.mark.parametrize(
    ("name", "macs", "weights"),
    [
        ("torch_default", 20_480, 20_480), ("matmul_bcast", 12_288, 0), ("matmul_vec_right", 64, 16),
        ("flat_dy_dyn", 40_960, 4_096), ("flat_ts_dyn", 40_960, 4_096), ("dyn_heads", 196_608, 0),
        ("einsum", 196_608, 4_096), ("ms_mha", 262_144, 4_096), ("function", 20_480, 2_560),
        ("matmulinteger", 65_600, 8_208), ("effect_qdq", 67_108_864, 262_144), ("qdq_matmul", 131_072, 8_192),
        ("first_reshape", 2_048, 2_048),
    ],
)  # fmt: skip
def test_handed_cases(name: str, macs: int, weights: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools.package("onnx")
    monkeypatch.chdir(tmp_path)  # external data lies beside the file, wherever one stands
    found = read_network(HANDED / f"{name}.onnx")
    assert (found.macs, found.weights) == (macs, weights)
    rows = explain(found)
    assert sum(r.macs for r in rows) == macs
    assert sum(r.weights for r in rows) == weights


def test_only_what_has_weights_before_it_needs_a_gradient() -> None:
    tools.package("onnx")
    assert [x.needs_input_grad for x in read_network(HANDED / "first_reshape.onnx").layers] == [False]  # type: ignore[union-attr]
    both = [x.needs_input_grad for x in read_network(HANDED / "flat_ts_dyn.onnx").layers if isinstance(x, Linear)]
    assert both == [False, True]


# --- single operators


def _model(
    path: Path, nodes: list[Any], inputs: dict[str, list[Any]], weights: dict[str, tuple[int, ...]],
    outputs: tuple[str, ...] = ("y",), opset: int = 17, domain: str = "", kinds: dict[str, Any] | None = None,
) -> Path:  # fmt: skip
    onnx = tools.package("onnx")
    helper = onnx.helper
    kinds = kinds or {}
    stored = [onnx.numpy_helper.from_array(np.ones(shape, kinds.get(n, np.float32)), n) for n, shape in weights.items()]
    types = {n: helper.np_dtype_to_tensor_dtype(np.dtype(kinds.get(n, np.float32))) for n in (*inputs, *outputs)}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, types[n], s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, types[n], ["any"]) for n in outputs], initializer=stored,
    )  # fmt: skip
    sets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=10), path)
    return path


def _one(tmp_path: Path, op: str, inputs: dict[str, list[Any]], weights: dict[str, tuple[int, ...]] | None = None,
         names: list[str] | None = None, opset: int = 17, domain: str = "", outputs: tuple[str, ...] = ("y",),
         kinds: dict[str, Any] | None = None, **attributes: Any) -> Network:  # fmt: skip
    onnx = tools.package("onnx")
    weights = weights or {}
    node = onnx.helper.make_node(op, names or [*inputs, *weights], list(outputs), "n", domain=domain, **attributes)
    path = _model(tmp_path / "one.onnx", [node], inputs, weights, outputs, opset, domain, kinds)
    return read_network(path)


@pytest.mark.parametrize(
    ("a", "b"),
    [((5, 7), (7, 3)), ((2, 5, 7), (7, 3)), ((7,), (7, 3)), ((5, 7), (7,)), ((1, 1, 8, 16), (1, 12, 16, 8)),
     ((4, 20, 32), (4, 32, 48)), ((20, 32), (4, 32, 48)), ((2, 3, 5, 7), (3, 7, 4)), ((6, 5), (2, 5, 9)), ((7,), (7,))],
)  # fmt: skip
@pytest.mark.parametrize("constant", ["", "a", "b"])
def test_products_of_any_rank(a: tuple[int, ...], b: tuple[int, ...], constant: str, tmp_path: Path) -> None:
    shapes = {"a": a, "b": b}
    inputs = {n: list(s) for n, s in shapes.items() if n != constant}
    weights = {n: s for n, s in shapes.items() if n == constant}
    found = _one(tmp_path, "MatMul", inputs, weights, ["a", "b"])
    with FlopCounterMode(display=False) as counter:
        torch.matmul(torch.zeros(a), torch.zeros(b))
    whole = math.prod(np.matmul(np.zeros(a), np.zeros(b)).shape) * a[-1]  # torch counts no product of two vectors
    assert found.macs == whole
    assert counter.get_total_flops() in (0, 2 * whole)
    assert found.weights == (math.prod(shapes[constant]) if constant else 0)


@pytest.mark.parametrize("flip_a", [0, 1])
@pytest.mark.parametrize("flip_b", [0, 1])
@pytest.mark.parametrize("constant", ["a", "b"])
def test_gemm_is_turned(flip_a: int, flip_b: int, constant: str, tmp_path: Path) -> None:
    shapes = {"a": (5, 7)[:: -1 if flip_a else 1], "b": (7, 3)[:: -1 if flip_b else 1]}
    inputs = {n: list(s) for n, s in shapes.items() if n != constant}
    found = _one(tmp_path, "Gemm", inputs, {constant: shapes[constant]}, ["a", "b"], transA=flip_a, transB=flip_b)
    (layer,) = found.layers
    assert isinstance(layer, Linear)
    rows, outputs = (5, 3) if constant == "b" else (3, 5)
    assert (layer.rows, layer.in_features, layer.out_features) == (rows, 7, outputs)


CONVS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("Conv2d", (1, 6, 11, 9), {"out_channels": 8, "kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    ("Conv2d", (1, 6, 14, 14), {"out_channels": 12, "kernel_size": 3, "dilation": 2, "groups": 3}),
    ("Conv2d", (1, 6, 14, 14), {"out_channels": 6, "kernel_size": 5, "padding": 4, "dilation": 2, "groups": 6}),
    ("Conv1d", (1, 4, 33), {"out_channels": 8, "kernel_size": 5, "stride": 3, "padding": 2}),
    ("Conv1d", (1, 4, 33), {"out_channels": 8, "kernel_size": 3, "dilation": 4}),
    ("Conv3d", (1, 4, 7, 9, 8), {"out_channels": 6, "kernel_size": (3, 2, 3), "stride": (2, 1, 2), "padding": 1}),
    ("ConvTranspose2d", (1, 6, 5, 7), {"out_channels": 8, "kernel_size": 3, "stride": 2, "padding": 1}),
    ("ConvTranspose2d", (1, 6, 5, 7), {"out_channels": 4, "kernel_size": (2, 3), "groups": 2, "dilation": 2}),
    ("ConvTranspose1d", (1, 6, 12), {"out_channels": 4, "kernel_size": 4, "stride": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "shape", "options"), CONVS)
def test_convolutions_are_torchs(kind: str, shape: tuple[int, ...], options: dict[str, Any], tmp_path: Path) -> None:
    tools.package("onnx")
    module = getattr(nn, kind)(shape[1], bias=False, **options)
    found = _exported(module, (torch.zeros(shape),), tmp_path)
    assert (found.macs, found.weights) == (_flops(module, torch.zeros(shape)), module.weight.numel())


def test_a_weight_that_is_used_again_counts_once(tmp_path: Path) -> None:
    """Twice whole; then in three slices, of which the third one again."""
    onnx = tools.package("onnx")
    helper = onnx.helper
    nodes = [
        helper.make_node("MatMul", [x, "w"], [y], name) for x, y, name in (("x", "a", "first"), ("a", "y", "again"))
    ]
    path = _model(tmp_path / "twice.onnx", nodes, {"x": [1, 5, 8]}, {"w": (8, 8)})
    found = read_network(path)
    assert (found.weights, found.macs) == (64, 2 * 5 * 64)
    assert [layer.shared for layer in found.layers] == [0, 64]  # type: ignore[union-attr]
    nodes = [helper.make_node("Split", ["w"], ["q", "k", "v"], axis=1)]
    nodes += [helper.make_node("MatMul", ["x", n], [f"{n}{i}"], f"{n}{i}") for i, n in enumerate("qkvv")]
    nodes.append(helper.make_node("Sum", ["q0", "k1", "v2", "v3"], ["y"], "sum"))
    found = read_network(_model(path, nodes, {"x": [1, 5, 8]}, {"w": (8, 12)}, opset=13))
    assert (found.weights, found.macs) == (96, 4 * 5 * 32)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize(("size", "kernel", "stride"), [(13, 3, 2), (12, 4, 1), (9, 2, 3)])
def test_automatic_padding(auto: str, size: int, kernel: int, stride: int, tmp_path: Path) -> None:
    found = _one(tmp_path, "Conv", {"x": [1, 3, size, size]}, {"w": (5, 3, kernel, kernel)}, auto_pad=auto,
                 strides=[stride, stride])  # fmt: skip
    side = -(-size // stride) if auto.startswith("SAME") else (size - kernel) // stride + 1
    assert found.macs == 5 * 3 * kernel**2 * side**2


def test_uneven_padding(tmp_path: Path) -> None:
    found = _one(tmp_path, "Conv", {"x": [1, 3, 10, 10]}, {"w": (5, 3, 3, 3)}, pads=[0, 2, 1, 0], strides=[2, 2])
    assert found.macs == 5 * 3 * 9 * ((11 - 3) // 2 + 1) * ((12 - 3) // 2 + 1)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_recurrent_weights_count_once(op: str, direction: str, tmp_path: Path) -> None:
    gates, d = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 1 + (direction == "bidirectional")
    found = _one(tmp_path, op, {"x": [10, 1, 32]}, {"w": (d, gates * 48, 32), "r": (d, gates * 48, 48)},
                 hidden_size=48, direction=direction)  # fmt: skip
    weights = d * gates * 48 * (32 + 48)
    assert (found.weights, found.macs) == (weights, 10 * weights)
    assert [layer.steps for layer in found.layers] == [1, 10] * d  # type: ignore[union-attr]


def test_attention_operators(tmp_path: Path) -> None:
    """Of q [1, 6, 4 x 8] and keys [1, 10, 4 x 8], and with a cache of 5."""
    q, k = [1, 6, 32], [1, 10, 32]
    here = _one(tmp_path, "Attention", {"q": q, "k": k, "v": k}, opset=23, q_num_heads=4, kv_num_heads=4)
    assert here.macs == 2 * 4 * 6 * 10 * 8
    grouped = _one(tmp_path, "Attention", {"q": [1, 4, 6, 8], "k": [1, 2, 10, 8], "v": [1, 2, 10, 16]}, opset=23)
    assert grouped.macs == 4 * 6 * 10 * (8 + 16)
    ms = {"domain": "com.microsoft"}
    heads = _one(tmp_path, "MultiHeadAttention", {"q": q, "k": k, "v": k}, num_heads=4, **ms)
    assert heads.macs == 2 * 4 * 6 * 10 * 8
    cache = {"q": [1, 1, 32], "k": [1, 1, 16], "v": [1, 1, 16], "pk": [1, 2, 5, 8], "pv": [1, 2, 5, 8]}
    options = {"outputs": ("y", "nk", "nv"), "num_heads": 4, "kv_num_heads": 2}
    assert _one(tmp_path, "GroupQueryAttention", cache, **options, **ms).macs == 2 * 4 * 6 * 8
    window = _one(tmp_path, "GroupQueryAttention", cache, **options, **ms, local_window_size=3)
    assert window.macs == 2 * 4 * 3 * 8
    whole = _one(tmp_path, "Attention", {"x": [1, 6, 24]}, {"w": (24, 96)}, num_heads=4, **ms)
    assert (whole.weights, whole.macs) == (24 * 96, 6 * 24 * 96 + 2 * 4 * 6 * 6 * 8)
    assert [type(x).__name__ for x in whole.layers] == ["Linear", "MatMul", "Elementwise", "MatMul"]


@pytest.mark.parametrize(
    ("equation", "a", "b"),
    [("bhqd,bhkd->bhqk", (2, 3, 5, 7), (2, 3, 4, 7)), ("ij,jk", (5, 7), (7, 3)), ("bi,oi->bo", (4, 6), (8, 6)),
     ("bnd,ndh->bnh", (2, 4, 6), (4, 6, 9)), ("i,j->ij", (5,), (7,)), ("bij,bjk->bk", (2, 3, 4), (2, 4, 5))],
)  # fmt: skip
def test_einsum(equation: str, a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path) -> None:
    terms = equation.split("->")[0].split(",")
    size = dict(zip("".join(terms), a + b, strict=True))
    out = equation.split("->")[1] if "->" in equation else "ik"
    summed_alone = {c for c in size if sum(c in t for t in terms) == 1 and c not in out}
    macs = math.prod(n for c, n in size.items() if c not in summed_alone)
    found = _one(tmp_path, "Einsum", {"a": list(a), "b": list(b)}, equation=equation)
    assert (found.macs, found.weights) == (macs, 0)
    weight = _one(tmp_path, "Einsum", {"a": list(a)}, {"b": b}, ["a", "b"], equation=equation)
    assert (weight.macs, weight.weights) == (macs, math.prod(b))


def test_quantized_products(tmp_path: Path) -> None:
    onnx = tools.package("onnx")
    kinds = {"x": np.uint8, "w": np.int8, "xz": np.uint8, "wz": np.int8, "yz": np.uint8}
    weights = {"xs": (), "xz": (), "w": (16, 12), "ws": (), "wz": (), "ys": (), "yz": ()}
    found = _one(tmp_path, "QLinearMatMul", {"x": [1, 5, 16]}, weights, kinds=kinds)
    assert (found.macs, found.weights) == (5 * 16 * 12, 16 * 12)
    weights["w"] = (12, 4, 3, 3)
    found = _one(tmp_path, "QLinearConv", {"x": [1, 4, 8, 8]}, weights, kinds=kinds)
    assert (found.macs, found.weights) == (12 * 4 * 9 * 36, 12 * 4 * 9)
    # a weight behind Dequantize, Transpose and Slice is still one
    helper = onnx.helper
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["f"]), helper.make_node("Transpose", ["f"], ["t"]),
        helper.make_node("Slice", ["t", "zero", "four", "zero"], ["part"]),
        helper.make_node("MatMul", ["x", "part"], ["y"], "fc"),
    ]  # fmt: skip
    path = _model(tmp_path / "q.onnx", nodes, {"x": [1, 3, 4]}, {"w": (9, 6), "s": ()}, kinds={"w": np.int8})
    model = onnx.load(path)
    for name, value in (("zero", 0), ("four", 4)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([value]), name))
    onnx.save(model, path)
    (layer,) = read_network(path).layers
    assert isinstance(layer, Linear)
    assert (layer.in_features, layer.out_features, layer.rows, layer.needs_input_grad) == (4, 9, 3, False)


# --- whole models of torch's exporter


def _flops(module: nn.Module, *inputs: torch.Tensor) -> int:
    """torch's own count, multiply-adds."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    total: int = counter.get_total_flops()
    return total // 2


def _exported(module: nn.Module, inputs: tuple[torch.Tensor, ...], tmp_path: Path, **options: Any) -> Network:
    path = tmp_path / "exported.onnx"
    torch.onnx.export(module.eval(), inputs, path, dynamo=False, opset_version=17, **options)
    return read_network(path)


class _Tokens(nn.Module):
    """Flattened tokens, heads by view, attention written out, a gate, a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(24, 72), nn.Linear(24, 24)
        self.norm, self.up, self.down = nn.LayerNorm(24), nn.Linear(24, 96), nn.Linear(48, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(x.reshape(-1, c)).view(b, t, 3, 4, 6).permute(2, 0, 3, 1, 4)
        p = (q @ k.transpose(-1, -2) / 6**0.5).softmax(-1)
        x = x + self.out((p @ v).transpose(1, 2).reshape(b, t, c))
        a, g = self.up(self.norm(x)).chunk(2, -1)
        return x + self.down(a * g.sigmoid())


MODELS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "tokens": (_Tokens, (1, 10, 24)),
    "cnn": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8),
                                  nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)), (1, 3, 16, 16)),
    "unet": (lambda: nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.MaxPool2d(2), nn.ConvTranspose2d(6, 4, 2, 2),
                                   nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 1)), (1, 2, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_exported_models_are_torchs_count(name: str, dynamic: bool, tmp_path: Path) -> None:
    tools.package("onnx")
    make, shape = MODELS[name]
    module, x = make().eval(), torch.zeros(shape)
    axes = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}} if dynamic else {}
    found = _exported(module, (x,), tmp_path, **axes)
    assert found.macs == _flops(module, x)
    used = [p for n, p in module.named_parameters() if p.dim() > 1]
    assert found.weights == sum(p.numel() for p in used)


@pytest.mark.filterwarnings("ignore")
def test_dimensions_are_asked_for_and_never_guessed(tmp_path: Path) -> None:
    tools.package("onnx")
    axes = {"x": {0: "batch", 1: "seq"}}
    names = {"input_names": ["x"], "dynamic_axes": axes}
    with pytest.raises(InputError, match=r"input x, dimension 1: 'seq' has no size: give --dim seq=SIZE"):
        _exported(_Tokens(), (torch.zeros(2, 10, 24),), tmp_path, **names)
    path = tmp_path / "exported.onnx"
    for tokens in (10, 33):
        found = read_network(path, dims={"seq": tokens})
        assert found.macs == _flops(_Tokens(), torch.zeros(1, tokens, 24))
    with pytest.raises(InputError, match=r"dims 'seqs': did you mean seq\?"):
        read_network(path, dims={"seq": 10, "seqs": 3})
    with pytest.raises(InputError, match=r"dims: seq=0: must be from 1"):
        read_network(path, dims={"seq": 0})
    # a first dimension that is called otherwise is no batch
    odd = {"input_names": ["x"], "dynamic_axes": {"x": {0: "tokens"}}}
    with pytest.raises(InputError, match=r"'tokens' has no size"):
        _exported(nn.Linear(24, 5), (torch.zeros(7, 24),), tmp_path, **odd)
    assert read_network(path, dims={"tokens": 6}).macs == 6 * 24 * 5


def test_a_fixed_first_dimension(tmp_path: Path) -> None:
    """By a convolution's definition it is the batch; of a matrix alone it is part of the sample, unless one says so."""
    conv = _one(tmp_path, "Conv", {"x": [4, 3, 8, 8]}, {"w": (5, 3, 3, 3)})
    assert conv.macs == 5 * 27 * 36
    path = tmp_path / "one.onnx"
    assert read_network(path, dims={"batch": 1}).macs == 4 * 5 * 27 * 36
    with pytest.raises(InputError, match=r"dims: batch=3: the first input begins with 4"):
        read_network(path, dims={"batch": 3})
    assert _one(tmp_path, "MatMul", {"x": [8, 16]}, {"w": (16, 4)}).macs == 8 * 16 * 4
    assert read_network(path, dims={"batch": 8}).macs == 16 * 4
    # a size inside that holds it fast: said, not divided
    onnx = tools.package("onnx")
    helper = onnx.helper
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], "c"), helper.make_node("Reshape", ["c", "s"], ["r"], "r"),
             helper.make_node("MatMul", ["r", "m"], ["y"], "m")]  # fmt: skip
    _model(path, nodes, {"x": [4, 3, 8, 8]}, {"w": (5, 3, 3, 3), "m": (180, 2)})
    model = onnx.load(path)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([4, 180]), "s"))
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"begins with 4, which sizes inside the model hold fast"):
        read_network(path)
    assert read_network(path, dims={"batch": 1}).macs == 4 * (5 * 27 * 36 + 180 * 2)


# --- free, refused, ignored


def test_every_operator_has_one_answer() -> None:
    free, traffic, products = set(onnx_layers.FREE), set(onnx_layers.TRAFFIC), set(onnx_layers._PRODUCTS)
    assert not free & traffic
    assert not (free | traffic) & products
    assert all(reason for reason in onnx_layers.FREE.values())


def test_what_is_not_modelled_is_refused_by_name(tmp_path: Path) -> None:
    onnx = tools.package("onnx")
    helper = onnx.helper
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"], "fc"), helper.make_node("DFT", ["a"], ["d"], "dft"),
             helper.make_node("MatMul", ["a", "v"], ["y"], "last")]  # fmt: skip
    path = _model(tmp_path / "r.onnx", nodes, {"x": [1, 6, 8]}, {"w": (8, 4), "v": (4, 2)})
    with pytest.raises(InputError, match=r"r.onnx: dft: DFT is not modelled \(--ignore-op DFT counts it as nothing\)"):
        read_network(path)
    for name in ("DFT", "dft"):
        found = read_network(path, ignore=[name])
        assert found.macs == 6 * (32 + 8)
        assert found.ignored == ("dft (DFT)",)
    with pytest.raises(InputError, match="did you mean MatMul"):
        read_network(path, ignore=["DFT", "Matmul"])


def test_control_flow_is_refused_by_node(tmp_path: Path) -> None:
    onnx = tools.package("onnx")
    helper = onnx.helper
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "b", [],
                               [helper.make_empty_tensor_value_info("z")])  # fmt: skip
    nodes = [helper.make_node("If", ["c"], ["i"], "choice", then_branch=branch, else_branch=branch),
             helper.make_node("MatMul", ["i", "w"], ["y"], "fc")]  # fmt: skip
    path = _model(tmp_path / "if.onnx", nodes, {"x": [1, 8], "c": []}, {"w": (8, 4)}, kinds={"c": np.bool_})
    with pytest.raises(InputError, match=r"choice: If is control flow"):
        read_network(path)
    with pytest.raises(InputError, match=r"fc: MatMul needs the shape of 'i', which is not known"):
        read_network(path, ignore=["If"])


def test_an_unknown_domain_and_a_computed_kernel(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"n: my.Thing is not modelled"):
        _one(tmp_path, "Thing", {"x": [1, 4]}, domain="my")
    with pytest.raises(InputError, match=r"n: Conv with a kernel that is computed"):
        _one(tmp_path, "Conv", {"x": [1, 3, 8, 8], "w": [4, 3, 3, 3]})


def test_elementwise_traffic_is_that_of_one_sample(tmp_path: Path) -> None:
    for op, kind, options in (("Softmax", "softmax", {}), ("GlobalAveragePool", "pool", {}), ("TopK", "search", None)):
        if options is None:
            continue
        (layer,) = _one(tmp_path, op, {"x": ["batch", 4, 6, 6]}, **options).layers
        assert isinstance(layer, Elementwise)
        assert (layer.op, layer.ff_read) == (kind, 4 * 36)


# --- broken files


def _fuzz(cases: range, tmp_path: Path) -> None:
    names = [p for p in sorted(HANDED.glob("*.onnx")) if p.stat().st_size < 20_000]
    for seed in cases:
        rng = np.random.default_rng(seed)
        source = names[int(rng.integers(len(names)))]
        path = tmp_path / "fuzz.onnx"
        path.write_bytes(mutated(rng, source.read_bytes()))
        try:
            text = f"fuzz.onnx: {len(read_network(path).layers)} layers"
        except InputError as error:
            text = str(error)
        assert "\n" not in text, (seed, text)
        assert "fuzz.onnx" in text, (seed, text)
        os.utime(path, ns=(seed, seed))


def test_broken_files_end_in_one_line(tmp_path: Path) -> None:
    tools.package("onnx")
    _fuzz(range(120), tmp_path)


@pytest.mark.nightly
def test_thousands_of_broken_files(tmp_path: Path) -> None:
    tools.package("onnx")
    _fuzz(range(1000, 4000), tmp_path)
