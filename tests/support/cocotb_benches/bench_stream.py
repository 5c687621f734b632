# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the stream modules SORE, WUVE and weight_block: commands with random pauses on both streams."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from tests.support.cocotb_benches.bench_core import bernoulli, bursts


class TB:
    """Clock, a source and a sink of beats, the command port."""

    def __init__(self, dut, idle: str | None, seed: int) -> None:
        self.dut = dut
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst, byte_size=8)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst, byte_size=8)
        makers = {"bernoulli": lambda i: bernoulli(seed + i, 0.5), "bursts": lambda i: bursts(seed + i)}
        if idle:
            self.source.set_pause_generator(makers[idle](0))
            self.sink.set_pause_generator(makers[idle](1))

    async def reset(self) -> None:
        self.dut.rst.value = 1
        (self.dut.s_cmd_valid if hasattr(self.dut, "s_cmd_valid") else self.dut.clear).value = 0
        await ClockCycles(self.dut.clk, 3)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)

    async def command(self, fields: dict[str, int]) -> None:
        if not hasattr(self.dut, "s_cmd_valid"):  # weight_block: settings that are held, and a pulse
            for name, value in fields.items():
                getattr(self.dut, name).value = value
            self.dut.clear.value = 1
            await RisingEdge(self.dut.clk)
            self.dut.clear.value = 0
            return
        for name, value in fields.items():
            getattr(self.dut, f"s_cmd_{name}").value = value
        self.dut.s_cmd_valid.value = 1
        while True:
            await ReadOnly()
            ready = bool(self.dut.s_cmd_ready.value)
            await RisingEdge(self.dut.clk)
            if ready:
                break
        self.dut.s_cmd_valid.value = 0
        for name in fields:  # not held after it is taken
            getattr(self.dut, f"s_cmd_{name}").value = 0


@cocotb.test()
@cocotb.parametrize(idle=[None, "bernoulli", "bursts"])
async def commands(dut, idle) -> None:
    """Back to back, with pauses and resets in the middle; nothing is left over."""
    works = pickle.loads(Path(os.environ["WORK"]).read_bytes())
    tb = TB(dut, idle, 17)
    await tb.reset()
    rng = random.Random(5)
    for number, work in enumerate(works):
        beats = work["beats"]
        size = len(beats[0]) if beats else 0
        if number % 4 == 3 and beats:  # cut it off
            await tb.command(work["fields"])
            await tb.source.send(AxiStreamFrame(b"".join(beats)))
            await ClockCycles(dut.clk, rng.randrange(1, 20))
            tb.source.clear()
            await tb.reset()
            tb.source.clear()
            tb.sink.clear()
        await tb.command(work["fields"])
        if beats:
            assert size * 8 == len(dut.s_axis_tdata)
            await tb.source.send(AxiStreamFrame(b"".join(beats)))
        found, want = b"", b"".join(work["expected"])
        while len(found) < len(want):  # a frame ends with the command, or with the beat where there is no tlast
            found += bytes((await tb.sink.recv()).tdata)
        assert found == want, f"command {number}"
    await ClockCycles(dut.clk, 50)
    assert tb.sink.empty()
