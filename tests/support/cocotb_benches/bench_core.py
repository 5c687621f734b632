# SPDX-License-Identifier: Apache-2.0
"""cocotb side of sat_core: cocotbext-axi's memory and host. Work comes in as a pickle, figures leave as JSON."""

from __future__ import annotations

import json
import os
import pickle
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam, AxiResp

CONTROL, STATUS, ERROR, PROGRAM, COMMANDS, COUNTERS = 0x04, 0x08, 0x0C, 0x10, 0x18, 0x40


def bernoulli(seed: int, share: float):
    """Pause in that share of cycles."""
    rng = random.Random(seed)
    while True:
        yield rng.random() < share


def bursts(seed: int):
    """Long pauses and long runs."""
    rng = random.Random(seed)
    while True:
        for pause in (True, False):
            for _ in range(rng.randrange(1, 40)):
                yield pause


class TB:
    """Clock, memory, host."""

    def __init__(self, dut, size: int) -> None:
        self.dut = dut
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=size)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        sides = (self.ram.read_if, self.ram.write_if, self.host.read_if, self.host.write_if)
        names = ("ar_channel", "r_channel", "aw_channel", "w_channel", "b_channel")
        self.channels = [getattr(side, name) for side in sides for name in names if hasattr(side, name)]
        assert len(self.channels) == 10
        # those on which the other side can hold up what is offered; the others are always ready for it
        waiting = ("m_axi_ar", "m_axi_aw", "m_axi_w", "s_axil_aw", "s_axil_w", "s_axil_b", "s_axil_r")
        self.waits = dict.fromkeys(waiting, 0)
        cocotb.start_soon(self._count())

    async def _count(self) -> None:
        """Cycles in which what is offered on a channel waits."""
        pairs = {n: (getattr(self.dut, f"{n}valid"), getattr(self.dut, f"{n}ready")) for n in self.waits}
        while True:
            await RisingEdge(self.dut.clk)
            for name, (valid, ready) in pairs.items():
                self.waits[name] += bool(valid.value) and not ready.value

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 4)

    def pause(self, make) -> None:
        """A generator of pauses for every channel of the memory and of the host; None for none."""
        for i, channel in enumerate(self.channels):
            if make is None:
                channel.clear_pause_generator()
                channel.pause = False
            else:
                channel.set_pause_generator(make(i))

    async def start(self, address: int, commands: int) -> None:
        await self.host.write_dword(PROGRAM, address)
        await self.host.write_dword(PROGRAM + 4, 0)
        await self.host.write_dword(COMMANDS, commands)
        await self.host.write_dword(CONTROL, 1)

    async def run(self, address: int, commands: int) -> int:
        """Start a program, wait for its end; the error word."""
        await self.start(address, commands)
        for _ in range(20_000):
            status = await self.host.read_dword(STATUS)
            if not status & 1:
                assert status & 2
                return await self.host.read_dword(ERROR)
            await ClockCycles(self.dut.clk, 50)
        raise AssertionError(f"not finished: counters {[await self.counter(i) for i in range(6)]}")

    async def counter(self, i: int) -> int:
        low, high = [await self.host.read_dword(COUNTERS + 8 * i + 4 * half) for half in (0, 1)]
        return low | high << 32

    async def check(self, work: dict) -> dict:
        """Put memory in place, run, compare every byte of it; what was measured."""
        self.ram.write(0, work["before"])
        error = await self.run(work["address"], work["commands"])
        after = self.ram.read(0, len(work["after"]))
        wrong = sum(a != b for a, b in zip(after, work["after"], strict=True)) if after != work["after"] else 0
        names = ("total", "run", "reduce", "update", "read", "written")
        counts = {name: await self.counter(i) for i, name in enumerate(names)}
        return {"label": work["label"], "error": error, "wrong": wrong, "bytes": len(after), **counts}


@cocotb.test(skip=os.environ.get("SCENARIO") != "programs")
async def programs(dut) -> None:
    """Each program on a memory without pauses: every byte and, with its response times, every cycle."""
    works = pickle.loads(Path(os.environ["WORK"]).read_bytes())
    tb = TB(dut, max(len(w["before"]) for w in works))
    await tb.reset()
    found = [await tb.check(work) for work in works]
    Path(os.environ["ANSWER"]).write_text(json.dumps(found))


@cocotb.test(skip=os.environ.get("SCENARIO") != "protocol")
@cocotb.parametrize(idle=[None, "bernoulli", "bursts"])
async def pauses(dut, idle) -> None:
    """Random pauses on all channels of memory and host; a reset in the middle; a program after a program."""
    works = pickle.loads(Path(os.environ["WORK"]).read_bytes())
    tb = TB(dut, max(len(w["before"]) for w in works))
    await tb.reset()
    makers = {"bernoulli": lambda i: bernoulli(i, 0.6), "bursts": bursts}
    slow = fast = 0
    for number, work in enumerate(works):
        tb.pause(makers[idle] if idle else None)
        if number % 3 == 2:  # cut it off, somewhere
            tb.ram.write(0, work["before"])
            await tb.start(work["address"], work["commands"])
            await ClockCycles(dut.clk, 7 + 31 * number)
            tb.pause(None)
            await tb.reset()
            tb.pause(makers[idle] if idle else None)
        found = await tb.check(work)
        assert found["error"] == work["error"], found
        assert found["wrong"] == 0, found
        for name in ("run", "reduce", "update"):
            assert found[name] == work[name], (name, found)
        slow, fast = slow + found["total"], fast + work["total"]
    # without pauses a program takes what the time line says; with them, longer: so they happened
    assert idle is None or slow > fast + 50 * len(works), "the pauses did not happen"
    assert idle is None or min(tb.waits.values()) > 0, f"a channel never waited: {tb.waits}"


@cocotb.test(skip=os.environ.get("SCENARIO") != "protocol")
async def registers(dut) -> None:
    """What may be read and written, and when; an error leaves the core usable."""
    work = pickle.loads(Path(os.environ["WORK"]).read_bytes())[0]
    tb = TB(dut, max(4096, len(work["before"])))
    await tb.reset()
    assert await tb.host.read_dword(0) == 0x53415431
    for address in (0x24, 0x3C, 0x70, 0xFC):
        assert (await tb.host.read(address, 4)).resp == AxiResp.SLVERR, hex(address)
        assert (await tb.host.write(address, b"\0\0\0\0")).resp == AxiResp.SLVERR, hex(address)
    assert (await tb.host.write(STATUS, b"\1\0\0\0")).resp == AxiResp.SLVERR
    # a program address that is no multiple of 128, a program of no commands, an unknown opcode
    assert await tb.run(64, 1) == 2
    assert await tb.run(0, 0) == 0
    tb.ram.write(0, b"\x63" + bytes(127))
    assert await tb.run(0, 1) == 1
    tb.ram.write(0, work["before"])
    await tb.start(work["address"], work["commands"])
    assert (await tb.host.write(PROGRAM, b"\0\0\0\0")).resp == AxiResp.SLVERR  # busy
    while (await tb.host.read_dword(STATUS)) & 1:
        await RisingEdge(dut.clk)
    assert tb.ram.read(0, len(work["after"])) == work["after"]
