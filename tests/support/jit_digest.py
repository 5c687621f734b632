# SPDX-License-Identifier: Apache-2.0
"""Hashes of what the kernels compute on small random work: the same with and without Numba's compiler.

python -m tests.support.jit_digest PART compiles the kernels of a part.
"""

from __future__ import annotations

import hashlib
import sys

import numpy as np

from dataflow.attention.workload import Transformer, make_workload, usual_pruning
from dataflow.mapping.lowering import lower
from dataflow.networks.network import Conv, Network
from dataflow.pattern import NM
from dataflow.training.methods import Method
from hwsim.memory.config import ddr4_2400, hbm2
from hwsim.memory.run import run
from hwsim.sat.bench.jobs import random_case
from hwsim.sat.config import SatConfig
from hwsim.sat.timing.clock import run_job
from hwsim.sat.timing.clock_engines import run_sore, run_wuve
from hwsim.sat.timing.functional import stce
from hwsim.sat.timing.step import simulate
from hwsim.sat.timing.tile import job_cycles
from hwsim.spatten.baselines import STYLES, style
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.timing.functional import quantize, run_query
from hwsim.spatten.timing.lower import layers
from hwsim.spatten.timing.scores import SyntheticScores
from hwsim.spatten.timing.simulate import simulate as simulate_attention
from hwsim.spatten.timing.topk import select
from hwsim.systolic import stepped


def sat() -> str:
    """Outputs and cycles of random jobs, both engines, a scheduled step."""
    rng = np.random.default_rng(11)
    found = hashlib.sha256()
    for _ in range(40):
        case = random_case(rng, largest=3, length=9)
        out, cycles = run_job(case.job, case.x, case.values, case.positions, case.psum)
        pattern = None if case.positions is None else case.pattern
        functional = stce(case.x, case.values, case.positions, pattern, case.psum)
        causes = np.zeros(7, np.int64)
        found.update(out.tobytes() + functional.tobytes())
        found.update(f"{cycles} {job_cycles(case.job, causes)} {causes.tolist()}".encode())
    config = SatConfig(rows=4, cols=4, sore_lanes=3, wuve_lanes=5)
    w = rng.standard_normal((16, 5)).astype(np.float16)
    values, index, cycles = run_sore(config, w, NM(2, 8))
    found.update(values.tobytes() + index.tobytes() + str(cycles).encode())
    state = rng.standard_normal((2, 23)).astype(np.float32)
    *new, cycles = run_wuve(config, state[0], state[1], state[0].astype(np.float16), (0.1, 0.9, 0.01))
    found.update(b"".join(a.tobytes() for a in new) + str(cycles).encode())
    layer = Conv(name="c", in_channels=8, out_channels=8, height=5, width=5, kernel=(3, 3), padding=(1, 1))
    work = lower(Network(name="n", layers=(layer,)), batch=2, method=Method.BDWP, pattern=NM(2, 8))
    found.update(str(simulate(config, work).steps).encode())
    return found.hexdigest()


def spatten() -> str:
    """Memory lists, attention of every style, top-k commands and queries."""
    rng = np.random.default_rng(11)
    found = hashlib.sha256()
    for config in (hbm2(2), ddr4_2400()):
        result = run(config, rng.integers(0, 1 << 16, 150) * 32, rng.random(150) < 0.3)
        found.update(f"{result.cycles} {result.commands}".encode())
    model = Transformer(2, 2, 32, 12, 1)
    work_of = make_workload("w", model, usual_pruning(model), refetched=0.5)
    for name in STYLES:
        machine, source = SpattenConfig(queries_in_flight=2, topk_parallel=2), SyntheticScores(0, 2.0, 12)
        used = style(name, machine, source)
        attended = simulate_attention(machine, layers([work_of.rows]), source, workload="w", style=used)
        found.update(str(attended.steps).encode() + attended.queries.to_csv().encode())
    keep, state = np.empty(60, np.bool_), 1
    for k in (0, 7, 59, 60):
        *figures, state = select(rng.integers(0, 9, 60).astype(np.uint32), k, 4, state, keep)
        found.update(f"{figures} {state} {keep.tolist()}".encode())
    q, k_, v = (quantize(rng.standard_normal(shape), 8)[0] for shape in ((32,), (20, 32), (20, 32)))
    for threshold in (0.0, 0.9):
        got = run_query(SpattenConfig(), q, k_, v, 1e-3, lsb=4, threshold=threshold, keep_values=9)
        found.update(got.probabilities.tobytes() + got.output.tobytes() + str(got[3:]).encode())
    return found.hexdigest()


def systolic() -> str:
    """Products, cycles and accesses of the clocked array in every dataflow."""
    rng = np.random.default_rng(11)
    found = hashlib.sha256()
    for dataflow in ("os", "ws", "is"):
        left, right = rng.integers(-9, 9, (7, 5)), rng.integers(-9, 9, (5, 6))
        product, *counts = stepped.run(dataflow, left, right, 3, 4)
        found.update(product.tobytes() + str(counts).encode())
    return found.hexdigest()


PARTS = {"sat": sat, "spatten": spatten, "systolic": systolic}

if __name__ == "__main__":
    print(PARTS[sys.argv[1]]())
