# SPDX-License-Identifier: Apache-2.0
"""cocotb side of SpAtten: spatten_core with cocotbext-axi memory; streams of its small modules. Work is a pickle."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.axi import AxiRamRead, AxiReadBus

from tests.support.cocotb_benches.bench_core import bernoulli, bursts

IDLE = {
    None: lambda seed: (False for _ in iter(int, 1)),
    "bernoulli": lambda seed: bernoulli(seed, 0.5),
    "bursts": bursts,
}


def work() -> list:
    return pickle.loads(Path(os.environ["WORK"]).read_bytes())


async def begin(dut, quiet: tuple[str, ...]) -> None:
    """Clock and reset, with these inputs low."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in quiet:
        getattr(dut, name).value = 0
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


async def give(dut, prefix: str, items: list[dict[str, int]], pauses) -> None:
    """Offer items on a valid/ready stream; what is offered stays until it is taken."""
    valid, ready = getattr(dut, f"{prefix}_valid"), getattr(dut, f"{prefix}_ready")
    for item in items:
        while next(pauses):
            await RisingEdge(dut.clk)
        for name, value in item.items():
            getattr(dut, f"{prefix}_{name}").value = value
        valid.value = 1
        while True:
            await ReadOnly()
            taken = bool(ready.value)
            await RisingEdge(dut.clk)
            if taken:
                break
        valid.value = 0


async def take(dut, valid: str, ready: str, names: tuple[str, ...], count: int, pauses) -> list[tuple[int, ...]]:
    """Take entries; one that waits must not change."""
    found, waiting = [], None
    while len(found) < count:
        getattr(dut, ready).value = int(not next(pauses))
        await ReadOnly()
        if getattr(dut, valid).value:
            now = tuple(int(getattr(dut, name).value) for name in names)
            assert waiting in (None, now), "an entry changed while it waited"
            waiting = now
            if getattr(dut, ready).value:
                found.append(now)
                waiting = None
        else:
            assert waiting is None, "an entry was taken back"
        await RisingEdge(dut.clk)
    getattr(dut, ready).value = 0
    return found


@cocotb.test()
@cocotb.parametrize(idle=[None, "bernoulli", "bursts"])
async def zero_eliminator(dut, idle) -> None:
    """Every beat's marked elements in front, in their order; rows are {elements, marks}."""
    if dut._name != "zero_eliminator":
        return
    lanes, width = len(dut.s_axis_tkeep), len(dut.s_axis_tdata) // len(dut.s_axis_tkeep)
    await begin(dut, ("s_axis_tvalid", "m_axis_tready"))
    rows = work()
    items = [{"tdata": sum(e << (width * i) for i, e in enumerate(r["elements"])),
              "tkeep": sum(k << i for i, k in enumerate(r["keep"]))} for r in rows]  # fmt: skip
    offered = cocotb.start_soon(_beats(dut, items, IDLE[idle](1)))
    names = ("m_axis_tdata", "m_axis_tcount")
    found = await take(dut, "m_axis_tvalid", "m_axis_tready", names, len(rows), IDLE[idle](2))
    await offered
    for row, (data, count) in zip(rows, found, strict=True):
        kept = [e for e, k in zip(row["elements"], row["keep"], strict=True) if k]
        assert count == len(kept)
        assert [data >> (width * i) & ((1 << width) - 1) for i in range(lanes)] == kept + [0] * (lanes - len(kept))


async def _beats(dut, items: list[dict[str, int]], pauses) -> None:
    for item in items:
        while next(pauses):
            await RisingEdge(dut.clk)
        for name, value in item.items():
            getattr(dut, f"s_axis_{name}").value = value
        dut.s_axis_tvalid.value = 1
        while True:
            await ReadOnly()
            taken = bool(dut.s_axis_tready.value)
            await RisingEdge(dut.clk)
            if taken:
                break
        dut.s_axis_tvalid.value = 0


@cocotb.test()
@cocotb.parametrize(idle=[None, "bernoulli", "bursts"])
async def fifo(dut, idle) -> None:
    """In the order in which they came; full after DEPTH of them."""
    if dut._name != "fifo":
        return
    await begin(dut, ("s_valid", "m_ready"))
    entries = work()
    offered = cocotb.start_soon(give(dut, "s", [{"data": e} for e in entries], IDLE[idle](3)))
    found = await take(dut, "m_valid", "m_ready", ("m_data",), len(entries), IDLE[idle](4))
    await offered
    assert [f[0] for f in found] == entries
    dut.s_valid.value = 1
    await ClockCycles(dut.clk, 40)
    assert not dut.s_ready.value


@cocotb.test()
@cocotb.parametrize(idle=[None, "bernoulli", "bursts"])
async def window_fifo(dut, idle) -> None:
    """A list beside it, from which the same places are taken: the same entries are seen in every cycle."""
    if dut._name != "window_fifo":
        return
    await begin(dut, ("s_valid", "m_take"))
    asked = work()
    window, width = len(dut.m_valid), len(dut.s_data)
    rng, pauses = random.Random(6), IDLE[idle](5)
    held: list[int] = []
    entries, found, fullest = list(asked["entries"]), [], 0
    while len(found) < len(asked["entries"]):
        offers = bool(entries) and not next(pauses)
        takes = rng.randrange(1 << window) if rng.random() < asked["share"] else 0
        dut.s_valid.value = offers
        dut.s_data.value = entries[0] if offers else rng.randrange(1 << width)
        dut.m_take.value = takes
        await ReadOnly()
        seen = held[:window]
        assert int(dut.m_valid.value) == (1 << len(seen)) - 1
        data = int(dut.m_data.value)
        assert [data >> (width * i) & ((1 << width) - 1) for i in range(len(seen))] == seen
        ready = bool(dut.s_ready.value)
        assert ready == (len(held) < asked["depth"])
        fullest = max(fullest, len(held))
        found += [e for i, e in enumerate(seen) if takes >> i & 1]
        held = [e for i, e in enumerate(held) if i >= window or not takes >> i & 1]
        if offers and ready:
            held.append(entries.pop(0))
        await RisingEdge(dut.clk)
    assert sorted(found) == sorted(asked["entries"])
    assert (found == asked["entries"]) == (window == 1)
    assert idle or fullest == asked["depth"]


@cocotb.test()
@cocotb.parametrize(idle=[None, "bernoulli", "bursts"])
async def topk(dut, idle) -> None:
    """Which keys are kept, with pauses in the beats of flags; rows of keys are {lanes, keys, k, seed, keep}."""
    if dut._name != "topk":
        return
    await begin(dut, ("s_cmd_valid", "m_axis_tready"))
    lanes, width = len(dut.m_axis_tkeep), len(dut.src_data) // len(dut.m_axis_tkeep)
    rows: list[int] = []

    async def memory() -> None:
        while True:
            await ReadOnly()
            at = int(dut.src_row.value)
            await RisingEdge(dut.clk)
            dut.src_data.value = rows[at] if at < len(rows) else 0

    cocotb.start_soon(memory())
    for item in work():
        keys = item["keys"] + [0] * (-len(item["keys"]) % lanes)
        rows[:] = [
            sum(k << (width * i) for i, k in enumerate(keys[at : at + lanes])) for at in range(0, len(keys), lanes)
        ]
        await give(dut, "s_cmd", [{"count": len(item["keys"]), "k": item["k"], "seed": item["seed"]}], IDLE[None](0))
        names = ("m_axis_tkeep", "m_axis_tlast")
        found = await take(dut, "m_axis_tvalid", "m_axis_tready", names, len(rows), IDLE[idle](item["seed"]))
        flags = [f[0] >> i & 1 for f in found for i in range(lanes)][: len(item["keep"])]
        assert flags == item["keep"]
        assert [f[1] for f in found] == [0] * (len(rows) - 1) + [1]


@cocotb.test()
@cocotb.parametrize(idle=[None, "bernoulli", "bursts"])
async def spatten_core(dut, idle) -> None:
    """Scenes with cocotbext-axi's memory, pauses everywhere, a reset in the middle of every third."""
    if dut._name != "spatten_core":
        return
    scenes = work()
    await begin(dut, ("s_head_valid", "s_query_valid", "m_ready", "list_write", "token_write", "head_write"))
    size = max(len(s["memory"]) for s in scenes)
    ram = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=size)
    rng = random.Random(7)
    for number, scene in enumerate(scenes):
        ram.write(0, scene["memory"])
        for i, channel in enumerate((ram.ar_channel, ram.r_channel)):
            if idle:
                channel.set_pause_generator(IDLE[idle](number + i))
        for place, token in scene["lists"]:
            dut.list_write.value, dut.list_place.value, dut.list_token.value = 1, place, token
            await RisingEdge(dut.clk)
        dut.list_write.value = 0
        for attempt in range(2 if number % 3 == 2 else 1):
            streams = [
                cocotb.start_soon(give(dut, "s_head", scene["heads"], IDLE[idle](number + 5))),
                cocotb.start_soon(give(dut, "s_query", scene["queries"], IDLE[idle](number + 6))),
            ]
            if attempt == 0 and number % 3 == 2:
                await ClockCycles(dut.clk, rng.randrange(5, 150))
                for stream in streams:
                    stream.cancel()
                dut.s_head_valid.value = dut.s_query_valid.value = 0
                dut.rst.value = 1
                await ClockCycles(dut.clk, 3)
                dut.rst.value = 0
                await RisingEdge(dut.clk)
                continue
            names = ("m_tag", "m_status", "m_again", "m_output")
            found = await take(dut, "m_valid", "m_ready", names, len(scene["queries"]), IDLE[idle](number + 7))
            for stream in streams:
                await stream
        width = len(dut.m_output) // 128
        for tag, status, again, output in found:
            want = scene["expected"][tag]
            elements = [output >> (width * i) & ((1 << width) - 1) for i in range(128)]
            elements = [e - (1 << width) if e >> (width - 1) else e for e in elements]
            assert (status, again, elements) == (0, want["again"], want["output"] + [0] * (128 - len(want["output"])))
        await ClockCycles(dut.clk, 20)
        assert not dut.busy.value
