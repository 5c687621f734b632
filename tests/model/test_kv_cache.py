# SPDX-License-Identifier: Apache-2.0
"""Methods of the cache: hand examples of their rules, invariants, and models that give their own output when nothing is
pruned. Examples: worked out on paper; those of released code name it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from algorithms.accuracy.cache import (
    Entry,
    cache_quality,
    found_by,
    needle,
    retrieval_rows,
    wanted_of,
    windows,
)
from algorithms.attention.attach import attach
from algorithms.kv_cache.attach import attach_cache
from algorithms.kv_cache.dsa import index_scores
from algorithms.kv_cache.method import CACHE_METHODS, CacheMethod, Seen, cache_method
from algorithms.kv_cache.quest import Quest, bounds, upper
from algorithms.kv_cache.rotation import rotation_of
from algorithms.kv_cache.snapkv import pooled
from algorithms.kv_cache.think import ThinK
from algorithms.kv_cache.traces import write_cache_trace
from algorithms.models.llama import Llama, LlamaSizes
from algorithms.training.models import CharLM, DigitsViT
from dataflow.attention.pruning import AttentionPruning, RatioSchedule
from dataflow.attention.trace import keys_of, read_attention_trace, tensors_of
from dataflow.errors import InputError
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.replay import replay
from hwsim.spatten.run import SpattenRun
from tests.support import tools

SIZES = LlamaSizes(90, hidden=192, width=64, blocks=3, heads=6, kv_heads=2, base=1e4, epsilon=1e-5, longest=512)
EVICTING = ("streaming", "recent", "random", "h2o", "tova")
SMALL = {
    "full": {}, "streaming": {"budget": 20}, "recent": {"budget": 20}, "random": {"budget": 20}, "h2o": {"budget": 20},
    "tova": {"budget": 20}, "snapkv": {"budget": 20, "observed": 6}, "pyramidkv": {"budget": 20, "observed": 6},
    "quest": {"budget": 20, "page": 4, "dense_layers": 1}, "think": {"observed": 6, "recent": 5},
    "dsa": {"budget": 20, "index_heads": 2, "index_width": 8},
}  # fmt: skip
"""Options with which each method leaves something out of 40 tokens."""


def llama(blocks: int = 3) -> Llama:
    """Random weights; the logits about as large as a trained model's, attention as uneven."""
    torch.manual_seed(0)
    model = Llama(replace(SIZES, blocks=blocks)).eval()
    with torch.no_grad():
        model.embedding.weight *= 0.05
        for block in model.layers:
            block.q.weight *= 4  # attention that is not even
    return model


def seen(*, q=None, k=None, p=None, held=None, memory=None, prompt=True, layer=0, layers=1) -> Seen:
    """One layer; what is not given is empty."""
    p = torch.zeros(1, 0, k.shape[1]) if p is None else torch.as_tensor(p, dtype=torch.float32)
    k = torch.zeros(1, p.shape[2], 1) if k is None else torch.as_tensor(k, dtype=torch.float32)
    q = torch.zeros(len(p), 1, k.shape[2]) if q is None else torch.as_tensor(q, dtype=torch.float32)
    held = torch.ones(k.shape[:2], dtype=torch.bool) if held is None else held
    return Seen(layer, layers, prompt, q, k, k, held, p, p.sum(1), {} if memory is None else memory)


def kept(method: CacheMethod, told: Seen) -> list[list[int]]:
    return [row.nonzero()[:, 0].tolist() for row in method.keep(told).mask]


def walk(model: nn.Module, method: CacheMethod, ids: torch.Tensor, prompt: int, **options):
    """Logits of a prompt and of the tokens behind it, one by one; the run."""
    with torch.no_grad(), attach_cache(model, method, **options) as run:
        out = [model(ids[:, :prompt])]
        with run.extend():
            out += [model(ids[:, i : i + 1], start=i) for i in range(prompt, ids.shape[1])]
    return torch.cat(out, 1), run


def test_streaming_keeps_sinks_and_the_last() -> None:
    method = cache_method("streaming", {"budget": 8, "sinks": 4})
    assert kept(method, seen(k=torch.zeros(1, 10, 1))) == [[0, 1, 2, 3, 6, 7, 8, 9]]


def test_h2o_sums_and_its_average_is_another_method() -> None:
    p = [[[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.5, 0.3, 0], [0.1, 0.6, 0.1, 0.2]]]
    memory: dict = {}
    assert kept(cache_method("h2o", {"budget": 3, "recent": 2 / 3}), seen(p=p, memory=memory)) == [[0, 2, 3]]
    assert torch.allclose(memory["A"], torch.tensor([[1.8, 1.6, 0.4, 0.2]]))
    assert kept(cache_method("h2o", {"budget": 3, "recent": 2 / 3, "average": True}), seen(p=p)) == [[1, 2, 3]]


def test_tova_takes_the_mean_of_the_last_query() -> None:
    p = [[[0.1, 0.2, 0.3, 0.4]], [[0.5, 0.1, 0.1, 0.3]]]
    assert kept(cache_method("tova", {"budget": 3}), seen(p=p)) == [[0, 2, 3]]


def test_snapkv_pools_with_zeros_counted() -> None:
    scores = torch.tensor([[0, 0, 1, 0, 0, 0.5]])
    assert torch.allclose(pooled(scores, 3), torch.tensor([[0, 1 / 3, 1 / 3, 1 / 3, 1 / 6, 1 / 6]]))
    p = torch.zeros(1, 2, 8)
    p[0, :, :6] = scores
    assert kept(cache_method("snapkv", {"budget": 4, "observed": 2, "kernel": 3}), seen(p=p)) == [[1, 2, 6, 7]]
    for kernel in (2, 0):
        with pytest.raises(InputError, match="kernel"):
            cache_method("snapkv", {"kernel": kernel})


def test_pyramidkv_budgets_fall_and_overspend_as_the_released_code_does() -> None:
    method = cache_method("pyramidkv", {"budget": 108, "observed": 8})
    rooms = [method.room(seen(k=torch.zeros(1, 1000, 1), layer=i, layers=4)) for i in range(4)]  # type: ignore[attr-defined]
    assert rooms == [203, 140, 77, 14]
    method = cache_method("pyramidkv", {"budget": 2048})
    rooms = [method.room(seen(k=torch.zeros(1, 8192, 1), layer=i, layers=32)) for i in range(32)]  # type: ignore[attr-defined]
    assert sum(rooms) / 32 == 2057.5
    assert rooms == sorted(rooms, reverse=True)


def test_quest_bounds() -> None:
    k = torch.tensor([[[1.0, 1], [3, -1], [0, 2], [-1, 0]]])
    low, high = bounds(k, 2)
    assert upper(torch.tensor([[[1.0, -2]]]), low, high).tolist() == [[[5, 0]]]


@pytest.mark.parametrize("seed", range(5))
def test_no_score_of_a_page_is_above_its_bound_and_pages_of_one_give_the_top_k(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    k, q = torch.randn(2, 23, 8, generator=rng), torch.randn(4, 1, 8, generator=rng)
    dots = q.view(2, 2, 8) @ k.transpose(1, 2)
    u = upper(q.view(2, 2, 8), *bounds(k, 5))
    for page in range(5):
        assert bool((u[:, :, page] >= dots[:, :, page * 5 : page * 5 + 5].amax(-1) - 1e-5).all())
    mask = Quest(budget=7, page=1, dense_layers=0, sharing="head").read(seen(q=q, k=k, prompt=False)).mask
    best = dots.flatten(0, 1)[:, :-1].topk(6).indices
    assert torch.equal(mask, torch.zeros(4, 23, dtype=torch.bool).scatter_(1, best, True) | (torch.arange(23) == 22))


def test_quest_is_dense_below_its_budget_and_shares_as_it_is_told() -> None:
    """The released code reads 3 of 4 pages of 50 tokens under a budget of 64."""
    rng = torch.Generator().manual_seed(0)
    k, q = torch.randn(1, 64, 8, generator=rng), torch.randn(3, 1, 8, generator=rng)
    assert bool(Quest(budget=64, dense_layers=0).read(seen(q=q, k=k[:, :50], prompt=False)).mask.all())
    found = {s: Quest(budget=16, page=4, dense_layers=0, sharing=s).read(seen(q=q, k=k, prompt=False))
             for s in ("max", "sum", "union", "head")}  # fmt: skip
    assert [len(c.mask) for c in found.values()] == [1, 1, 1, 3]
    assert all(bool((found[s].mask.sum(1) == 16).all()) for s in ("max", "sum", "head"))
    assert torch.equal(found["union"].mask[0], found["head"].mask.any(0))
    assert 16 < int(found["union"].mask.sum()) <= 48
    assert {c.read_bytes for c in found.values()} == {2 * 1 * 8 * 2 * 16}
    assert {c.macs for c in found.values()} == {3 * 8 * 2 * 16}


def test_think_drops_the_channel_of_the_smallest_product_of_norms() -> None:
    told = seen(q=[[[1, 2], [1, 2]]], k=[[[3, 1], [3, 1]]], p=torch.zeros(1, 2, 2))
    channels = ThinK(share=0.5, observed=2, recent=0).narrow(told)
    assert channels is not None
    assert channels.mask.tolist() == [[True, False]]  # scores 36 and 16
    q, k = torch.randn(2, 4, 10), torch.randn(1, 9, 10)
    q[..., 3] = 0
    k[..., 7] = 0
    channels = ThinK(share=0.2, observed=4, recent=0).narrow(seen(q=q, k=k, p=torch.zeros(2, 4, 9)))
    assert channels is not None
    assert (~channels.mask[0]).nonzero()[:, 0].tolist() == [3, 7]  # of which no product is missed


def test_index_scores() -> None:
    q, k = torch.tensor([[1.0, 0], [0, 2]]), torch.tensor([[1.0, 1], [2, -1], [-1, 3]])
    w = torch.tensor([0.5, 1])
    assert index_scores(q, w, k).tolist() == [2.5, 1, 6]
    assert torch.allclose(index_scores(q * torch.tensor([[4.0], [1]]), w / torch.tensor([4.0, 1]), k),
                          torch.tensor([2.5, 1, 6]))  # fmt: skip


def decoders() -> list[str]:
    return ["llama", "char-lm"]


def decoder(family: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(1)
    if family == "llama":
        return llama(), torch.randint(90, (2, 40))
    return CharLM(60, context=64, depth=3).eval(), torch.randint(60, (2, 40))


@pytest.mark.parametrize("name", sorted(CACHE_METHODS))
@pytest.mark.parametrize("family", decoders())
def test_nothing_pruned_is_the_models_output(name: str, family: str) -> None:
    model, ids = decoder(family)
    options = {"share": 0.0} if name == "think" else {} if name == "full" else {"budget": 100}
    method = cache_method(name, options)
    if family == "char-lm" and method.closes_up:
        with pytest.raises(InputError, match="no rotary positions"), attach_cache(model, method):
            pass
        return
    with torch.no_grad():
        plain = model(ids)
    found, run = walk(model, method, ids, 30)
    assert (found - plain).abs().max() < 1e-5
    assert all(bool(step.read.all()) for s in run.sessions for step in s.steps)
    with torch.no_grad():
        assert torch.equal(model(ids), plain)  # nothing stays attached


@pytest.mark.parametrize("name", [n for n in sorted(SMALL) if n != "full"])
def test_something_pruned_reads_less_and_is_counted(name: str) -> None:
    model, ids = llama(), torch.randint(90, (1, 40), generator=torch.Generator().manual_seed(2))
    whole, _ = walk(model, cache_method("full"), ids, 30)
    found, run = walk(model, cache_method(name, SMALL[name]), ids, 30)
    assert torch.equal(found[:, :30], whole[:, :30])  # the prompt is dense
    assert float((found - whole).abs().max()) > 1e-3
    session = run.sessions[0]
    total = session.total()
    d, b, group = 32, 2, 3
    assert total.kv_bytes < 2 * 2 * d * b * 3 * sum(range(31, 41))
    if name != "think":
        reads = [int(s.read.sum()) for s in session.steps]
        assert total.kv_bytes == 2 * d * b * sum(reads)
        assert total.kv_macs == 2 * d * group * sum(reads)
    else:  # 12 of 32 channels of 25 tokens' keys, 2 KV heads, 3 layers, 10 steps
        assert total.kv_bytes == 2 * 2 * d * b * 3 * sum(range(31, 41)) - 12 * b * 25 * 2 * 3 * 10
        assert total.selection_bytes == 4 * 2 * 3 * 10  # the masks
        assert total.kv_macs == (2 * d * sum(range(31, 41)) - 12 * 25 * 10) * 6 * 3


@pytest.mark.parametrize("name", EVICTING)
def test_what_left_is_gone_and_as_many_stay_as_were_asked_for(name: str) -> None:
    model, ids = llama(), torch.randint(90, (1, 40), generator=torch.Generator().manual_seed(3))
    _, run = walk(model, cache_method(name, SMALL[name]), ids, 30)
    steps = run.sessions[0].steps
    for layer in range(3):
        mine = [s.read for s in steps if s.layer == layer]
        assert {int(n) for read in mine for n in read.sum(1)} == {21}  # its own token beside the budget's
        for before, after in pairwise(mine):
            gone = ~before
            assert not bool((after[:, : before.shape[1]] & gone).any())
            assert bool(((before & ~after[:, : before.shape[1]]).sum(1) == 1).all())  # one leaves
        if name == "tova":
            assert all(torch.equal(read[0], read[1]) for read in mine)  # one list a layer
        if name in ("h2o", "random"):
            assert any(not torch.equal(read[0], read[1]) for read in mine)
            assert all(bool(read[:, -10:].all()) for read in mine)  # protected
        if name in ("streaming", "random"):
            assert all(bool(read[:, :4].all()) for read in mine)


def test_h2o_sums_to_the_number_of_queries_while_nothing_left() -> None:
    model, ids = llama(), torch.randint(90, (1, 40))
    _, run = walk(model, cache_method("h2o", {"budget": 100}), ids, 30)
    for cache in run.sessions[0]._caches:
        assert torch.allclose(cache.memory["A"].sum(1), torch.full((2,), 3 * 40.0), atol=1e-3)


def test_a_prompt_is_gone_on_with_as_if_it_were_read_again() -> None:
    model, ids = llama(), torch.randint(90, (2, 40))
    with torch.no_grad(), attach_cache(model, cache_method("full"), window=6) as run:
        model(ids[:, :30])
        held = run.prompts()
        for name in sorted(SMALL):
            run.resume(held, cache_method(name, SMALL[name]))
            with run.extend():
                found = torch.cat([model(ids[:, i : i + 1], start=i) for i in range(30, 40)], 1)
            totals = [s.total() for s in run.sessions]
            alone, other = walk(llama(), cache_method(name, SMALL[name]), ids, 30)
            assert torch.allclose(found, alone[:, 30:], atol=1e-5), name
            assert totals == [s.total() for s in other.sessions], name
        with pytest.raises(InputError, match="windows of 6 queries"):
            run.resume(held, cache_method("snapkv"))
        with pytest.raises(InputError, match="nothing has followed"):
            run.prompts()


@pytest.mark.parametrize("close", [True, False])
def test_streaming_places_keys_as_if_what_left_had_never_been(close: bool) -> None:
    """One layer: sinks and window in a cache of their own, at positions from 0 on, give the same output."""
    model = llama(blocks=1)
    ids = torch.randint(90, (1, 30))
    method = cache_method("streaming" if close else "recent", {"budget": 10} | ({"sinks": 4} if close else {}))
    found, _ = walk(model, method, ids, 29)
    stays = [0, 1, 2, 3, *range(23, 30)] if close else list(range(19, 30))
    with torch.no_grad():
        short = model(ids[:, stays])
    assert torch.allclose(found[0, -1], short[0, -1], atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_models_of_transformers(family: str) -> None:
    hf = tools.package("transformers")
    torch.manual_seed(3)
    no = {"bos_token_id": None, "eos_token_id": None}
    if family == "gpt2":
        config = hf.GPT2Config(vocab_size=60, n_embd=64, n_layer=3, n_head=4, n_positions=80, **no)
        model = hf.GPT2LMHeadModel(config).eval()
    else:
        config = hf.LlamaConfig(vocab_size=60, hidden_size=64, num_hidden_layers=3, intermediate_size=96,
                                num_attention_heads=8, num_key_value_heads=2, **no)  # fmt: skip
        model = hf.LlamaForCausalLM(config).eval()
    ids = torch.randint(60, (1, 30))
    with torch.no_grad():
        dense = model.generate(ids, max_new_tokens=8, do_sample=False, output_scores=True, return_dict_in_generate=True)
    for name, small in SMALL.items():
        if family == "gpt2" and name == "streaming":
            continue
        large = {"share": 0.0} if name == "think" else {} if name == "full" else {"budget": 100}
        with torch.no_grad(), attach_cache(model, cache_method(name, large)):
            got = model.generate(ids, max_new_tokens=8, do_sample=False, output_scores=True,
                                 return_dict_in_generate=True)  # fmt: skip
        assert torch.allclose(torch.stack(got.scores), torch.stack(dense.scores), atol=1e-5), name
        with torch.no_grad(), attach_cache(model, cache_method(name, small)) as run:
            model.generate(ids, max_new_tokens=8, do_sample=False)
        assert len(run.sessions[0].steps) == 7 * 3
        with pytest.raises(InputError, match="keeps its cache itself"):
            run.prompts()


def test_rotations_turn_keys_to_where_the_model_would_have_put_them() -> None:
    from algorithms.models.llama import rotated

    rotation = rotation_of(llama())
    assert rotation is not None
    x = torch.randn(2, 5, 32)
    at = torch.tensor([3, 9, 11, 40, 41])
    turned = rotation.turned(rotated(x, 1e4, at), (torch.arange(5) - at).expand(2, 5))
    assert torch.allclose(turned, rotated(x, 1e4, torch.arange(5)), atol=1e-5)
    assert rotation_of(CharLM(60)) is None


def test_what_is_not_followed_is_refused_in_one_line() -> None:
    model, ids = llama(), torch.randint(90, (1, 20))
    with torch.no_grad(), attach_cache(model, cache_method("full")) as run:
        model(ids)
        with run.extend(), pytest.raises(InputError, match="one by one"):
            model(ids, start=20)
    vit = DigitsViT().eval()
    with torch.no_grad(), attach_cache(vit, cache_method("full")), pytest.raises(InputError, match="encoder"):
        vit(torch.randn(1, 1, 8, 8))
    for name, options, words in (
        ("quest", {"budget": 8}, "budget=8: must be at least 16"), ("quest", {"sharing": "maxx"}, "max"),
        ("h2o", {"recent": 1.5}, "0 to 1"), ("streaming", {"budget": 4}, "at least 5"),
        ("tova", {"budgte": 4}, "budget"),
        ("think", {"share": 1.0}, "0 to 0.99"), ("snapkv", {"budget": 32}, "at least 33"), ("qest", {}, "quest"),
        ("random", {"budget": 5, "sinks": 4}, "at least 6"), ("dsa", {"index_width": 0}, "at least 1"),
        ("tova", {"budget": "many"}, "expected int"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words) as found:
            cache_method(name, options)
        assert "\n" not in str(found.value)


def test_a_narrow_key_saves_whole_lines_alone_where_keys_begin_on_one() -> None:
    """20 of 32 channels of 2 bytes: 40 bytes; in lines of 16: 48, of 32: 64, as wide as the whole key."""
    model, ids = llama(), torch.randint(90, (1, 31))
    total = {}
    for line in (0, 16, 32):
        _, run = walk(model, ThinK(observed=6, recent=0, line=line), ids, 30)
        total[line] = run.sessions[0].total().kv_bytes
    whole = 2 * 2 * 32 * 2 * 3 * 31
    assert {line: whole - n for line, n in total.items()} == {0: 30 * 6 * 24, 16: 30 * 6 * 16, 32: 0}


@pytest.mark.parametrize("name", ["h2o", "tova", "quest", "union", "head"])
def test_a_trace_runs_on_the_machine(name: str, tmp_path: Path) -> None:
    """What was read is fetched, byte by byte, once a KV head; probabilities are those of torch."""
    model, ids = llama(), torch.randint(90, (1, 42), generator=torch.Generator().manual_seed(4))
    sharing = {"sharing": name} if name in ("union", "head") else {}
    method = cache_method("quest" if sharing else name, SMALL["quest" if sharing else name] | sharing)
    _, run = walk(model, method, ids, 40, record=True)
    session = run.sessions[0]
    write_cache_trace(tmp_path / "t", session, method=name, origin="tiny")
    meta, steps = read_attention_trace(tmp_path / "t")
    assert meta["format"] == "hwsim-attention-trace/2"
    assert meta["counts"]["kv_bytes"] == session.total().kv_bytes
    assert {len(s.read) for s in session.steps} == ({2, 6} if name == "head" else {2})  # its first layer is dense
    for step, told in zip(steps, session.steps, strict=True):
        for g in range(len(told.read)):
            assert keys_of(step, g).tolist() == told.read[g].nonzero()[:, 0].tolist()
        for head in range(6):
            t = tensors_of(step, head, ("p", "q", "k", "v", "e"))
            assert np.allclose(t["p"] @ t["v"], t["e"], atol=1e-5)
            assert np.allclose(t["p"].sum(), 1, atol=1e-5)
    result = SpattenRun(workload=str(tmp_path / "t")).run(SpattenRun(workload=str(tmp_path / "t")).open())
    frame = result.rows()
    read = sum(int(s.read.sum()) for s in session.steps)
    assert int(frame["keys"].sum()) == read
    rows = replay(SpattenConfig(), meta, steps)
    assert max(r.output_error for r in rows) < 0.02
    with pytest.raises(InputError, match="no keys of KV head"):
        keys_of(steps[0], 2)


def test_narrow_keys_are_not_in_a_trace(tmp_path: Path) -> None:
    _, run = walk(llama(), ThinK(observed=6), torch.randint(90, (1, 42)), 40, record=True)
    with pytest.raises(InputError, match="think"):
        write_cache_trace(tmp_path / "t", run.sessions[0], method="think", origin="tiny")


def test_quality_stands_over_the_same_tokens() -> None:
    model = llama()
    texts = windows(torch.randint(90, (200,), generator=torch.Generator().manual_seed(6)), 3, 45)
    assert texts.shape == (3, 45)
    entries = [Entry(name, cache_method(name, SMALL[name])) for name in ("h2o", "dsa", "think")]
    rows = cache_quality(model, texts, 34, entries)
    assert [r["method"] for r in rows] == ["full", "h2o", "dsa", "think"]
    with torch.no_grad():
        logits = model(texts[:, :-1])
    nats = torch.nn.functional.cross_entropy(logits[:, 34:].flatten(0, 1), texts[:, 35:].flatten())
    assert abs(rows[0]["nll"] - float(nats)) < 1e-4
    assert rows[0]["delta"] == 0
    assert rows[0]["reads"] == 1
    assert "nll" not in rows[2]
    assert 0 < rows[1]["reads"] < 1
    with pytest.raises(InputError, match="too short"):
        windows(torch.zeros(100), 3, 45)


def test_needles_are_planted_whole_and_found_by_their_tokens() -> None:
    encode = lambda text: [ord(c) % 90 for c in text]  # noqa: E731
    text = torch.arange(400) % 90
    one = needle(text, 300, 0.5, 417, encode)
    assert len(one.ids) == 300
    fact = encode("\n\nThe secret number is 417. Remember it: the secret number is 417.\n\n")
    at = round(0.5 * (300 - len(fact) - len(encode("\n\nWhat is the secret number? The secret number is"))))
    assert one.ids[at : at + len(fact)].tolist() == fact
    asked = wanted_of([Entry("h2o", cache_method("h2o", {"budget": 20})), Entry("dsa", cache_method("dsa", {}))])
    assert [e.name for e in asked] == ["full", "h2o"]
    found = found_by(llama(), one, asked)
    rows = retrieval_rows(asked, [found, [True, False]])
    assert [r["needles"] for r in rows] == [2, 2]
    assert [r["found"] for r in rows] == [(1 + found[0]) / 2, found[1] / 2]


def test_spattens_pruning_follows_this_llama_too() -> None:
    """Survivors keep their positions: the masked reference of full shapes gives the same."""
    model, ids = llama(), torch.randint(90, (2, 30))
    pruning = AttentionPruning(tokens=RatioSchedule(average=0.3), values=0.3)
    found = []
    for masked in (False, True):
        with torch.no_grad(), attach(model, pruning, masked=masked) as run:
            found.append(model(ids))
            alive = [s.alive for s in run.sessions]
    assert len(alive[0]) < 20
    assert found[0].shape == found[1].shape
    assert torch.allclose(found[0], found[1], atol=1e-5)
