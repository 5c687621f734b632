# SPDX-License-Identifier: Apache-2.0
"""RTL in cocotb: stream modules with random pauses and resets; both cores with cocotbext-axi's memory.

One real training step goes through the core, every word and every cycle.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from algorithms.training.config import TrainConfig
from algorithms.training.train import train
from dataflow.training.trace import Trace
from hwsim.memory.config import DramConfig
from hwsim.rtl_tools.plain import plain_path
from hwsim.rtl_tools.sources import RTL, folders, needed
from hwsim.rtl_tools.verilator import ASSERTING, built_once, environment, jobs, link_runtime
from hwsim.sat.bench.core import MemoryImage, across_order, bench_of, core_config, random_program
from hwsim.sat.bench.engines import sore_commands, wuve_commands
from hwsim.sat.bench.step import step_programs
from hwsim.sat.config import SatConfig
from hwsim.sat.program import REDUCE, RUN, UPDATE, MemoryTiming, Program, timeline
from hwsim.spatten.bench import attention
from hwsim.spatten.timing.topk import select
from tests.support import tools

tools.verilator()
runner = tools.package("cocotb_tools.runner")
config_of = tools.package("cocotb_tools.config")

AXI_RAM = MemoryTiming(read=2, write=2)
"""Response times of cocotbext-axi's memory without pauses."""


def built(top: str, parameters: Mapping[str, int]) -> Path:
    """Folder of the simulation with cocotb's C++ side, built once for each content.

    The runner's own build makes every signal of the design public, which takes an array ten times as long to compile;
    the benches need the ports alone.
    """
    sources = needed(top, plain_path(RTL))
    libs, share = plain_path(config_of.libs_dir), plain_path(config_of.share_dir)

    def make(scratch: Path) -> None:
        command = [
            "verilator", "--cc", "--exe", "--build", *ASSERTING, "-j", str(jobs()), "--vpi",
            *link_runtime(scratch, ("--vpi",)),
            "--public-depth", "1", "--prefix", "Vtop",
            "--x-assign", "unique", "--x-initial", "unique", "-Mdir", str(scratch), "--top-module", top, "-o", top,
            "-LDFLAGS", f"-Wl,-rpath,{libs} -L{libs} -lcocotbvpi_verilator", "-CFLAGS", "-O1",
            "-MAKEFLAGS", "OPT_SLOW=-O0", *(f"-G{k}={v}" for k, v in parameters.items()),
            str(share / "lib" / "verilator" / "verilator.cpp"), *folders(plain_path(RTL)),
            *(str(p) for p in sources if p.suffix == ".v"),
        ]  # fmt: skip
        subprocess.run(command, env=environment(), check=True, capture_output=True)

    # the program finds cocotb's library where it was linked, so an environment of another place needs its own
    return built_once("cocotb", sources, (top, sorted(parameters.items()), str(libs)), top, make).parent


def simulate(
    top: str, parameters: Mapping[str, int], module: str, work: object, folder: Path, scenario: str = ""
) -> object:
    """Build (once for each content), run the module's tests on pickled work; the answer they wrote, if any."""
    build = built(top, parameters)
    os.environ.update({name: environment()[name] for name in ("VERILATOR_ROOT", "PATH") if name in environment()})
    sim = runner.get_runner("verilator")
    (folder / "work.pickle").write_bytes(pickle.dumps(work))
    results = sim.test(
        test_module=f"tests.support.cocotb_benches.{module}",
        hdl_toplevel=top,
        hdl_toplevel_lang="verilog",
        build_dir=build,
        test_dir=folder,
        results_xml=str(folder / "results.xml"),
        extra_env={
            "WORK": str(folder / "work.pickle"),
            "ANSWER": str(folder / "answer.json"),
            "SCENARIO": scenario,
        },
    )
    count, failed = runner.get_results(results)
    assert count > 0, "nothing ran"
    assert failed == 0
    answer = folder / "answer.json"
    return json.loads(answer.read_text()) if answer.exists() else None


def as_work(program: Program, memory: MemoryImage, label: str) -> dict:
    address = memory.place(program.image().tobytes())
    cycles = {k: sum(op.cycles for op in program.ops if op.kind == k) for k in (RUN, REDUCE, UPDATE)}
    return {
        "label": label,
        "before": b"".join(memory.before),
        "after": b"".join(memory.after),
        "address": address,
        "commands": len(program.ops),
        "error": 0,
        "run": cycles[RUN],
        "reduce": cycles[REDUCE],
        "update": cycles[UPDATE],
        "total": timeline(program, AXI_RAM, address),
    }


@pytest.mark.rtl
@pytest.mark.parametrize("size", [(1, 1), (2, 3)], ids=str)
def test_core_protocol(size: tuple[int, int], tmp_path: Path) -> None:
    """Random programs with pauses on every channel, resets in the middle, registers, errors."""
    config = core_config(*size, group_max=8, weight_registers=4)
    rng = np.random.default_rng(3)
    works = [as_work(*random_program(rng, config)) for _ in range(9)]
    simulate("sat_core", bench_of(config).parameters, "bench_core", works, tmp_path, "protocol")


@pytest.mark.rtl
def test_a_real_training_step(tmp_path: Path) -> None:
    """The digits CNN's traced BDWP step: FF, WU, BP and updates of every layer, with SORE before and behind."""
    torch.set_num_threads(1)
    layers = ("convs.0", "convs.1", "convs.2", "convs.3", "hidden", "classifier")
    train(
        TrainConfig(
            task="digits-cnn", method="bdwp", steps=4, batch=8, trace_steps=(3,), trace_batch=1, trace_layers=layers
        ),
        tmp_path,
    )
    trace = Trace.read(tmp_path / "trace")
    config = SatConfig(
        rows=8, cols=8, sore_lanes=8, wuve_lanes=8, west_buffer_bytes=1 << 19, north_buffer_bytes=1 << 19,
        output_buffer_bytes=1 << 17, state_buffer_bytes=1 << 14,
    )  # fmt: skip
    works = [as_work(w.program, w.memory, w.label) for w in step_programs(trace, config, trace.steps[0])]
    assert {w["label"].split()[0].split(".")[-1] for w in works} == {"FF", "WU", "BP", "UP"}
    found = simulate("sat_core", bench_of(config).parameters, "bench_core", works, tmp_path, "programs")
    assert isinstance(found, list)
    for work, got in zip(works, found, strict=True):
        assert (got["error"], got["wrong"]) == (0, 0), got
        for name in ("run", "reduce", "update", "total"):
            assert got[name] == work[name], (name, work["label"], got[name], work[name])
    assert sum(w["reduce"] for w in works) > 0
    assert sum(w["update"] for w in works) > 0


def stream_work(commands) -> list[dict]:
    return [{"fields": c.fields(), "beats": c.beats(), "expected": c.answer()} for c in commands]


@pytest.mark.rtl
def test_sore_stream(tmp_path: Path) -> None:
    config = SatConfig(sore_lanes=3, weight_registers=2, group_max=8)
    commands, parameters = sore_commands(np.random.default_rng(5), config, 60)
    simulate("sore", parameters, "bench_stream", stream_work(commands), tmp_path)


@pytest.mark.rtl
def test_wuve_stream(tmp_path: Path) -> None:
    config = SatConfig(wuve_lanes=2, mul_latency=2, add_latency=3)
    commands, parameters = wuve_commands(np.random.default_rng(6), config, 60)
    simulate("wuve", parameters, "bench_stream", stream_work(commands), tmp_path)


@pytest.mark.rtl
def test_weight_block_stream(tmp_path: Path) -> None:
    """Every m that divides the lanes, each choice of orders, several blocks in flight."""
    rng, lanes = np.random.default_rng(7), 4
    works = []
    for i in range(40):
        m = int(rng.choice([1, 2, 4]))
        direct, across = ((1, 0), (0, 1), (1, 1))[i % 3]
        words = rng.integers(0, 1 << 16, (m * int(rng.integers(1, 6)), lanes), dtype=np.uint16)
        leaves: list[np.ndarray] = []
        for block in words.reshape(-1, m, lanes):
            leaves += [block] * direct + [across_order(block, m)] * across
        expected = [beat.tobytes() for beat in np.concatenate(leaves)]
        fields = {"m": m, "direct": direct, "across": across}
        works.append({"fields": fields, "beats": [w.tobytes() for w in words], "expected": expected})
    simulate("weight_block", {"LANES": lanes, "GROUP_MAX": 4}, "bench_stream", works, tmp_path)


@pytest.mark.rtl
def test_spatten_core_protocol(tmp_path: Path) -> None:
    """Random heads on cocotbext-axi's memory, with pauses on every stream and resets in the middle."""
    config = attention.small(
        qk_multipliers=32, pv_multipliers=64, softmax_lanes=2, adder_cycles=2, topk_parallel=2, crossbar_inputs=4,
        queries_in_flight=3, buffer_keys=16, memory=DramConfig(channels=1),
    )  # fmt: skip
    rng = np.random.default_rng(11)
    works = []
    while len(works) < 7:
        scene, lists = attention.random_scene(rng, config, far=False)
        results = [r for a in scene.work for r in a.results]
        works.append({
            "memory": bytes(scene.memory), "lists": lists.tolist(),
            "heads": [dict(zip(attention.HEAD_FIELDS, h, strict=True)) for h in scene.heads],
            "queries": [dict(zip(attention.QUERY_FIELDS, q, strict=True)) for q in scene.queries],
            "expected": [{"again": int(r.again), "output": r.output.tolist()} for r in results],
        })  # fmt: skip
    simulate("spatten_core", attention.bench_of(config).parameters, "bench_attention", works, tmp_path)


@pytest.mark.rtl
def test_zero_eliminator_stream(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    works = [{"elements": rng.integers(0, 256, 5).tolist(), "keep": (rng.random(5) < 0.5).tolist()} for _ in range(60)]
    simulate("zero_eliminator", {"LANES": 5, "WIDTH": 8}, "bench_attention", works, tmp_path)


@pytest.mark.rtl
@pytest.mark.parametrize("depth", [1, 3])
def test_fifo_stream(depth: int, tmp_path: Path) -> None:
    works = np.random.default_rng(13).integers(0, 256, 80).tolist()
    simulate("fifo", {"WIDTH": 8, "DEPTH": depth}, "bench_attention", works, tmp_path)


@pytest.mark.rtl
@pytest.mark.parametrize(("depth", "window"), [(1, 1), (4, 1), (3, 2), (4, 4), (9, 8)])
def test_window_fifo(depth: int, window: int, tmp_path: Path) -> None:
    entries = np.random.default_rng(15).integers(0, 256, 200).tolist()
    works = {"entries": entries, "depth": depth, "share": 1 / window}
    parameters = {"WIDTH": 8, "DEPTH": depth, "WINDOW": window}
    simulate("window_fifo", parameters, "bench_attention", works, tmp_path)


@pytest.mark.rtl
def test_topk_stream(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    works = []
    for _ in range(15):
        keys = rng.integers(0, int(rng.choice([2, 200])), int(rng.integers(1, 65)))
        k, seed = int(rng.integers(1, len(keys) + 1)), int(rng.integers(1, 1 << 16))
        keep = np.zeros(len(keys), np.bool_)
        select(keys.astype(np.uint32), k, 4, seed, keep)
        works.append({"keys": keys.tolist(), "k": k, "seed": seed, "keep": keep.astype(int).tolist()})
    simulate("topk", {"LANES": 4, "SIZE": 64, "WIDTH": 8}, "bench_attention", works, tmp_path)


def test_weight_block_turns_weights_round() -> None:
    """Across: a group of M lanes of a word becomes M words of a lane."""
    words = np.arange(4 * 4).reshape(4, 4)
    turned = across_order(words, 2)
    # block 0: words 0 and 1; lane i * 2 + q holds elements q * 2 .. of word i
    assert turned[:2].T.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
