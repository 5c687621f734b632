# SPDX-License-Identifier: Apache-2.0
"""`convert` on the layers and containers that people have: no fused path goes past it, autocast and single inputs work,
a pruned infinity is 0, a second conversion replaces the first, and every weighted module is in the report."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from algorithms.pruning.masks import nm_mask
from algorithms.training.nm_training import convert, plain
from dataflow.pattern import NM
from dataflow.training.methods import Method
from tests.support import tools

PATTERN = NM(2, 8)
LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(16, 24), (3, 16)),
    "conv1d": (lambda: nn.Conv1d(16, 24, 3, padding=1), (2, 16, 9)),
    "conv2d": (lambda: nn.Conv2d(16, 24, 3, stride=2), (2, 16, 9, 7)),
    "same": (lambda: nn.Conv2d(16, 24, (3, 4), padding="same"), (2, 16, 9, 7)),
    "reflect": (lambda: nn.Conv2d(16, 24, 3, padding=2, padding_mode="reflect"), (2, 16, 9, 7)),
    "transposed1d": (lambda: nn.ConvTranspose1d(16, 24, 3, stride=2, output_padding=1), (2, 16, 9)),
    "transposed2d": (lambda: nn.ConvTranspose2d(16, 16, 3, stride=2, padding=1, groups=2), (2, 16, 5, 4)),
}  # fmt: skip


def layer(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(3)
    make, shape = LAYERS[name]
    return make(), torch.randn(shape)


def masked(module: nn.Module, forward: bool) -> torch.Tensor:
    """The weight with the mask of FF, or of BP, taken here from its definition."""
    w = module.weight.detach()
    inputs = 0 if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d) else 1
    return w * nm_mask(w, PATTERN, inputs if forward else 1 - inputs)


@pytest.mark.parametrize("name", LAYERS)
def test_products_are_those_of_masked_weights(name: str) -> None:
    module, x = layer(name)
    reference = copy.deepcopy(module)
    (report,) = convert(module, Method.BDWP, PATTERN)
    assert (report.dense_cause, report.ff_density, report.bp_density) == (None, 0.25, 0.25)
    x.requires_grad_()
    y = module(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    results = {}
    for kind, weight in (("ff", masked(module, True)), ("bp", masked(module, False)), ("dense", module.weight)):
        reference.weight.data = weight.detach().clone()
        xs = x.detach().clone().requires_grad_()
        out = reference(xs)
        results[kind] = (out, *torch.autograd.grad(out, (xs, reference.weight), dy))
    torch.testing.assert_close(y, results["ff"][0])
    torch.testing.assert_close(x.grad, results["bp"][1])
    torch.testing.assert_close(module.weight.grad, results["dense"][2])


@pytest.mark.parametrize("name", LAYERS)
def test_numerical_differentiation_agrees(name: str) -> None:
    module, x = layer(name)
    module, x = module.double(), x.double()[:1, ..., :4] if x.dim() > 2 else x.double()[:1]
    convert(module, Method.DENSE, NM(8, 8), fp16=False)
    assert torch.autograd.gradcheck(module, (x.requires_grad_(),), nondet_tol=1e-8)


@pytest.mark.parametrize("name", [n for n in LAYERS if n != "linear"])
def test_a_single_sample(name: str) -> None:
    module, x = layer(name)
    convert(module, Method.BDWP, PATTERN)
    x.requires_grad_()
    one = module(x[0])
    assert torch.allclose(one, module(x)[0], atol=1e-6)
    one.sum().backward()
    assert module.weight.grad is not None


def test_a_single_vector() -> None:
    module, x = layer("linear")
    convert(module, Method.BDWP, PATTERN)
    vector = x[0].clone().requires_grad_()
    module(vector).sum().backward()
    expected = torch.ones(24)[:, None] * vector.detach()[None]
    assert torch.allclose(module.weight.grad, expected)


@pytest.mark.parametrize("name", [*LAYERS, "attention"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_forward_and_backward(name: str, dtype: torch.dtype) -> None:
    if name == "attention":
        module, x = nn.MultiheadAttention(16, 2), torch.randn(5, 2, 16)
        run = lambda: module(x, x, x)[0]  # noqa: E731
    else:
        module, x = layer(name)
        run = lambda: module(x)  # noqa: E731
    convert(module, Method.BDWP, PATTERN)
    x.requires_grad_()
    whole = run()
    with torch.autocast("cpu", dtype=dtype):
        y = run()
        loss = y.float().square().mean()
    loss.backward()
    assert y.dtype == dtype
    assert (y.float() - whole).abs().max() < 0.05 * whole.abs().max()
    assert x.grad.dtype == torch.float32
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_what_is_pruned_is_nothing_whatever_it_was(bad: float) -> None:
    """Magnitudes: NaN above infinity above all numbers; two NaN stay of three infinities' group."""
    module = nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        module.weight[0] = torch.tensor([bad, bad, bad, 1, 1, 1, 1, 1])
    convert(module, Method.BDWP, PATTERN)
    x = torch.zeros(1, 8)
    x[0, 3:] = 1
    x[0, 2] = 5  # the third one is pruned: ties go to the lower index
    ff = module.nm_rule.ff_weight(module.weight)
    assert ff[0, 2] == 0
    assert ff[0].isfinite().sum() == 6
    g = module.nm_rule.regularized(torch.zeros(8, 8), module.weight)
    assert g.isfinite().all()


CONTAINERS: dict[str, tuple[Any, tuple[tuple[int, ...], ...]]] = {
    "attention": (lambda: nn.MultiheadAttention(16, 2, batch_first=True), ((2, 5, 16),) * 3),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), ((2, 5, 16),)),
    "encoder layer, norm first": (
        lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu"),
        ((2, 5, 16),)),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2), ((2, 5, 16),)),
    "decoder layer": (lambda: nn.TransformerDecoderLayer(16, 2, 32, batch_first=True), ((2, 5, 16), (2, 4, 16))),
    "decoder": (lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 32), 2), ((5, 2, 16), (4, 2, 16))),
    "transformer": (lambda: nn.Transformer(16, 2, 1, 1, 32), ((5, 2, 16), (4, 2, 16))),
    "sequential": (
        lambda: nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 8)), ((2, 8, 5, 5),)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("method", [Method.DENSE, Method.BDWP], ids=str)
@pytest.mark.filterwarnings("ignore")
def test_no_fused_path_goes_past_the_conversion(name: str, method: Method) -> None:
    """In evaluation without gradients the outputs are those of training mode with gradients; dense ones the model's."""
    torch.manual_seed(4)
    make, shapes = CONTAINERS[name]
    model, inputs = make(), [torch.randn(s) for s in shapes]

    def run(m: nn.Module) -> torch.Tensor:
        out = m(*inputs)
        return out[0] if isinstance(out, tuple) else out

    plain_out = run(model.eval())
    report = convert(model, method, PATTERN)
    assert method is Method.DENSE or all(r.dense_cause is None for r in report)
    for m in model.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
        if hasattr(m, "dropout") and isinstance(m.dropout, float):
            m.dropout = 0.0
    trained = run(model.train())
    with torch.no_grad():
        found = run(model.eval())
    torch.testing.assert_close(found, trained, atol=1e-5, rtol=1e-5)
    close = (found - plain_out).abs().max() < 1e-5
    assert close if method is Method.DENSE else not close
    plain(model)
    torch.testing.assert_close(run(model), plain_out)


@pytest.mark.parametrize("options", [
    {}, {"kdim": 24, "vdim": 8}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"bias": False}, {"batch_first": True},
])  # fmt: skip
@pytest.mark.parametrize("masks", ["none", "boolean", "numbers", "padding", "heads"])
def test_attention_is_torchs_in_all_else(options: dict[str, Any], masks: str) -> None:
    torch.manual_seed(5)
    attention = nn.MultiheadAttention(16, 2, **options).eval()
    q, k, v = (
        torch.randn(5, 3, 16),
        torch.randn(7, 3, options.get("kdim", 16)),
        torch.randn(7, 3, options.get("vdim", 16)),
    )
    if options.get("batch_first"):
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))
    given: dict[str, Any] = {
        "none": {}, "boolean": {"attn_mask": torch.rand(5, 7) > 0.7}, "numbers": {"attn_mask": torch.randn(5, 7)},
        "padding": {"key_padding_mask": torch.tensor([[0, 0, 0, 0, 0, 1, 1]] * 3, dtype=torch.bool)},
        "heads": {"attn_mask": torch.rand(6, 5, 7) > 0.7, "average_attn_weights": False},
    }[masks]  # fmt: skip
    if masks in ("boolean", "heads"):
        given["attn_mask"][..., 0] = False
    expected = attention(q, k, v, **given)
    convert(attention, Method.DENSE, PATTERN)
    found = attention(q, k, v, **given)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert attention(q, k, v, need_weights=False, **given)[1] is None


def test_projections_are_masked_each_by_itself() -> None:
    attention = nn.MultiheadAttention(16, 2, bias=False)
    convert(attention, Method.BDWP, PATTERN)
    x = torch.randn(4, 1, 16)
    q, k, v = (w * nm_mask(w, PATTERN, 1) for w in attention.in_proj_weight.detach().chunk(3))
    w = attention.out_proj.weight.detach()
    heads = [(x[:, 0] @ m.T).reshape(4, 2, 8).transpose(0, 1) for m in (q, k, v)]
    out = F.scaled_dot_product_attention(*heads).transpose(0, 1).reshape(4, 16) @ (w * nm_mask(w, PATTERN, 1)).T
    assert torch.allclose(attention(x, x, x)[0][:, 0], out, atol=1e-5)


def test_the_second_conversion_counts() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.MultiheadAttention(16, 2))
    convert(model, Method.BDWP, NM(2, 8))
    report = convert(model, Method.BDWP, NM(1, 4), skip=("1",))
    assert [r.ff_density for r in report] == [0.25, 1.0]
    assert model[0].nm_rule.pattern == NM(1, 4)
    assert type(model[1]) is nn.MultiheadAttention
    assert len(model[0]._forward_pre_hooks) == 1
    report = convert(model, Method.BDWP, NM(4, 8))
    assert [r.ff_density for r in report] == [0.5, 0.5]


@pytest.mark.filterwarnings("ignore")
def test_every_weighted_module_is_in_the_report() -> None:
    class Mine(nn.Linear):
        pass

    model = nn.ModuleDict({
        "table": nn.Embedding(8, 16), "lstm": nn.LSTM(16, 16), "cell": nn.GRUCell(16, 16), "both": nn.Bilinear(8, 8, 8),
        "mine": Mine(16, 16), "lazy": nn.LazyLinear(16), "cube": nn.Conv3d(8, 8, 3), "odd": nn.Linear(12, 16),
        "normed": parametrizations.weight_norm(nn.Linear(16, 16)), "pruned": nn.Linear(16, 16),
        "attention": nn.MultiheadAttention(16, 2), "scale": nn.LayerNorm(16),
        "old": nn.utils.weight_norm(nn.Linear(16, 16)),
    })  # fmt: skip
    prune.l1_unstructured(model["pruned"], "weight", 0.5)
    report = {r.name: r.dense_cause for r in convert(model, Method.BDWP, PATTERN)}
    assert report == {
        "table": "dense: a table is no product", "lstm": "dense: a LSTM is not replaced",
        "cell": "dense: a GRUCell is not replaced", "both": "dense: a Bilinear is not replaced",
        "mine": "dense: a Mine is not replaced",
        "lazy": "dense: a lazy module has no weights yet: run the model once before",
        "cube": "dense: a Conv3d is not replaced",
        "odd": "dense by rule: 12 input channels, no multiple of 8",
        "normed": "dense: its weight is computed by a parametrization", "pruned": None, "attention": None, "old": None,
    }  # fmt: skip
    x = torch.randn(3, 16)
    assert torch.isfinite(model["pruned"](x)).all()
    w = (model["pruned"].weight_orig * model["pruned"].weight_mask).detach()
    assert torch.allclose(model["pruned"](x), F.linear(x, w * nm_mask(w, PATTERN, 1), model["pruned"].bias), atol=1e-6)


def test_copies_and_stored_models_stay_converted() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.ConvTranspose1d(8, 8, 3), nn.MultiheadAttention(16, 2))
    convert(model, Method.BDWP, PATTERN)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    x = torch.randn(2, 16)
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False)):
        assert torch.equal(other[0](x), model[0](x))
        assert other[0].nm_rule == model[0].nm_rule
        assert [type(m) for m in plain(other)] == [nn.Linear, nn.ConvTranspose1d, nn.MultiheadAttention]
    assert list(model.state_dict()) == list(plain(copy.deepcopy(model)).state_dict())


def test_gpt2s_layer_of_transformers() -> None:
    hf = tools.package("transformers")
    config = hf.GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    model, ids = hf.GPT2LMHeadModel(config).eval(), torch.randint(60, (2, 9))
    whole = model(ids).logits
    report = {r.name: r for r in convert(model, Method.DENSE, PATTERN)}
    assert torch.allclose(model(ids).logits, whole, atol=1e-5)
    report = {r.name: r for r in convert(model, Method.BDWP, PATTERN)}
    names = {f"transformer.h.{i}.{n}" for i in (0, 1) for n in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")}
    assert names == {n for n, r in report.items() if r.kind == "Conv1D"}
    assert {report[n].ff_density for n in names} == {0.25}
    block = model.transformer.h[0].mlp.c_fc
    x = torch.randn(3, 16)
    w = block.weight.detach()  # [in, out]
    assert torch.allclose(block(x), x @ (w * nm_mask(w, PATTERN, 0)) + block.bias, atol=1e-6)
    model(ids).logits.sum().backward()
    assert block.weight.grad.shape == w.shape
    file = io.BytesIO()
    torch.save(block, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x), block(x))
    assert torch.allclose(plain(model)(ids).logits, whole, atol=1e-5)
