# SPDX-License-Identifier: Apache-2.0
"""A workload on SpAtten: never below its bounds, every cycle and byte accounted for, however it is cut and drawn."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from dataflow.attention.demand import demand
from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule, top_k
from dataflow.attention.workload import (
    CAUSAL,
    COLUMNS,
    KV_HEAD,
    PUBLISHED,
    QUERIES,
    SEQUENCE,
    Transformer,
    Workload,
    make_workload,
    read_workload,
)
from dataflow.errors import InputError
from hwsim.core.machine import load
from hwsim.memory.config import DramConfig
from hwsim.memory.controller import COMMANDS, counts
from hwsim.memory.energy import command_energy, dram_energy
from hwsim.spatten.config import SpattenConfig, eighth
from hwsim.spatten.energy import COMPONENTS, counted_energy_j, row_energy, total_energy_j
from hwsim.spatten.result import ALL_CAUSES, SpattenResult
from hwsim.spatten.run import SpattenRun
from hwsim.spatten.timeline import stages, write_timeline
from hwsim.spatten.timing import simulate as module
from hwsim.spatten.timing.fetch import BASE, COUNT, FIRST, STALLS, plan
from hwsim.spatten.timing.lower import KINDS, Builder, Group, Style, everything, groups, layers
from hwsim.spatten.timing.pipeline import CAUSES, LOG, QUERY_FIELDS, VALUE_JOB
from hwsim.spatten.timing.scores import Head, RecordedScores, SyntheticScores
from hwsim.spatten.timing.simulate import simulate
from hwsim.spatten.timing.state import Pipeline

MACHINES = {
    "full": SpattenConfig(),
    "eighth": eighth(),
    "small SRAM": SpattenConfig(key_sram_bytes=8192, value_sram_bytes=4096, score_tokens=64),
    "streaming": SpattenConfig(design="streaming"),
    "one sequence": SpattenConfig(layers_overlap=False),
    "end to end": SpattenConfig(projections=True),
    "narrow": SpattenConfig(queries_in_flight=1, crossbar_inputs=4, softmax_lanes=2, topk_parallel=2),
}


COUNTED = (
    *(f"{cause}_cycles" for cause in CAUSES),
    *(f"{name}_x_cycles" for name in ("key_sram_rows", "value_sram_rows", "slots", "score_rows")),
    *(f"fetch_{name}" for name in STALLS), *(f"dram_{name}" for name in COMMANDS),
)  # fmt: skip
"""Columns of what the machine counts, in the order of its snapshots, which begin with the cycle."""


def random_workload(seed: int, generated: int | None = None) -> Workload:
    """Of an encoder (``generated`` is 0) or a decoder; None: of either."""
    rng = np.random.default_rng(seed)
    drawn = int(rng.choice([0, 0, 3]))
    generated = drawn if generated is None else generated
    model = Transformer(int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.choice([32, 64, 128])),
                        int(rng.integers(1, 80)), generated)  # fmt: skip
    lsb = int(rng.choice([0, 4]))
    pruning = AttentionPruning(
        tokens=RatioSchedule(average=float(rng.choice([0, 0.3]))), heads=RatioSchedule(average=0.3, spared=0.5),
        values=float(rng.choice([0, 0.5])), quantization=Quantization(msb=int(rng.choice([4, 6, 8])), lsb=lsb),
    )  # fmt: skip
    return make_workload("random", model, pruning, refetched=0.3)


def run(config: SpattenConfig, work: Workload, cut: int = 1 << 20, seed: int = 0) -> SpattenResult:
    pieces = [work.rows.iloc[i : i + cut] for i in range(0, len(work.rows), cut)]
    return simulate(config, layers(pieces), SyntheticScores(seed, 2.0, config.probability_bits), workload="w")


@pytest.mark.parametrize("name", MACHINES)
def test_bounds_and_sums(name: str) -> None:
    config = MACHINES[name]
    for seed in range(8):
        work = random_workload(seed)
        found = run(config, work)
        rows = work.rows
        assert found.total("queries") == rows[QUERIES].sum()
        if not config.leave_off:
            assert found.total("lsb_recomputations") == rows[rows.if_requant][QUERIES].sum()
        assert found.cycles >= max(found.bounds().values())
        assert 0 < found.share_of_bound <= 1
        assert sum(found.total(f"{c}_cycles") for c in ALL_CAUSES) == found.cycles
        assert found.dram_bytes == sum(found.total(f"{k}_bytes") for k in (*KINDS, "weight"))
        size = config.memory.transaction_bytes
        assert abs(found.total("dram_RD") * size - found.dram_bytes) < size * len(found.steps)
        assert all(0 <= share <= 1 for share in found.occupancy.values())
        assert len(found.steps) == rows.groupby(["iteration_id", "layer_id"]).ngroups
        way = found.queries
        assert len(way) == found.total("queries")
        assert (way.end > way.admitted).all()
        assert (way.dot_again >= 0).sum() == found.total("lsb_recomputations")
        in_flight = [((way.admitted <= t) & (way.end > t)).sum() for t in way.admitted]
        assert max(in_flight) <= config.queries_in_flight


@pytest.mark.parametrize("generated", [0, 3], ids=["encoder", "decoder"])
@pytest.mark.parametrize("seed", range(6))
def test_both_readings_by_hand(seed: int, generated: int) -> None:
    """All layers in one segment, and a segment a layer on one machine: the rows say what it counted, and sum to it."""
    work = random_workload(seed, generated)
    source = SyntheticScores(0, 2.0, 12)
    found = {}
    for overlap in (False, True):
        config = SpattenConfig(queries_in_flight=8, score_tokens=128, lsb_sram_bytes=2048, layers_overlap=overlap)
        rows = found[overlap] = run(config, work)
        style, machine, logs = Style(config, source), Pipeline(config), []
        builder = Builder(config)
        for step, frame in zip(rows.steps, layers([work.rows]), strict=True):
            for group in groups(frame, config.operand_bits):
                head = group.head
                tokens = source.tokens(head.iteration, head.layer, head.length, head.keys)
                builder.add(group, tokens, style.work(group))
            if not overlap:
                before = machine.counted()
                logs.append(machine.run(builder.segment()[0]))
                builder = Builder(config)
                machine.rest(step["selection_cycles"])
                assert [step[name] for name in COUNTED] == (machine.counted() - before)[1:].tolist()
        if overlap:
            logs.append(machine.run(builder.segment()[0]))
            machine.rest(0)  # what the memory did alone since
        assert np.array_equal(np.concatenate(logs), rows.queries[list(LOG)])
        assert rows.cycles == machine.now
        assert [rows.total(name) for name in COUNTED] == machine.counted()[1:].tolist()
        assert rows.dram_bytes == config.memory.transaction_bytes * counts(machine.mem)["RD"]
        for step in rows.steps:
            assert step["cycles"] == sum(step[f"{cause}_cycles"] for cause in ALL_CAUSES)
            assert min(step.values()) >= 0
        assert rows.share_of_bound <= 1
    one, streamed = found[False], found[True]
    assert streamed.cycles <= one.cycles
    assert len(streamed.steps) == len(one.steps)
    for a, b in zip(streamed.steps, one.steps, strict=True):  # the same work, at other times
        names = [name for name in a if name.endswith(("_macs", "_bytes", "_written", "_elements", "queries", "v_busy"))]
        assert {name: a[name] for name in names} == {name: b[name] for name in names}


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("empty", [0, 1, 2])
def test_a_layer_without_keys_has_a_row(overlap: bool, empty: int) -> None:
    work = random_workload(4)
    rows = work.rows.copy()
    rows.loc[(rows.iteration_id == 0) & (rows.layer_id == empty), ["key_fetch_num", "value_fetch_num"]] = 0
    found = run(SpattenConfig(layers_overlap=overlap), Workload("w", rows))
    assert len(found.steps) == rows.groupby(["iteration_id", "layer_id"]).ngroups
    row = found.steps[empty]
    assert (row["queries"], row["dram_bytes"], row["dram_RD"], row["cycles"]) == (0, 0, 0, row["selection_cycles"])
    assert all(step["cycles"] > 0 for i, step in enumerate(found.steps) if i != empty)


def test_however_it_is_cut() -> None:
    work = random_workload(5)
    whole = run(SpattenConfig(), work)
    for cut in (1, 2, 7):
        assert run(SpattenConfig(), work, cut).steps == whole.steps
    assert run(SpattenConfig(), work).steps == whole.steps
    assert run(SpattenConfig(), work, seed=1).steps != whole.steps


def test_a_long_workload_keeps_few_rows(monkeypatch) -> None:
    work = random_workload(4)
    one = SpattenConfig(layers_overlap=False)
    whole, streamed = run(one, work), run(SpattenConfig(), work)
    assert len(whole.steps) > 4
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    monkeypatch.setattr(module, "MAX_QUERIES", 5)
    found = run(one, work)
    assert len(found.steps) == 3
    assert len(found.queries) == 5
    assert (found.steps[-1]["iteration"], found.steps[-1]["layer"]) == (-1, -1)
    assert found.steps[:2] == whole.steps[:2]
    assert all(found.total(k) == whole.total(k) for k in whole.steps[0] if k not in ("iteration", "layer"))
    found = run(SpattenConfig(), work)  # which runs empty after five queries
    assert len(found.steps) == 3
    assert found.total("queries") == streamed.total("queries")
    assert streamed.cycles < found.cycles


def test_a_query_by_hand() -> None:
    """One query, nothing in its way: every stage as the configuration says."""
    model = Transformer(1, 1, 64, 99, 1)
    work = make_workload("one", model, AttentionPruning(values=0.5))
    c = SpattenConfig()
    found = run(c, work)
    (q,) = found.queries.to_dict("records")
    assert q["dot"] == q["loaded"]
    assert q["scored"] == q["exp"] == q["dot"] + 13 + c.dot_cycles + c.dequantize_cycles  # 100 keys, 8 a cycle
    assert q["summed"] == q["exp"] + 13 + c.exponential_cycles + c.accumulate_cycles
    assert q["divide"] == q["summed"] + 1  # the check's cycle
    assert q["weighed"] == q["topk"] == q["divide"] + 13 + c.divide_cycles + c.quantize_cycles
    assert q["end"] == q["output"] + 7 + c.output_cycles  # 50 values
    assert q["output"] == q["values"]
    assert found.total("key_bytes") >= 100 * 96
    assert found.total("qk_macs") == 100 * 64
    assert found.total("pv_macs") == 50 * 64
    static = make_workload("one", model, AttentionPruning(quantization=Quantization(msb=8, lsb=0)))
    assert run(c, static).total("key_bytes") == 100 * 64


def test_traffic_is_that_of_the_plans() -> None:
    work = random_workload(11)
    c = SpattenConfig()
    for frame in layers([work.rows]):
        builder, source = Builder(c), SyntheticScores(0, 2.0, 12)
        style = Style(c, source)
        for group in groups(frame, c.operand_bits):
            head = group.head
            builder.add(group, source.tokens(head.iteration, head.layer, head.length, head.keys), style.work(group))
        done = builder.take_counts()
        segment, kinds = builder.segment()
        assert len(kinds) == len(segment.jobs)
        assert segment.queries.shape == (done.queries, QUERY_FIELDS)
        for job in segment.jobs:
            tokens = segment.tokens[job[FIRST] : job[FIRST] + job[COUNT]]
            assert len(plan(c, int(job[0]), tokens, int(job[1])).channel) >= 1  # ascending, within the memory


def test_a_trace_decides_what_is_fetched() -> None:
    """Values of the largest recorded probabilities; keys where the trace says; who sees fewer, multiplies fewer."""
    rng = np.random.default_rng(2)
    keys, queries = np.array([0, 2, 3, 7, 11, 12]), 1
    p = rng.random((1, queries, 6)).astype(np.float32)
    p[0, 0, 5] = 0  # not seen
    p /= p.sum(-1, keepdims=True)
    step = {"iteration": 4, "layer": 2, "heads": np.array([3]), "keys": keys, "p": p,
            "again": np.array([[False]]), "q": p[..., :4], "k": p, "e": p}  # fmt: skip
    source = RecordedScores([step], 12, "t")
    values = dict.fromkeys(COLUMNS, 0) | {
        "iteration_id": 4, "layer_id": 2, "head_id": 3, "embedding_length_D": 64, "sentence_length_L": 13,
        "key_fetch_num": 6, "value_fetch_num": 2, "quant_key_bit": 8, "quant_query_bit": 12, "quant_value_bit": 8,
        "if_requant": False, "if_topk": False, "topk": -1, QUERIES: 1,
    }  # fmt: skip
    frame = next(layers([pd.DataFrame([values])]))
    (group,) = groups(frame, 12)
    style = Style(SpattenConfig(), source)
    work = style.work(group)
    assert work.seen.tolist() == [5]
    builder = Builder(SpattenConfig())
    builder.add(group, source.tokens(4, 2, 13, 6), work)
    done = builder.take_counts()
    segment, _ = builder.segment()
    job = segment.jobs[segment.queries[0, VALUE_JOB]]
    fetched = segment.tokens[job[FIRST] : job[FIRST] + job[COUNT]]
    integers = np.rint(p[0, 0] * 4095).astype(int)
    assert fetched.tolist() == keys[top_k(integers[:5], 2)].tolist()
    assert done.qk_macs == 5 * 64
    assert done.pv_macs == 2 * 64


def test_drawn_sets_are_nested_and_keep_the_newest() -> None:
    source = SyntheticScores(3, 2.0, 12)
    for length in (5, 100, 1000, 3000):
        previous = set(range(length))
        for count in (length, length // 2, length // 5):
            found = source.tokens(0, 0, length, count).tolist()
            assert len(found) == count
            assert found == sorted(found)
            assert set(found) <= previous
            assert length - 1 in found
            previous = set(found)


def test_a_drawn_token_that_left_stays_away_in_later_iterations() -> None:
    """Of a generated workload, layer by layer: what an iteration has, the next one has, but for its new token."""
    pruning = AttentionPruning(tokens=RatioSchedule(alive=(0.9, 0.5, 0.2)), values=0.5)
    rows = make_workload("w", Transformer(3, 1, 64, 40, 12), pruning).rows
    source = SyntheticScores(3, 2.0, 12)
    left: dict[int, set[int]] = {}
    for r in rows.itertuples():
        found = set(source.tokens(r.iteration_id, r.layer_id, r.sentence_length_L, r.key_fetch_num).tolist())
        before = left.get(r.layer_id, set(range(41)))
        assert found <= before | {r.sentence_length_L - 1}
        assert r.iteration_id == 0 or len(found) == (46, 26, 10)[r.layer_id] or r.layer_id == 0
        left[r.layer_id] = found


def test_more_of_what_is_short_is_not_slower() -> None:
    work = read_workload(PUBLISHED["gpt2-small-wikitext2"])
    work = Workload("w", work.rows[work.rows.iteration_id == 24])
    cycles = {p: run(SpattenConfig(topk_parallel=p), work).cycles for p in (1, 4, 16)}
    assert cycles[1] > 1.5 * cycles[4] > 2 * cycles[16]
    assert run(SpattenConfig(layers_overlap=False), work).cycles > cycles[16]
    assert run(eighth(), work).cycles > 2 * cycles[16]
    whole = run(SpattenConfig(projections=True), work)
    assert whole.cycles > cycles[16]
    assert whole.total("weight_bytes") == 12 * (12 * 768**2 * 12 // 8)
    assert whole.share_of_bound > 0.5  # a token's weights are read at the memory's speed


def test_more_of_a_resource_is_not_slower_by_more_than_a_little() -> None:
    """Of random workloads on a machine that is short of everything: each at most 7% slower, all together faster. Never
    slower does not hold: who comes earlier may be in the way of another. And an SRAM that holds a head's values whole
    makes a lone query wait for all of them, where of parts one is fetched while another is read: at most 15%."""
    short = SpattenConfig(
        qk_multipliers=128, pv_multipliers=64, softmax_lanes=4, topk_parallel=4, queries_in_flight=4, score_tokens=128,
        heads_in_flight=2, crossbar_inputs=8, answer_depth=4, lane_depth=4, key_sram_bytes=16384, lsb_sram_bytes=1024,
        value_sram_bytes=4096, memory=DramConfig(channels=4),
    )  # fmt: skip
    more = [
        {"queries_in_flight": 16}, {"score_tokens": 2048}, {"heads_in_flight": 16}, {"crossbar_window": 4},
        {"lsb_sram_bytes": 4096, "key_sram_bytes": 19456}, {"value_sram_bytes": 65536}, {"value_topk_engines": 4},
        {"qk_multipliers": 512}, {"pv_multipliers": 256}, {"softmax_lanes": 8}, {"memory": DramConfig(channels=8)},
    ]  # fmt: skip
    for overlap in (False, True):
        base = short.model_copy(update={"layers_overlap": overlap})
        works = [random_workload(seed) for seed in range(12)]
        before = [run(base, work).cycles for work in works]
        for update in more:
            after = [run(base.model_copy(update=update), work).cycles for work in works]
            assert sum(after) < sum(before), update
            limit = 1.15 if "value_sram_bytes" in update else 1.07
            assert max(a / b for a, b in zip(after, before, strict=True)) < limit, update


def test_energy_is_of_what_was_counted() -> None:
    c = SpattenConfig()
    (row,) = run(c, make_workload("one", Transformer(1, 1, 64, 50, 1), AttentionPruning(values=0.5))).steps
    found = row_energy(c, row)
    assert set(found) == set(COMPONENTS)
    commands = {name: row[f"dram_{name}"] for name in ("ACT", "PRE", "RD", "WR", "REF")}
    by_command = dram_energy(c.memory, commands)
    assert found["dram"] + found["dram_refresh"] == pytest.approx(sum(by_command.values()))
    assert found["dram_refresh"] == by_command["refresh"] == row["dram_REF"] * command_energy(c.memory)["refresh"]
    everything = total_energy_j(c, [row])
    assert counted_energy_j(c, [row]) == pytest.approx(sum(everything.values()) - everything["dram_refresh"])
    assert found["qk"] == pytest.approx(51 * 64 * (0.2 * 1.5**2 + 0.1))
    assert found["softmax"] == pytest.approx(51 * (14 * 3.7 + 8 * 0.9))
    assert found["projections"] == found["candidates"] == 0
    assert row_energy(c, dict.fromkeys(row, 0)) == dict.fromkeys(COMPONENTS, 0)


def test_timeline_opens_and_no_slices_overlap(tmp_path) -> None:
    found = run(SpattenConfig(value_topk_engines=2), random_workload(2))
    write_timeline(found, tmp_path / "t.json")
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    slots = {e["tid"] for e in events if e["ph"] == "X" and e["pid"] == 2}
    assert slots == set(range(min(8, len(slots))))
    for pid in (1, 2):
        for tid in {e["tid"] for e in events if e["ph"] == "X" and e["pid"] == pid}:
            mine = [e for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) == (pid, tid)]
            name = next(e["args"]["name"] for e in events if e["ph"] == "M" and e.get("tid") == tid and e["pid"] == pid)
            outer = [e for e in mine if e["name"].startswith("i")]
            spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in outer)
            if name != "top-k":  # two engines share a track
                assert all(b[0] >= a[1] - 1e-9 for a, b in pairwise(spans)), name
    for query in found.queries.to_dict("records"):
        parts = stages(query)
        assert parts[0][1] == query["admitted"]
        assert parts[-1][2] == query["end"]
        assert all(b[1] == a[2] for a, b in pairwise(parts))


def test_results_are_written_and_read(tmp_path) -> None:
    found = run(SpattenConfig(), random_workload(3))
    for path in found.save(tmp_path):
        table = pd.read_parquet(path)
        assert len(table) == (len(found.steps) if path.stem == "result" else len(found.queries))
    assert pd.read_parquet(tmp_path / "result.parquet").cycles.sum() == found.cycles
    assert load(tmp_path) == found


def grouped(heads: int, kv_heads: int, *, length: int, keys: int, layers: int = 2, queries: int = 1) -> Workload:
    """Query heads that share keys, rows without any technique but chosen keys."""
    rows = [
        [0, layer, head, 128, length, keys, -1, -1, 0.0, False, 0, keys, -1, False, False, False, -1, queries]
        for layer in range(layers)
        for head in range(heads)
    ]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, QUERIES])
    frame[KV_HEAD] = frame["head_id"] // (heads // kv_heads)
    return Workload("grouped", frame)


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("keys", [40, 300], ids=["resident", "in parts"])
@pytest.mark.parametrize("kv_heads", [1, 2, 8], ids=["MQA", "GQA", "MHA"])
def test_shared_keys_and_values_are_fetched_once_a_kv_head(kv_heads: int, keys: int, queries: int) -> None:
    config = SpattenConfig(key_sram_bytes=65_536, value_sram_bytes=65_536)
    work = grouped(8, kv_heads, length=400, keys=keys, queries=queries)
    found = run(config, work)
    heads, parts = 2 * 8, queries if keys == 300 else 1  # each position's queries fetch the parts again
    asked = demand(work.rows, config.operand_bits).sum()
    for name in ("key", "value"):
        assert found.total(f"{name}_bytes") == parts * asked[f"{name}_bytes"] == 2 * kv_heads * keys * 192 * parts
    assert found.total("query_bytes") == heads * queries * 192
    assert found.total("qk_macs") == asked["qk_multiplies"] == heads * queries * keys * 128
    assert found.total("queries") == heads * queries
    assert found.total("heads") == heads
    assert found.total("kv_heads") == 2 * kv_heads
    assert found.total("qk_cycles") >= found.total("qk_macs") / config.qk_multipliers
    assert found.cycles >= max(found.bounds().values())
    assert sum(found.total(f"{c}_cycles") for c in ALL_CAUSES) == found.cycles
    if kv_heads == 8:  # a KV head of one's own is none
        alone = run(config, Workload("alone", work.rows.drop(columns=KV_HEAD)))
        assert [{**row, "kv_heads": 8} for row in alone.steps] == found.steps
    again = run(config, work, cut=5)
    assert again.steps == found.steps


def test_query_heads_that_share_keys_have_as_many_queries() -> None:
    work = grouped(4, 2, length=8, keys=8)
    work.rows.loc[1, QUERIES] = 2
    with pytest.raises(InputError, match=re.escape("layer 0, kv_head_id 0: its query heads have [1, 2] queries")):
        run(SpattenConfig(), work)


@pytest.mark.parametrize("values", [64, 40], ids=["all values", "some values"])
@pytest.mark.parametrize("queries", [1, 24, 64], ids=["decode", "chunk", "prompt"])
def test_a_causal_row_sees_keys_up_to_its_own(queries: int, values: int) -> None:
    """Beside rows of one query each that see as many keys: the same multiplies, keys fetched once."""
    work = grouped(4, 2, length=64, keys=64, layers=1, queries=queries)
    work.rows[CAUSAL], work.rows["value_fetch_num"] = True, values
    found = run(SpattenConfig(), work)
    seen = np.arange(64 - queries, 64) + 1
    asked = demand(work.rows, 12).sum()
    assert found.total("qk_macs") == asked["qk_multiplies"] == 4 * seen.sum() * 128
    assert found.total("pv_macs") == asked["pv_multiplies"] == 4 * np.minimum(seen, values).sum() * 128
    assert found.total("softmax_elements") == 4 * seen.sum()
    assert found.total("key_bytes") == asked["key_bytes"] == 2 * 64 * 192
    whole = run(SpattenConfig(), Workload("whole", work.rows.drop(columns=CAUSAL)))
    assert found.cycles <= whole.cycles
    assert (found.cycles == whole.cycles) == (queries == 1)
    with pytest.raises(InputError, match="A3: causal rows are not modelled"):
        SpattenRun(style="A3").run(SpattenRun().opened(work))


@pytest.mark.parametrize("order", ["HND", "NHD"])
def test_places_of_a_paged_cache(order: str) -> None:
    """Of 3 heads, pages of 4 tokens: where each vector is, by hand; every block once, no two vectors in one place."""
    config = SpattenConfig(layout="pages", page_tokens=4, page_order=order)
    builder = Builder(config)
    builder.kv_heads = 3
    places = set()
    for sequence in range(2):
        blocks: dict[int, set[int]] = {}
        for head in range(3):
            group = Group(Head(0, 0, head, 10, 10, 1, 128, sequence=sequence), 10, 192, 192, 0, 192, False, 0.0,
                          np.zeros(1, bool))  # fmt: skip
            builder.add(group, np.arange(10), everything(np.array([10]), 10))
            work, kinds = builder.segment()
            job = work.jobs[np.flatnonzero(kinds == KINDS.index("key"))[-1]]
            slots = work.tokens[job[FIRST] : job[FIRST] + job[COUNT]]
            assert (np.diff(slots) > 0).all()
            at = job[BASE] % (1 << 36) + slots * 192
            block, inner = np.divmod(at, 3 * 4 * 192)
            for number, place in zip(block.tolist(), (inner // 192).tolist(), strict=True):
                blocks.setdefault(number, set()).add(place)
            places |= set(at.tolist())
        full = set(range(12))  # of the last page's 4 tokens there are 2
        half = {head * 4 + token if order == "HND" else token * 3 + head for head in range(3) for token in range(2)}
        assert sorted(map(sorted, blocks.values())) == sorted(map(sorted, (full, full, half)))
        assert set(blocks) == set(range(3 * sequence, 3 * sequence + 3))
    assert len(places) == 2 * 3 * 10


def test_a_batch_is_its_sequences() -> None:
    """Sequences share nothing: bytes and multiplies of a batch are the sums; heads count from 0 in each."""
    one, two = grouped(4, 2, length=64, keys=64), grouped(4, 2, length=300, keys=100)
    batch = pd.concat([one.rows.assign(**{SEQUENCE: 0}), two.rows.assign(**{SEQUENCE: 1})])
    batch = batch.sort_values(["layer_id", SEQUENCE], kind="stable", ignore_index=True)
    for config in (SpattenConfig(), SpattenConfig(layout="pages"), SpattenConfig(layout="pages", page_order="NHD")):
        found = run(config, Workload("batch", batch))
        alone = [run(config, work) for work in (one, two)]
        for name in ("key_bytes", "value_bytes", "query_bytes", "qk_macs", "pv_macs", "heads", "kv_heads", "queries"):
            assert found.total(name) == sum(r.total(name) for r in alone)
        assert max(r.cycles for r in alone) < found.cycles <= sum(r.cycles for r in alone)
    asked = demand(batch, 12).sum()
    assert (asked == demand(one.rows, 12).sum() + demand(two.rows, 12).sum()).all()


def test_pages_are_kept_whole() -> None:
    source = SyntheticScores(0, 2.0, 12, page=16)
    kept = source.tokens(0, 0, 1000, 160)
    pages, counts_ = np.unique(kept // 16, return_counts=True)
    assert len(kept) == 160
    assert pages[-1] == 62  # the last one, which has 8 tokens
    assert sorted(counts_.tolist())[2:] == [16] * (len(pages) - 2)
    assert counts_[-1] == 8
    settings = SpattenRun(selection="pages", machine=SpattenConfig(layout="pages"))
    work = grouped(8, 2, length=4096, keys=512)
    by_page = settings.run(settings.opened(work))
    settings = SpattenRun(machine=SpattenConfig(layout="pages"))
    by_token = settings.run(settings.opened(work))
    assert by_page.dram_bytes == by_token.dram_bytes
    assert by_page.total("dram_ACT") < by_token.total("dram_ACT")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"machine": {"page_tokens": 64}}, "page_tokens=64: has no effect without layout=pages"),
        ({"machine": {"page_order": "NHD"}}, "page_order=NHD: has no effect without layout=pages"),
        ({"selection": "pages"}, "selection=pages: needs machine.layout=pages"),
        ({"workload": "llama-3-8b", "budget": 8}, "budget=8: has no effect without batch"),
        ({"workload": "llama-3-8b", "layers": 2}, "layers=2: has no effect without batch"),
        ({"workload": "llama-3-8b", "batch": 8, "pruning": {}}, "pruning: has no effect with batch"),
    ],
)
def test_settings_without_effect(settings: dict, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        SpattenRun.model_validate(settings)


def test_a_window_is_the_first_tokens_and_the_newest() -> None:
    source = SyntheticScores(0, 2.0, 12, sinks=4)
    assert source.tokens(0, 0, 100, 10).tolist() == [0, 1, 2, 3, 94, 95, 96, 97, 98, 99]
    assert source.tokens(0, 0, 100, 2).tolist() == [0, 99]
    assert source.tokens(0, 0, 6, 6).tolist() == [*range(6)]
    cycles = []
    for selection in ("window", "tokens"):
        settings = SpattenRun(workload="llama-3-8b", batch=1, length=4096, budget=256, layers=1, selection=selection)
        found = settings.run(settings.open())
        assert found.workload == "llama-3-8b, a token of 1 sequences of 4096, 256 keys of each, 1 layers"
        assert found.total("key_bytes") == 8 * 256 * 192
        cycles.append(found.cycles)
    assert cycles[0] < cycles[1]
    with pytest.raises(InputError, match="layers=33: llama-3-8b has 32"):
        SpattenRun(workload="llama-3-8b", batch=1, layers=33).open()


def test_a_memory_at_its_own_clock() -> None:
    """Half the clock of the machine is twice the memory's in cycles; bounds and seconds follow each clock."""
    work = grouped(8, 2, length=2048, keys=512)
    found = {f: SpattenRun(machine=SpattenConfig(frequency_hz=f)) for f in (500_000_000, 1_000_000_000, 2_000_000_000)}
    runs = [s.run(s.opened(work)) for s in found.values()]
    slow, usual, fast = runs
    assert slow.cycles < usual.cycles < fast.cycles
    assert slow.seconds > usual.seconds > fast.seconds
    assert slow.total("dram_RD") == usual.total("dram_RD") == fast.total("dram_RD")
    for run in runs:
        machine = run.settings
        assert machine.peak_bytes_per_s == 512e9
        assert run.bounds()["memory"] == pytest.approx(run.dram_bytes / 512e9 * machine.frequency_hz)
        assert max(run.bounds().values()) <= run.cycles
    lists = {"HBM3": 16, "LPDDR5-6400": 16, "DDR4-2400": 8}
    for standard, channels in lists.items():
        memory = DramConfig(standard=standard, channels=channels)
        settings = SpattenRun(machine=SpattenConfig(memory=memory))
        run = settings.run(settings.opened(work))
        assert max(run.bounds().values()) <= run.cycles
        assert run.settings.peak_bytes_per_s == pytest.approx(
            memory.peak_bytes_per_cycle * 1e12 / memory.clock_ps, rel=1e-12
        )


def test_a_token_more_of_a_batch() -> None:
    settings = SpattenRun(workload="smollm2-135m", batch=3, length=200, budget=50)
    opened = settings.open()
    found = settings.run(opened)
    assert found.workload == "smollm2-135m, a token of 3 sequences of 200, 50 keys of each"
    assert found.total("heads") == 3 * 30 * 9
    assert found.total("kv_heads") == 3 * 30 * 3
    assert found.total("key_bytes") == found.total("value_bytes") == 3 * 30 * 3 * 50 * 96
    assert found.total("qk_macs") == 3 * 30 * 9 * 50 * 64
    with pytest.raises(InputError, match="batch: bert-base is an encoder"):
        SpattenRun(workload="bert-base", batch=1).open()
    with pytest.raises(InputError, match="batch: only for a model's size or a benchmark by name"):
        SpattenRun(workload="gpt2-small-wikitext2", batch=1).open()
