# SPDX-License-Identifier: Apache-2.0
"""Torch modules as networks: who is a weight, what is of a sample, what is refused, each case with its right values."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import hwsim
from algorithms.shapes import network_of
from dataflow.errors import InputError
from dataflow.networks.network import Conv, Elementwise, Linear, MatMul, Network
from dataflow.networks.operations import explain

Body = Callable[["Weights", Tensor], Any]


class Weights(nn.Module):
    """Parameters for a forward pass that a case brings."""

    def __init__(self, forward: Body, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.body = forward
        self.w = nn.ParameterList([nn.Parameter(torch.zeros(*shape)) for shape in shapes])
        self.register_buffer("table", torch.zeros(32, 16))
        self.register_buffer("rows", torch.tensor([3, 1, 7, 5]))

    def forward(self, x: Tensor) -> Any:
        return self.body(self, x)


def of(forward: Body, *shapes: tuple[int, ...]) -> nn.Module:
    return Weights(forward, *shapes)


def counted(model: nn.Module, example: Any) -> int:
    """Multiply-accumulates of the whole batch by torch's counter, attention as its products."""
    args, kwargs = ((), example) if isinstance(example, dict) else (example, {})
    with FlopCounterMode(display=False) as count, sdpa_kernel(SDPBackend.MATH):
        model(*(args if isinstance(args, tuple) else (args,)), **kwargs)
    return count.get_total_flops() // 2


def whole(net: Network, batch: int) -> int:
    """Multiply-accumulates of a batch."""
    return sum(x.macs * (1 if x.once else batch) for x in net.layers)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.fc(x))


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(32, 48)

    def forward(self, x: Tensor) -> Any:
        state = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return state


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 32)
        self.fc = nn.Linear(32, 48)
        self.back = nn.Linear(32, 48)
        self.back.weight = self.fc.weight
        self.head = nn.Linear(32, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        return self.head(self.back(x).relu() @ self.fc.weight)


class Ensemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(nn.Linear(32, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        first = self.members[0]
        stacked = {n: torch.stack([m.get_parameter(n) for m in self.members]) for n in ("weight", "bias")}
        return torch.vmap(lambda p: torch.func.functional_call(first, p, (x,)))(stacked)


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.fc(x)[:, None]
        return F.scaled_dot_product_attention(y, y, y, attn_mask=mask)


def written(m: Weights, x: Tensor) -> Tensor:
    whole = torch.zeros(32, 8)
    whole[:4] = m.w[0]
    whole.index_put_((m.rows,), m.w[1])
    return x @ whole


def pruned() -> nn.Module:
    layer = nn.Linear(32, 64)
    prune.custom_from_mask(layer, "weight", torch.ones(64, 32))
    return layer


def old_weight_norm() -> nn.Module:
    layer = torch.nn.utils.weight_norm(nn.Linear(32, 64))
    layer(torch.zeros(1, 32))  # its weight is now no leaf
    return layer


def x(*shape: int) -> Tensor:
    return torch.zeros(*shape)


W = (64, 32)
CASES: dict[str, tuple[Callable[[], nn.Module], Any, int, int]] = {
    # module, example (batch of 2 first), multiply-accumulates of a sample, weights
    "cross-attention": (
        lambda: nn.MultiheadAttention(32, 4, batch_first=True), (x(2, 10, 32), x(2, 5, 32), x(2, 5, 32)),
        10 * 32 * 32 * 2 + 5 * 32 * 32 * 2 + 2 * 10 * 5 * 32, 4096,
    ),
    "self-attention": (
        lambda: nn.MultiheadAttention(32, 4, batch_first=True), (x(2, 10, 32),) * 3, 10 * 4096 + 2 * 100 * 32, 4096,
    ),
    "self-attention, queries also keys": (
        lambda: of(lambda m, x: F.multi_head_attention_forward(
            x, x, x, 32, 4, m.w[0], None, None, None, False, 0.0, m.w[1], None), (96, 32), (32, 32)),
        x(10, 2, 32), 10 * 4096 + 2 * 100 * 32, 4096,
    ),
    "decoder layer": (
        lambda: nn.TransformerDecoderLayer(32, 4, 64, batch_first=True), (x(2, 10, 32), x(2, 5, 32)), 122_240, 12_288,
    ),
    "a layer twice": (Twice, x(2, 32), 2048, 1024),
    "tied weights": (Tied, torch.zeros(2, 7, dtype=torch.long), 7 * (2 * 32 * 48 + 32 * 20), 32 * 48 + 32 * 20),
    "LSTM": (lambda: nn.LSTM(32, 48, batch_first=True), x(2, 10, 32), 153_600, 15_360),
    "LSTM cells": (Cells, x(2, 5, 32), 76_800, 15_360),
    "GRU": (lambda: nn.GRU(32, 48, batch_first=True), x(2, 10, 32), 115_200, 11_520),
    "RNN": (lambda: nn.RNN(32, 48, batch_first=True), x(2, 10, 32), 38_400, 3_840),
    "deep LSTM both ways": (
        lambda: nn.LSTM(32, 48, 2, bidirectional=True, batch_first=True, bias=False), x(2, 10, 32),
        10 * 2 * (4 * 48 * (32 + 48) + 4 * 48 * (96 + 48)), 2 * (4 * 48 * (32 + 48) + 4 * 48 * (96 + 48)),
    ),
    "LSTM with a projection": (
        lambda: nn.LSTM(32, 48, proj_size=8, batch_first=True), x(2, 10, 32),
        10 * (192 * (32 + 8) + 48 * 8), 192 * (32 + 8) + 48 * 8,
    ),
    "slices": (lambda: of(lambda m, x: (F.linear(x, m.w[0][:32]), F.linear(x, m.w[0][32:])), W), x(2, 32), 2048, 2048),
    "slices that overlap": (
        lambda: of(lambda m, x: (F.linear(x, m.w[0][:40]), F.linear(x, m.w[0][24:])), W), x(2, 32), 80 * 32, 2048,
    ),
    "columns, then the whole": (
        lambda: of(lambda m, x: (F.linear(x[:, :16], m.w[0][:, ::2]), F.linear(x, m.w[0])), W), x(2, 32), 3072, 2048,
    ),
    "cast, turned, in chunks": (
        lambda: of(lambda m, x: [x.bfloat16() @ c for c in m.w[0].to(torch.bfloat16).t().chunk(2, 1)], W),
        x(2, 32), 2048, 2048,
    ),
    "selected": (lambda: of(lambda m, x: x @ m.w[0][1], (3, 32, 8)), x(2, 32), 256, 256),
    "put together": (
        lambda: of(lambda m, x: F.linear(x, torch.cat([m.w[0], m.w[1][:16]]).roll(3, 0)), (8, 32), (20, 32)),
        x(2, 32), 24 * 32, 24 * 32,
    ),
    "repeated": (lambda: of(lambda m, x: F.linear(x, m.w[0].repeat(4, 1)), (8, 32)), x(2, 32), 32 * 32, 8 * 32),
    "scattered": (
        lambda: of(lambda m, x: F.linear(x, torch.zeros(64, 32).index_put((torch.arange(8),), m.w[0])), (8, 32)),
        x(2, 32), 2048, 8 * 32,
    ),
    "experts": (lambda: of(lambda m, x: x.expand(4, *x.shape) @ m.w[0], (4, 32, 48)), x(20, 32), 6144, 6144),
    "experts, stacked": (
        lambda: of(lambda m, x: torch.bmm(x.expand(4, *x.shape), torch.stack(list(m.w))), *[(32, 48)] * 4),
        x(20, 32), 6144, 6144,
    ),
    "experts that an input picks": (
        lambda: of(lambda m, x: torch.bmm(x[:, None], m.w[0][x.argmax(-1) % 4]), (4, 32, 48)), x(20, 32), 1536, 6144,
    ),
    "for every sample": (lambda: of(lambda m, x: x @ m.w[0].expand(len(x), 32, 8), (32, 8)), x(2, 5, 32), 1280, 256),
    "copied for every sample": (
        lambda: of(lambda m, x: torch.bmm(x, m.w[0].repeat(len(x), 1, 1)), (32, 8)), x(2, 5, 32), 1280, 256,
    ),
    "on the left": (lambda: of(lambda m, x: m.w[0] @ x, (8, 32)), x(2, 32, 5), 1280, 256),
    "einsum": (lambda: of(lambda m, x: torch.einsum("bti,hio->bhto", x, m.w[0]), (3, 32, 8)), x(2, 5, 32), 3840, 768),
    "einsum, weights first": (
        lambda: of(lambda m, x: torch.einsum("io,bit->bot", m.w[0], x), (32, 8)), x(2, 32, 5), 1280, 256,
    ),
    "times a vector": (lambda: of(lambda m, x: x @ m.w[0], (32,)), x(2, 5, 32), 160, 32),
    "addmv and dot": (
        lambda: of(lambda m, x: torch.addmv(m.w[1], x, m.w[0]) + torch.dot(m.w[0], m.w[0]), (32,), (1,)), x(2, 32),
        64, 32,
    ),
    "addbmm": (
        lambda: of(lambda m, x: torch.addbmm(x[0, :, :8], x, m.w[0].expand(len(x), -1, -1)), (32, 8)), x(2, 5, 32),
        1280, 256,
    ),
    "rows by an index in a buffer": (
        lambda: of(lambda m, x: (F.linear(x, m.w[0][m.rows]), F.linear(x, m.w[0][m.rows + 0])), (8, 32)), x(2, 32),
        256, 128,
    ),
    "other rows by constants": (
        lambda: of(lambda m, x: [F.linear(x, m.w[0].index_select(0, i)) for i in (m.rows, torch.arange(4))], (8, 32)),
        x(2, 32), 256, 6 * 32,
    ),
    "written into a constant": (
        lambda: of(written, (4, 8), (4, 8)), x(2, 32), 256, 2 * 32,
    ),
    "circulant": (lambda: of(lambda m, x: x @ m.w[0].as_strided((32, 8), (1, 1)), (39,)), x(2, 32), 256, 39),
    "windows as columns": (
        lambda: of(lambda m, x: m.w[0].flatten(1) @ F.unfold(x, 3), (8, 4, 3, 3)), x(2, 4, 8, 8), 36 * 288, 288,
    ),
    "Kronecker": (lambda: of(lambda m, x: x @ torch.kron(m.w[0], m.w[1]), (4, 2), (8, 4)), x(2, 32), 256, 8 + 32),
    "tensordot": (lambda: of(lambda m, x: torch.tensordot(x, m.w[0], ([1], [0])), (32, 4, 2)), x(2, 32), 256, 256),
    "an ensemble by vmap": (lambda: Ensemble(), x(2, 32), 3 * 256, 3 * 256),
    "again in the backward pass": (
        lambda: of(lambda m, x: checkpoint(F.linear, x, m.w[0], use_reentrant=False), W), x(2, 32),
        2048, 2048,
    ),
    "compiled": (
        lambda: torch.compile(nn.Sequential(torch.compile(nn.Linear(32, 8)), nn.Linear(8, 4))), x(2, 32), 288, 288,
    ),
    "a mask as long as the batch": (
        lambda: Masked(), (x(4, 4, 8), x(4, 4)), 4 * 64 + 2 * 16 * 8, 64,
    ),
    "padding, where torch would nest tensors": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 1).eval(),
        (x(2, 5, 32), None, torch.zeros(2, 5, dtype=torch.bool)), 5 * 8192 + 2 * 25 * 32, 8192,
    ),
    "keys for all samples": (
        lambda: of(lambda m, x: F.scaled_dot_product_attention(x @ m.w[0], m.w[1], m.w[1]), (32, 32), (1, 6, 32)),
        x(2, 5, 32), 5 * 1024 + 2 * 5 * 6 * 32, 1024 + 6 * 32,
    ),
    "pruned": (pruned, x(2, 10, 32), 20_480, 2048),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(32, 64)), x(2, 32), 2048, 2048),
    "weight norm as it was": (old_weight_norm, x(2, 32), 2048, 2048),
    "standardized weights": (
        lambda: of(lambda m, x: F.linear(x, (m.w[0] - m.w[0].mean(1, True)) / m.w[0].std(1, keepdim=True)), W),
        x(2, 32), 2048, 2048,
    ),
    "low rank": (lambda: of(lambda m, x: x @ m.w[0] @ m.w[1], (32, 8), (8, 16)), x(2, 5, 32), 1920, 384),
    "low rank, put together first": (
        lambda: of(lambda m, x: x @ (m.w[0] @ m.w[1]), (32, 8), (8, 16)), x(2, 5, 32), 32 * 8 * 16 + 5 * 32 * 16, 384,
    ),
    "LoRA in the weights": (
        lambda: of(lambda m, x: F.linear(x, m.w[0] + m.w[1] @ m.w[2]), W, (64, 4), (4, 32)), x(2, 32),
        64 * 4 * 32 + 2048, 2048 + 384,
    ),
    "a fixed matrix": (lambda: of(lambda m, x: x @ m.table @ m.w[0], (16, 4)), x(2, 32), 576, 64),
    "Bilinear": (lambda: of(lambda m, x: F.bilinear(x[:, :3], x[:, 3:7], m.w[0]), (5, 3, 4)), x(2, 32), 60 + 20, 60),
    "dilated": (lambda: nn.Conv2d(4, 8, 3, dilation=2), x(2, 4, 9, 9), 25 * 8 * 36, 288),
    "transposed": (lambda: nn.ConvTranspose2d(4, 8, 3, 2, output_padding=1), x(2, 4, 9, 9), 81 * 8 * 36, 288),
    "transposed, in groups": (
        lambda: nn.ConvTranspose1d(4, 8, 4, 3, 1, groups=2, dilation=2), x(2, 4, 9), 9 * 4 * 4 * 4, 64,
    ),
    "3-D": (lambda: nn.Conv3d(4, 8, 3, 2, 1), x(2, 4, 8, 9, 9), 4 * 25 * 8 * 4 * 27, 864),
    "3-D transposed": (
        lambda: nn.ConvTranspose3d(4, 8, (2, 3, 3), 2, 1, groups=2), x(2, 4, 8, 9, 9), 648 * 4 * 4 * 18, 288,
    ),
    "padded unevenly": (lambda: nn.Conv1d(4, 8, 4, padding="same"), x(2, 4, 9), 9 * 8 * 16, 128),
    "circular": (lambda: nn.Conv2d(4, 8, 3, padding=1, padding_mode="circular"), x(2, 4, 9, 9), 81 * 8 * 36, 288),
    "a kernel that the input makes": (
        lambda: of(lambda m, x: F.conv2d(x.view(1, -1, 6, 6), x[:, :, :3, :3].reshape(-1, 1, 3, 3),
                                         groups=4 * len(x))), x(2, 4, 6, 6), 4 * 16 * 9, 0,
    ),
    "convolution of frames": (
        lambda: of(lambda m, x: F.conv2d(x.flatten(0, 1), m.w[0]), (8, 4, 3, 3)), x(2, 5, 4, 6, 6), 5 * 16 * 288, 288,
    ),
    "lazy": (lambda: nn.Sequential(nn.LazyConv1d(6, 3), nn.LazyBatchNorm1d(), nn.LazyConv1d(2, 1)), x(2, 7, 9),
             7 * (6 * 21 + 12), 6 * 21 + 12),
    "embedding bag": (
        lambda: nn.Sequential(nn.EmbeddingBag(10, 8), nn.Linear(8, 2)), torch.zeros(2, 5, dtype=torch.long), 16, 16,
    ),
    "grouped queries": (
        lambda: of(lambda m, x: F.scaled_dot_product_attention(
            F.linear(x, m.w[0]).view(len(x), 5, 4, 8).transpose(1, 2), *(
                F.linear(x, m.w[0][:16]).view(len(x), 5, 2, 8).transpose(1, 2) for _ in range(2)), enable_gqa=True),
            (32, 32)), x(2, 5, 32), 5 * 32 * 32 * 2 + 2 * 25 * 32, 1024,
    ),
    "attention to learned keys": (
        lambda: of(lambda m, x: F.scaled_dot_product_attention(x[:, None], *(
            w.expand(len(x), 1, 8, 32) for w in m.w)), (8, 32), (8, 32)), x(2, 5, 32), 2 * 5 * 8 * 32, 512,
    ),
}  # fmt: skip
UNCOUNTED = {"LSTM", "GRU", "RNN", "Bilinear", "times a vector", "addmv and dot", "addbmm", "deep LSTM both ways"}
"""Torch's counter knows no such operation, on a CPU or anywhere."""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_multiplies_and_weights(name: str) -> None:
    make, example, macs, weights = CASES[name]
    model = make()
    net = network_of(model, example, "m")
    assert (net.macs, net.weights) == (macs, weights)
    rows = explain(net)
    assert sum(r.macs for r in rows) == macs
    assert all(r.free or r.layers for r in rows)
    if name not in UNCOUNTED:
        first = example if isinstance(example, Tensor) else example[0]
        torch.compiler.reset()
        batch = first.shape[1] if "queries also keys" in name else len(first)
        assert whole(net, batch) == counted(model, example)


def test_what_a_recurrent_layer_becomes() -> None:
    net = network_of(nn.Sequential(nn.LSTM(32, 48, batch_first=True)), x(2, 10, 32), "m")
    first, hidden, cell = net.layers
    assert first == Linear(name="0.l0.input", in_features=32, out_features=192, rows=10, needs_input_grad=False)
    assert hidden == Linear(name="0.l0.hidden", in_features=48, out_features=192, steps=10)
    assert isinstance(cell, Elementwise)
    assert (cell.name, cell.op, cell.ff_write) == ("0.l0.cell", "cell", 10 * 2 * 48)


def test_sequences_may_come_first() -> None:
    """The work shows that the first dimension is no batch: attention and steps."""
    for model, example in (
        (nn.LSTM(32, 48), x(10, 3, 32)),
        (nn.TransformerEncoderLayer(32, 4, 64), x(10, 3, 32)),
        (nn.TransformerDecoderLayer(32, 4, 64), (x(10, 3, 32), x(5, 3, 32))),
    ):
        model.eval()
        turned = [t.transpose(0, 1) for t in (example if isinstance(example, tuple) else (example,))]
        kind = {"batch_first": True} if isinstance(model, nn.LSTM) else {"dim_feedforward": 64, "batch_first": True}
        sizes = (32, 48) if isinstance(model, nn.LSTM) else (32, 4)
        other = type(model)(*sizes, **kind).eval()
        a, b = network_of(model, example, "m"), network_of(other, tuple(turned), "m")
        assert [(p.macs, getattr(p, "weights", 0)) for p in a.layers if p.macs] == [
            (p.macs, getattr(p, "weights", 0)) for p in b.layers if p.macs
        ]


def test_what_does_not_grow_with_the_batch_is_once_a_step() -> None:
    def forward(m: Weights, x: Tensor) -> Tensor:
        return x + m.table @ m.w[0]

    net = network_of(of(forward, (16, 8)), x(3, 32, 8), "m")
    assert net.layers == (
        Linear(name="matmul", in_features=16, out_features=8, rows=32, once=True, needs_input_grad=False),
    ) or [(n.once, n.macs) for n in net.layers] == [(True, 32 * 16 * 8)]
    batches = [network_of(of(lambda m, x: F.linear(x, m.w[0]).sum(1), (4, 8)), x(n, 6, 8), "m") for n in (1, 2, 5)]
    assert batches[0] == batches[1] == batches[2]


def test_a_batch_that_is_as_long_as_something_else() -> None:
    """A sequence as long as the batch, a feature as long as the batch: no guess is made."""
    net = network_of(nn.MultiheadAttention(4, 2, batch_first=True), (x(4, 4, 4),) * 3, "m")
    assert (net.macs, net.weights) == (4 * 64 + 2 * 16 * 4, 64)


def test_chained_gates_cost_no_traffic_but_two_results_do() -> None:
    def ops(forward: Body) -> list[str]:
        return [
            n.op for n in network_of(of(forward, (8, 8), (8, 8)), x(2, 5, 8), "m").layers if n.kind == "elementwise"
        ]

    assert ops(lambda m, x: (y := x @ m.w[0]) * torch.sigmoid(y)) == []
    assert ops(lambda m, x: F.silu(x @ m.w[0]) * (x @ m.w[1])) == ["gate"]
    assert ops(lambda m, x: torch.mul(*(x @ m.w[0]).chunk(2, -1))) == ["gate"]
    assert ops(lambda m, x: x @ m.w[0] * 3 + m.w[1][0]) == []
    assert ops(lambda m, x: x @ m.w[0] + x) == ["add"]


class Odd(nn.Module):
    def __init__(self, forward: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.body = forward
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        return self.body(self.fc(x))


def square(y: Tensor) -> Tensor:
    return y @ y.t()


REFUSED: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "distances": (
        lambda: Odd(lambda y: torch.cdist(y, y)),
        x(2, 5, 8),
        "m: aten._cdist_forward: aten._cdist_forward is n",
    ),
    "Fourier": (lambda: Odd(torch.fft.fft), x(2, 8), r"aten._fft_r2c is not modelled \(--ignore-op aten._fft_r2c"),
    "inverse": (lambda: Odd(torch.linalg.inv), x(2, 8, 8), "aten.linalg_inv_ex is not modelled"),
    "branch": (lambda: Odd(lambda y: y if y.sum() > 0 else -y), x(2, 8), "control flow or a shape depends on values"),
    "values as a shape": (lambda: Odd(lambda y: y[y > 0]), x(2, 8), "control flow or a shape depends on values"),
    "complex numbers": (
        lambda: Odd(lambda y: torch.complex(y, y) @ torch.complex(y, y).T),
        x(2, 8),
        "of complex numbers",
    ),
    "square": (lambda: Odd(square), x(2, 8), "grows with the square of the batch"),
    "script": (lambda: nn.Sequential(torch.jit.script(nn.Linear(8, 8))), x(2, 8), "m: 0: a TorchScript module"),
    "a mistake": (lambda: Odd(lambda y: y.view(3, 5)), x(2, 8), "m: cannot be traced: RuntimeError: shape"),
    "too few inputs": (lambda: nn.Bilinear(2, 3, 4), x(2, 2), "cannot be traced: TypeError"),
    "an image without a batch": (lambda: nn.Conv2d(4, 8, 3), x(4, 9, 9), "runs with 4 samples but not with 8"),
    "no input": (lambda: nn.Linear(2, 3), (), "no input has a dimension for the batch"),
    "no module": (lambda: len, x(2, 2), "expected a torch module, found builtin_function_or_method"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_modelled_is_refused_in_one_line(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    make, example, why = REFUSED[name]
    with pytest.raises(InputError, match=why) as error:
        network_of(make(), example, "m")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_ignored_operations_cost_nothing_and_are_said() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Odd(lambda y: torch.fft.rfft(y).real), nn.Linear(5, 4))
    net = network_of(model, x(2, 8), "m", ignore=("aten._fft_r2c",))
    assert net.macs == 64 + 64 + 20
    assert net.ignored == ("1 (aten._fft_r2c)",)
    assert hwsim.network(model, example=x(2, 8), ignore_op=["1"]).ignored == net.ignored
    with pytest.raises(InputError, match=r"ignore-op 'aten._fft_r2': did you mean aten._fft_r2c\?"):
        network_of(model, x(2, 8), "m", ignore=("aten._fft_r2c", "aten._fft_r2"))


def test_what_has_no_sample_can_be_ignored_too() -> None:
    net = network_of(Odd(square), x(2, 8), "m", ignore=("aten.mm",))
    assert (net.macs, net.ignored) == (64, ("aten.mm",))


def test_a_model_is_left_as_it_was() -> None:
    """Hooks, caches and running statistics are those of a copy."""
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    network_of(model, x(4, 8), "m")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert type(model(x(4, 8))) is Tensor


class Locked(nn.Linear):
    """What cannot be copied, keeps results between calls, and says where it is."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.lock, self.numbers, self.kept = threading.Lock(), (i for i in range(3)), None

    def forward(self, x: Tensor) -> Tensor:
        with self.lock, torch.profiler.record_function("mine"):
            if self.kept is None or len(self.kept) != len(x):
                self.kept = torch.zeros(len(x), 8)
            return super().forward(x) + self.kept


def test_modules_that_cannot_be_copied_whole() -> None:
    model = Locked()
    assert network_of(nn.Sequential(model, nn.DataParallel(model)), x(2, 8), "m").macs == 128
    assert model.kept is None


def test_one_sample_with_a_fixed_batch_is_read_as_it_is() -> None:
    net = network_of(Odd(lambda y: y.view(1, 8) @ y.view(8, 1)), x(1, 8), "m")
    assert net.macs == 64 + 8
    with pytest.raises(InputError, match="runs with 2 samples but not with 4"):
        network_of(Odd(lambda y: y.view(2, 8).sum()), x(2, 8), "m")


def test_kinds_of_layers() -> None:
    """What a layer becomes, field by field, where the fields decide how it runs."""
    (conv,) = network_of(nn.ConvTranspose2d(4, 8, (3, 2), (2, 3), (1, 0), 1, dilation=2), x(2, 4, 9, 7), "m").layers
    assert conv == Conv(
        name="model", in_channels=4, out_channels=8, height=9, width=7, kernel=(3, 2), stride=(2, 3), padding=(1, 0),
        dilation=(2, 2), transposed=True, output_padding=(1, 1), needs_input_grad=False,
    )  # fmt: skip
    (conv,) = network_of(nn.Conv3d(4, 8, 3, padding=1), x(2, 4, 5, 9, 7), "m").layers
    assert (conv.in_channels, conv.images, conv.kernel) == (12, 5, (3, 3))
    (experts,) = network_of(CASES["experts"][0](), x(20, 32), "m").layers
    assert (experts.rows, experts.experts, experts.active) == (1, 4, 4)
    (picked,) = network_of(CASES["experts that an input picks"][0](), x(20, 32), "m").layers
    assert (picked.rows, picked.experts, picked.active) == (1, 4, 1)
    made, used = network_of(CASES["low rank, put together first"][0](), x(2, 5, 32), "m").layers
    assert isinstance(made, MatMul)
    assert made.once
    assert made.weights == 384
    assert (used.shared, used.rows, used.sparsity) == (512, 5, "dense")
