# SPDX-License-Identifier: Apache-2.0
"""SpAtten's algorithm: each piece against its rule, and pruned models against the masked reference of full shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from algorithms.attention import pieces
from algorithms.attention.attach import attach
from algorithms.attention.traces import workload_of, write_attention_trace
from algorithms.training.models import CharLM, DigitsCNN, DigitsViT
from dataflow.attention.demand import demand
from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule, kept, top_k
from dataflow.attention.trace import read_attention_trace
from dataflow.errors import InputError
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.replay import replay
from hwsim.spatten.run import SpattenRun
from tests.support import tools
from tests.support.grouped import grouped_trace

SOME = AttentionPruning(
    tokens=RatioSchedule(average=0.3, start=0.1), heads=RatioSchedule(average=0.3, spared=0.3), values=0.5, protected=1
)
FAMILIES = ("vit", "char-lm", "bert", "gpt2", "llama")


def model_of(family: str) -> tuple[nn.Module, torch.Tensor]:
    """A small model from random weights, and a batch for it."""
    torch.manual_seed(3)
    ids = torch.randint(60, (2, 30))
    if family == "vit":
        return DigitsViT().eval(), torch.randn(3, 1, 8, 8)
    if family == "char-lm":
        return CharLM(60, context=64, depth=5).eval(), ids
    hf = tools.package("transformers")
    size = {"vocab_size": 60, "hidden_size": 64, "num_hidden_layers": 5, "intermediate_size": 96}
    no = {"bos_token_id": None, "eos_token_id": None}
    if family == "bert":
        return hf.BertModel(hf.BertConfig(**size, num_attention_heads=4)).eval(), ids
    if family == "gpt2":
        config = hf.GPT2Config(vocab_size=60, n_embd=64, n_layer=5, n_head=4, n_positions=80, **no)
        return hf.GPT2LMHeadModel(config).eval(), ids
    config = hf.LlamaConfig(**size, num_attention_heads=8, num_key_value_heads=2, **no)
    return hf.LlamaForCausalLM(config).eval(), ids


def rows(out) -> torch.Tensor:
    for name in ("logits", "last_hidden_state"):
        if hasattr(out, name):
            return getattr(out, name)
    return out


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_pruned_is_the_masked_reference(family: str) -> None:
    """Tensors that shrink give what masks on full shapes give; nothing is pruned by default, nothing stays attached."""
    model, x = model_of(family)
    plain = rows(model(x))
    with attach(model, AttentionPruning()):
        assert torch.allclose(rows(model(x)), plain, atol=1e-5)
    found, sizes = [], []
    for masked in (False, True):
        with attach(model, SOME, masked=masked, record=True) as run:
            found.append(rows(model(x)))
            sizes.append([[(s.keys.tolist(), s.heads.tolist()) for s in session.steps] for session in run.sessions])
    assert torch.equal(found[0].isnan(), found[1].isnan())
    assert (found[0] - found[1]).nan_to_num().abs().max() < 1e-5
    assert sizes[0] == sizes[1]
    keys = [len(k) for k, _ in sizes[0][0]]
    heads = [len(h) for _, h in sizes[0][0]]
    assert keys == sorted(keys, reverse=True)
    assert keys[-1] < 0.7 * keys[0]
    assert heads == sorted(heads, reverse=True)
    assert heads[-1] < heads[0]
    for layer, later in zip(sizes[0][0], sizes[0][0][1:], strict=False):
        assert set(later[0]) <= set(layer[0])  # gone is gone
        assert set(later[1]) <= set(layer[1])
    assert torch.equal(rows(model(x)), plain)


@torch.no_grad()
def test_fewer_rows_reach_the_ffn() -> None:
    model, x = model_of("bert")
    seen: list[int] = []
    for layer in model.encoder.layer:
        layer.intermediate.register_forward_hook(lambda _, args, __: seen.append(args[0].shape[1]))
    with attach(model, SOME) as run:
        model(x)
        assert seen == [len(s.queries) for s in run.sessions[0].steps]
    assert seen[0] == 30
    assert seen[-1] < 15


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@torch.no_grad()
def test_generation_with_a_cache(family: str) -> None:
    """Each new token's walk: the same tokens and the same survivors as the masked reference; importance accumulates."""
    model, x = model_of(family)
    told, sizes = [], []
    for masked in (False, True):
        with attach(model, SOME, masked=masked) as run:
            told.append(model.generate(x[:1], max_new_tokens=8, do_sample=False).tolist())
            sizes.append([(s.iteration, s.layer, s.keys.tolist()) for s in run.sessions[0].steps])
    assert told[0] == told[1]
    assert sizes[0] == sizes[1]
    assert [s[0] for s in sizes[0]] == [i for i in range(8) for _ in range(5)]
    last = [keys for i, _, keys in sizes[0] if i == 7]
    assert len(last[0]) == 37
    assert len(last[-1]) < 20
    assert all(36 in keys for keys in last)  # the newest token sees itself
    with attach(model, AttentionPruning()):
        dense = model.generate(x[:1], max_new_tokens=8, do_sample=False)
    assert torch.equal(dense, model.generate(x[:1], max_new_tokens=8, do_sample=False))


@torch.no_grad()
def test_generation_of_our_own_model() -> None:
    """Without pruning, token by token is the whole at once."""
    model, x = model_of("char-lm")
    whole = model(x)
    with attach(model, AttentionPruning()) as run:
        found = [model(x[:, :20])]
        with run.extend():
            found += [model(x[:, i : i + 1], start=i) for i in range(20, 30)]
    assert torch.allclose(torch.cat(found, 1), whole, atol=1e-5)
    told = []
    for masked in (False, True):
        with attach(model, SOME, masked=masked) as run:
            parts = [model(x[:, :20])[:, -1:]]
            with run.extend():
                parts += [model(x[:, i : i + 1], start=i) for i in range(20, 30)]
        told.append(torch.cat(parts, 1))
    assert torch.allclose(told[0], told[1], atol=1e-5)


@torch.no_grad()
def test_controls_keep_as_many() -> None:
    model, x = model_of("char-lm")
    alive = {}
    for control in ("importance", "random", "first"):
        with attach(model, SOME.model_copy(update={"control": control})) as run:
            model(x)
            alive[control] = run.sessions[0].alive.tolist()
    assert len({len(a) for a in alive.values()}) == 1
    count = len(alive["first"])
    assert alive["first"] == [*range(count - 1), 29]  # a decoder's last token stays: it is asked for the next
    model, x = model_of("vit")
    for control in alive:
        with attach(model, SOME.model_copy(update={"control": control})) as run:
            model(x)
            alive[control] = [s.alive.tolist() for s in run.sessions]
    assert alive["random"] != alive["importance"] != alive["first"]


@given(
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5, -1.0, float("inf"), float("nan")]), max_size=40), st.integers(-1, 45)
)
@settings(max_examples=300, deadline=None)
def test_top_k(values: list[float], k: int) -> None:
    """The k largest, the first of equal ones, in the order of the input; NaN largest. torch's and numpy's agree."""
    found = top_k(np.array(values, np.float32), k).tolist()
    rank = {i: (-np.inf if np.isnan(v) else -1.0 if v == np.inf else 0.0, 0.0 if np.isnan(v) or v == np.inf else -v, i)
            for i, v in enumerate(values)}  # fmt: skip
    assert found == sorted(sorted(rank, key=rank.__getitem__)[: max(k, 0)])
    assert found == pieces.top_k(torch.tensor(values, dtype=torch.float32), k).tolist()


def test_schedule() -> None:
    """None in the first share of the layers, then linearly; the mean of those that prune is the average."""
    ratios = RatioSchedule(average=0.4, start=0.2, spared=0.15).ratios(12)
    assert ratios[:2] == [0.0, 0.0]
    assert ratios[2] == pytest.approx(0.2)
    assert ratios[-1] == pytest.approx(0.6)
    assert np.mean(ratios[2:]) == pytest.approx(0.4)
    assert np.allclose(np.diff(ratios[2:]), np.diff(ratios[2:])[0])
    assert RatioSchedule(average=0.5, spared=1.0).ratios(3) == [0, 0, 0]
    assert RatioSchedule(average=0.5).ratios(1) == [0.0]
    assert RatioSchedule(average=0.5, spared=0.5).ratios(2) == [0.0, 0.5]
    with pytest.raises(ValidationError, match="the last ratio would be"):
        RatioSchedule(average=0.2, start=0.5)
    assert [kept(10, 0.25), kept(1, 0.9), kept(0, 0.5), kept(10, 0.3)] == [7, 1, 0, 7]


@torch.no_grad()
def test_local_values_are_the_largest() -> None:
    torch.manual_seed(0)
    p = torch.rand(3, 5, 8).softmax(-1)
    visible = torch.ones(5, 8, dtype=torch.bool).tril(3)
    p = p * visible
    found = pieces.local_values(p, 0.5, visible)
    for head in range(3):
        for i in range(5):
            count = kept(int(visible[i].sum()), 0.5)
            want = set(p[head, i].topk(count).indices.tolist())
            assert set(found[head, i].nonzero().ravel().tolist()) == want
    assert torch.equal(found[found > 0], p[found > 0])
    assert pieces.local_values(p, 0.0) is p


@pytest.mark.parametrize("msb", [4, 6, 8, 10, 12])
@torch.no_grad()
def test_progressive_quantization(msb: int) -> None:
    """LSBs are used just where the largest probability is small; all bits are closer than the MSBs; the bound holds."""
    torch.manual_seed(1)
    q, k = torch.randn(4, 50, 64), torch.randn(4, 40, 64)
    q[:, :25] *= 4  # sharp and flat rows
    quantization = Quantization(msb=msb, lsb=4, threshold=0.1)
    p, again = pieces.progressive(q, k, 0.125, quantization)
    assert 0 < again.float().mean() < 1
    exact = pieces.probabilities(q, k, 0.125)
    first, none = pieces.progressive(q, k, 0.125, Quantization(msb=msb, lsb=0))
    assert not none.any()
    whole = pieces.probabilities(
        pieces.plane(q, quantization, full=True), pieces.plane(k, quantization, full=True), 0.125
    )
    assert torch.equal(p[again], whole[again])
    assert (p - exact).abs().mean() <= (first - exact).abs().mean() + 1e-7
    # an error ds of a score changes a row by at most ds / 2 in all (SpAtten), to first order
    moved = (pieces.plane(q, quantization, full=True) @ pieces.plane(k, quantization, full=True).transpose(1, 2)
             - q @ k.transpose(1, 2)).abs().amax(-1) * 0.125  # fmt: skip
    change = (whole - exact).abs().sum(-1)
    assert (change <= 2 * moved + 1e-5).all()


@torch.no_grad()
def test_quantized_integers() -> None:
    x = torch.tensor([[[1.0, -1.0, 0.5, 0.0]], [[0.0, 0.0, 0.0, 0.0]]])
    integers, scale = pieces.quantize(x, 8)
    assert integers.tolist() == [[[127, -127, 64, 0]], [[0, 0, 0, 0]]]
    assert scale.ravel().tolist() == pytest.approx([1 / 127, 1.0])
    half = pieces.plane(x, Quantization(msb=4, lsb=4), full=False)
    assert (half / scale).round().tolist() == [[[112, -128, 64, 0]], [[0, 0, 0, 0]]]


def test_what_cannot_be_pruned() -> None:
    with (
        pytest.raises(InputError, match="no list of layers with self-attention in DigitsCNN"),
        attach(DigitsCNN(), SOME),
    ):
        pass
    model, x = model_of("bert")
    mask = torch.ones_like(x)
    mask[0, -5:] = 0
    with pytest.raises(InputError, match="padded sequences"), attach(model, SOME), torch.no_grad():
        model(x, attention_mask=mask)
    assert not any(hasattr(m, "_spatten_run") for m in model.modules())


@torch.no_grad()
def test_a_trace_is_what_happened(tmp_path) -> None:
    """Files hold the steps; the authors' rows count keys, values and queries as the session did."""
    model, x = model_of("gpt2")
    pruning = SOME.model_copy(update={"quantization": Quantization(msb=6, lsb=4, threshold=0.2)})
    with attach(model, pruning, record=True) as run:
        model.generate(x[:1], max_new_tokens=4, do_sample=False)
        session = run.sessions[0]
    write_attention_trace(tmp_path / "t", session, origin="test", dimension=16)
    meta, steps = read_attention_trace(tmp_path / "t")
    assert (meta["heads"], meta["layers"], meta["tensors"]) == (4, 5, True)
    work = workload_of(session, 16, "test")
    assert [(s["iteration"], s["layer"]) for s in steps] == [(i, layer) for i in range(4) for layer in range(5)]
    for step, saved in zip(session.steps, steps, strict=True):
        rows = work.rows[(work.rows.iteration_id == step.iteration) & (work.rows.layer_id == step.layer)]
        assert rows.query_num.sum() == step.again.numel()
        assert rows[rows.if_requant].query_num.sum() == step.again.sum()
        assert set(rows.key_fetch_num) == {len(step.keys)} == {saved["k"].shape[1]}
        assert rows.sentence_length_L.iloc[0] == 30 + step.iteration
        assert rows.if_topk.sum() == (step.next_keys >= 0)
        assert saved["p"].shape == (len(step.heads), len(step.queries), len(step.keys))
        assert np.allclose(saved["p"].sum(-1), 1, atol=1e-5)
        assert saved["again"].sum() == step.again.sum()
    for before, after in zip(session.steps, session.steps[1:], strict=False):
        if before.next_keys >= 0:
            assert before.next_keys == len(after.keys)
    (tmp_path / "t" / "step-00003.npz").write_bytes(b"no")
    with pytest.raises(InputError, match=r"step-00003\.npz: broken"):
        read_attention_trace(tmp_path / "t")
    (tmp_path / "t" / "meta.json").write_text("{}")
    with pytest.raises(InputError, match="format is not"):
        read_attention_trace(tmp_path / "t")
    with pytest.raises(InputError, match="no finished attention trace"):
        read_attention_trace(tmp_path)


def test_a_trace_of_grouped_heads(tmp_path) -> None:
    """4 query heads on 2 KV heads, as in Llama: keys are fetched once a KV head, and bits are what torch computed."""
    session = grouped_trace(tmp_path / "t", AttentionPruning(quantization=Quantization(msb=8, lsb=4, threshold=0.2)))
    settings = SpattenRun(workload=str(tmp_path / "t"))
    opened = settings.open()
    assert opened.whole is not None
    assert opened.trace is not None
    assert (opened.whole.rows.kv_head_id == opened.whole.rows.head_id // 2).all()
    found = settings.run(opened)
    vectors = sum(len(step.keys) * 2 for step in session.steps)
    assert demand(opened.whole.rows)["key_bytes"].sum() == vectors * 32
    assert found.total("key_bytes") == vectors * 32
    assert found.total("queries") == sum(step.again.numel() for step in session.steps)
    assert found.total("lsb_recomputations") == sum(int(step.again.sum()) for step in session.steps)
    for row in replay(SpattenConfig(), *opened.trace):
        assert row.lsb_decisions_different == row.values_different == 0
        assert row.probability_units <= 1
        assert row.output_error < 0.02  # half a unit of each probability; the wrong KV head: 1
