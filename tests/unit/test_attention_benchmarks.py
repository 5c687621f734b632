# SPDX-License-Identifier: Apache-2.0
"""The 30 benchmarks: their numbers follow from what was published, and so do the averages that come out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pandas as pd
import pytest

from dataflow.attention.benchmarks import (
    benchmark_mean,
    benchmark_settings,
    benchmarks,
    length_reason,
    published_averages,
)
from dataflow.attention.demand import demand
from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule
from dataflow.attention.workload import (
    MODELS,
    PUBLISHED,
    Transformer,
    find_workload,
    made_workload,
    make_workload,
    model_of,
    read_workload,
    workload_names,
)
from dataflow.errors import InputError
from hwsim.spatten import study
from hwsim.spatten.baselines import dense_of
from hwsim.spatten.run import SpattenRun, SpattenStudy

PAPER = published_averages()
BERT = [name for name, b in benchmarks().items() if b.model.startswith("bert")]
GPT2 = [name for name, b in benchmarks().items() if b.model.startswith("gpt2")]


def solved(residual: Callable[[float], float]) -> float:
    """Where a falling function is zero, between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if residual(middle) > 0 else (low, middle)
    return low


@cache
def asked(name: str) -> pd.Series:
    return demand(find_workload(name).rows).sum()


def multiplies(d: pd.Series) -> float:
    return float(d.qk_multiplies + d.pv_multiplies)


def test_the_set() -> None:
    assert (len(BERT), len(GPT2)) == (22, 8)
    for name, benchmark in benchmarks().items():
        assert name.startswith(f"{benchmark.model}-")
        assert benchmark.model in MODELS
        assert name in workload_names()
        assert model_of(name) == benchmark.model
        assert length_reason(benchmark).split(":")[0] in ("published", "assumed")
        why = benchmark_settings(benchmark.settings).why
        assert why.keys() == {"tokens", "heads", "values", "quantization", "refetched"}
        assert all(reason.split(":")[0] in ("published", "assumed") for reason in why.values())
    lengths = {name.split("-")[-1]: b.length for name, b in benchmarks().items()}
    assert {t for t, n in lengths.items() if n == 32} == {"cola", "sst2"}
    assert {t for t, n in lengths.items() if n == 64} == {"mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"}
    assert {t for t, n in lengths.items() if n == 96} == {"squad1", "squad2"}
    assert {t for t, n in lengths.items() if n == 992} == {"wikitext2", "wikitext103", "ptb", "1bw"}


def test_berts_shares_follow_from_the_averages() -> None:
    """A straight line after the first 15% of layers, its end where the mean square is what the average leaves."""
    settings = benchmark_settings("bert")
    left = (30 * PAPER["tokens_and_values"] - 8 * PAPER["tokens_and_values_gpt2"]) / 22

    def line(end: float) -> list[float]:
        return [1.0, 1.0, *(1 - (1 - end) * i / 10 for i in range(1, 11))]

    end = solved(lambda e: 1 / left - sum(a * a for a in line(e)) / 12)
    assert settings.tokens.alive == tuple(round(a, 2) for a in line(end))
    assert (settings.values, settings.refetched) == (0, 0)


def test_heads_follow_from_the_average() -> None:
    for name in ("bert", "gpt2"):
        shares = benchmark_settings(name).heads.counts(10_000, 12)
        later = round((12 / PAPER["heads"] - 4) / 8, 2)
        assert [s / 10_000 for s in shares] == [1] * 4 + [later] * 8


def test_gpt2s_shares_follow_from_the_averages_and_the_file() -> None:
    settings = benchmark_settings("gpt2")
    file = asked("gpt2-small-wikitext2")
    left = (8 * PAPER["tokens_and_values_gpt2"] - file.dense_multiplies / multiplies(file)) / 7
    shape = (0.9, 0.7, *[0.2] * 4, *[0.1] * 6)

    def reduction(moved: float) -> float:
        """Of keys and values; the first of 32 iterations has all keys."""
        alive = sum(1 - moved * (1 - a) for a in shape) / 12
        return 32 * 2 / ((1 + 1 - moved * 0.8) * (1 + 31 * alive))

    moved = solved(lambda m: left - reduction(m))
    assert settings.tokens.alive == tuple(round(1 - moved * (1 - a), 2) for a in shape)
    assert settings.values == round(moved * 0.8, 2)
    assert settings.refetched == PAPER["refetched"]


def test_berts_bits_follow_from_the_average() -> None:
    again, found = PAPER["refetched"], benchmark_settings("gpt2").quantization
    assert found is not None
    gpt2 = 32 / (found.msb + again * found.lsb / 2)  # half of what is fetched are keys
    bits = 32 / ((30 * PAPER["quantization"] - 8 * gpt2) / 22)
    assert benchmark_settings("bert").quantization == Quantization(msb=round(bits), lsb=0)


def test_averages_that_come_out() -> None:
    """Near the published ones, though whole tokens and heads are left and nothing was fitted to them."""
    compute = {n: asked(n).dense_multiplies / multiplies(asked(n)) for n in benchmarks()}
    moved = {
        n: asked(n).dense_bytes / asked(n)[["query_bytes", "key_bytes", "lsb_bytes", "value_bytes"]].sum()
        for n in benchmarks()
    }
    pruned = dict(compute)
    for name in set(benchmarks()) - set(PUBLISHED):
        settings = benchmark_settings(benchmarks()[name].settings)
        pruning = settings.pruning.model_copy(update={"heads": RatioSchedule()})
        d = demand(made_workload(name, pruning=pruning).rows).sum()
        pruned[name] = d.dense_multiplies / multiplies(d)
    assert benchmark_mean(compute) == pytest.approx(PAPER["computation"], rel=0.05)
    assert benchmark_mean(moved) == pytest.approx(PAPER["dram_over_float32"], rel=0.1)
    assert benchmark_mean(pruned) == pytest.approx(PAPER["tokens_and_values"], rel=0.05)
    assert sum(pruned[n] for n in GPT2) / 8 == pytest.approx(PAPER["tokens_and_values_gpt2"], rel=0.05)
    again = {n: find_workload(n).rows.if_requant.mean() for n in GPT2}
    assert all(0.058 < again[n] < 0.071 for n in GPT2)


def test_a_mean_needs_all_thirty() -> None:
    values = dict.fromkeys(benchmarks(), 1.0)
    assert benchmark_mean(values | {BERT[0]: 31.0}) == 2
    with pytest.raises(InputError, match="mean over the 30 benchmarks: bert-base-cola: missing"):
        benchmark_mean({n: v for n, v in values.items() if n != "bert-base-cola"})
    with pytest.raises(InputError, match="other: missing, or none of them"):
        benchmark_mean(values | {"other": 1.0})


def test_by_name_and_at_other_lengths() -> None:
    assert find_workload("bert-large-cola").rows.sentence_length_L.unique().tolist() == [32]
    for length in (32, 64, 96):
        opened = SpattenRun(workload="bert-base-squad2", length=length).open()
        assert opened.whole is not None
        assert opened.whole.rows.sentence_length_L.unique().tolist() == [length]
    assert find_workload("gpt2-small-wikitext2").rows.equals(read_workload(PUBLISHED["gpt2-small-wikitext2"]).rows)
    with pytest.raises(InputError, match="length: only for a model's size or a benchmark"):
        SpattenRun(workload="gpt2-small-wikitext2", length=64).open()
    with pytest.raises(InputError, match="pruning: only for a model's size or a benchmark"):
        SpattenRun(pruning=AttentionPruning()).opened(find_workload("bert-base"))
    with pytest.raises(InputError, match=r"^workload 'bert-base-mprc': did you mean bert-base-mrpc\?"):
        find_workload("bert-base-mprc")
    with pytest.raises(InputError, match=r"^workload 'bert-base-mprc': did you mean bert-base-mrpc\?"):
        SpattenRun(workload="bert-base-mprc").open()
    static = AttentionPruning(quantization=Quantization(msb=8, lsb=0))
    opened = SpattenRun(workload="gpt2-medium-ptb", pruning=static).open()
    assert opened.whole is not None
    assert (opened.whole.rows.key_fetch_num == opened.whole.rows.sentence_length_L).all()


def test_demand_by_hand() -> None:
    """One iteration of an encoder, one of a decoder, and queries of a head that share keys."""
    pruning = AttentionPruning(
        tokens=RatioSchedule(alive=(1, 0.5)), heads=RatioSchedule(alive=(1, 0.5)),
        quantization=Quantization(msb=6, lsb=0),
    )  # fmt: skip
    (row,) = demand(make_workload("e", Transformer(2, 2, 64, 8, 0), pruning).rows).to_dict("records")
    assert row == {
        "qk_multiplies": (2 * 64 + 16) * 64, "again_multiplies": 0, "pv_multiplies": (2 * 64 + 16) * 64,
        "query_bytes": (16 + 4) * 48, "key_bytes": (16 + 4) * 48, "lsb_bytes": 0, "value_bytes": (16 + 4) * 48,
        "dense_multiplies": 4 * 2 * 64 * 64, "dense_bytes": 4 * 24 * 64 * 4,
    }  # fmt: skip
    some = AttentionPruning(values=0.5, quantization=Quantization(msb=8, lsb=4))
    found = demand(make_workload("d", Transformer(1, 1, 64, 8, 2), some, refetched=0.5).rows)
    assert found.index.tolist() == [0, 1]
    assert found.qk_multiplies.tolist() == [9 * 64, 10 * 64]
    assert found.again_multiplies.tolist() == [0, 10 * 64]
    assert found.lsb_bytes.tolist() == [0, 10 * 32]
    assert found.value_bytes.tolist() == [5 * 64, 5 * 64]
    assert found.dense_bytes.tolist() == [19 * 256, 21 * 256]
    shared = make_workload("d", Transformer(1, 1, 64, 8, 1), AttentionPruning()).rows
    two = pd.concat([shared, shared.assign(value_fetch_num=3, query_num=4)], ignore_index=True)
    (row,) = demand(two).to_dict("records")
    assert (row["query_bytes"], row["key_bytes"], row["value_bytes"]) == (5 * 96, 9 * 96, 9 * 96)
    assert row["pv_multiplies"] == (9 + 4 * 3) * 64
    assert row["dense_multiplies"] == 2 * 5 * 9 * 64


@pytest.mark.parametrize("name", ["bert-base-cola", "bert-large-squad1", "gpt2-small-wikitext2", "gpt2-medium-ptb"])
def test_demand_is_dense_where_nothing_is_pruned(name: str) -> None:
    """The dense columns of a pruned workload are what the same workload asks for without any technique."""
    work = find_workload(name)
    dense = dense_of(work)
    found, own = demand(work.rows), demand(dense.rows, operand_bits=32)
    assert found.dense_multiplies.tolist() == (own.qk_multiplies + own.pv_multiplies).tolist()
    assert found.dense_bytes.tolist() == own[["query_bytes", "key_bytes", "value_bytes"]].sum(axis=1).tolist()


def test_a_machine_never_does_less_than_the_workload_asks() -> None:
    pruned = AttentionPruning(tokens=RatioSchedule(average=0.3), values=0.5, quantization=Quantization(msb=6, lsb=4))
    for model in (Transformer(2, 2, 64, 40, 0), Transformer(2, 2, 64, 100, 2)):
        work = make_workload("w", model, pruned, refetched=0.3)
        run = SpattenRun()
        result, asks = run.run(run.opened(work)), demand(work.rows).sum()
        assert result.total("qk_macs") == asks.qk_multiplies + asks.again_multiplies
        assert result.total("pv_macs") == asks.pv_multiplies
        for kind in ("query", "key", "lsb", "value"):
            assert result.total(f"{kind}_bytes") >= asks[f"{kind}_bytes"] > 0


def test_torch_is_measured_at_a_benchmarks_own_length(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, int | None]] = []

    def measure(model: str, iterations: int, length: int | None) -> list[dict[str, float]]:
        asked.append((model, iterations, length))
        return [{"milliseconds": 2.0}]

    monkeypatch.setattr(study, "measurement", lambda name: measure)
    names = ("bert-large-cola", "bert-base", "gpt2-small-wikitext2")
    simulated = [{"workload": n, "microseconds": 1e3, "encoder": n[0] == "b",
                  "length": find_workload(n).rows.sentence_length_L.max()} for n in names]  # fmt: skip
    rows = study._measured(SpattenStudy(workloads=names).cases(), simulated)
    assert asked == [("bert-large", 1, 32), ("bert-base", 1, 64), ("gpt2-small", 32, None)]
    assert [r["speedup"] for r in rows] == [2, 2, 2]
