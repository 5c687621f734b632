# SPDX-License-Identifier: Apache-2.0
"""SpAtten's functional level: near float64 by a unit, a naive twin's in every bit, within quantization's bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from algorithms.attention import pieces
from dataflow.attention.pruning import Quantization, kept, top_k
from dataflow.errors import InputError
from hwsim.spatten.config import SpattenConfig, eighth
from hwsim.spatten.timing.functional import (
    SATURATED,
    add_token_importance,
    confidence_limit,
    exponential,
    head_importance,
    msb_plane,
    quantize,
    run_query,
    softmax,
)

F = np.float32


def naive_exponential(x: F) -> F:
    """The module's text, word by word, in numpy's binary32."""
    if x <= F(-104):
        return F(0)
    i = np.rint(x * F(1.4426950408889634))
    f = (x - i * F(0.693359375)) - i * F(-2.12194440054690583e-4)
    y = F(0.008247722)
    for c in (0.04190532, 0.16668458, 0.49999073, 0.99999934, 1.0):
        y = y * f + F(c)
    y = F(np.ldexp(y, int(i)))
    return y if y >= F(2.0**-126) else F(0)


def naive_query(q, k, v, scale, lsb, threshold, keep_values, partial_sums, bits):
    def weigh(keys):
        x = np.array([F(int(np.dot(q.astype(object), row.astype(object)))) for row in keys]) * F(scale)
        e = np.array([naive_exponential(a) for a in x - x.max()])
        sums = [F(0)] * partial_sums
        for j, a in enumerate(e):
            sums[j % partial_sums] = sums[j % partial_sums] + a
        while len(sums) > 1:
            sums = [a + b for a, b in zip(sums[::2], sums[1::2], strict=True)]
        p = e / sums[0]
        return p.max(), np.rint(p * F((1 << bits) - 1)).astype(np.int64)

    best, p = weigh((k >> lsb) << lsb)
    again = bool(lsb and best < F(threshold))
    if again:
        _, p = weigh(k)
    places = top_k(p, keep_values)
    return p, places, p[places] @ v[places], again


def random_query(rng: np.random.Generator, bits: int, keys: int, dimension: int, sharp: float):
    q, q_scale = quantize(rng.standard_normal(dimension) * sharp, 12)
    k, k_scale = quantize(rng.standard_normal((keys, dimension)), bits)
    v, v_scale = quantize(rng.standard_normal((keys, dimension)), bits)
    return q, k, v, float(F(q_scale * k_scale / dimension**0.5)), v_scale


def naive_histogram_cycles(p: np.ndarray, k: int, bits: int, parallel: int) -> int:
    """The text of the histogram's engine: a pass of the filter, and one before it where the k-th largest is in a bin of
    several values."""
    rows, half = -(-len(p) // parallel), -(-bits // 2)
    filter_pass, refinement = rows + 3, rows + 1 + -(-half // 3)
    if k == 0:
        return 1
    return filter_pass + (refinement if k < len(p) and np.sort(p)[-k] >= 1 << half else 0)


def test_every_bit_of_the_naive_twin() -> None:
    rng = np.random.default_rng(0)
    refetched, refined = 0, 0
    for i in range(400):
        keys, dimension = int(rng.integers(1, 60)), int(rng.choice([32, 64, 128]))
        lsb, lanes, bits = int(rng.choice([0, 4])), int(rng.choice([1, 4, 8])), int(rng.choice([8, 12, 16]))
        q, k, v, scale, _ = random_query(
            rng, int(rng.choice([6, 8, 12])), keys, dimension, float(rng.choice([0, 1, 6]))
        )
        keep = kept(keys, float(rng.choice([0, 0.5, 0.9])))
        threshold = float(rng.choice([0.0, 0.1, 0.5]))
        adder = int(rng.choice([1, 2, 4]))
        engine = ("quick-select", "histogram")[i % 2]
        machine = SpattenConfig(softmax_lanes=lanes, adder_cycles=adder, probability_bits=bits, topk_engine=engine)
        found = run_query(machine, q, k, v, scale, lsb=lsb, threshold=threshold, keep_values=keep)
        p, places, output, again = naive_query(q, k, v, scale, lsb, threshold, keep, lanes * adder, bits)
        assert found.probabilities.tolist() == p.tolist()
        assert np.flatnonzero(found.kept).tolist() == places.tolist()
        assert found.output.tolist() == output.tolist()
        assert found.again == again
        if engine == "histogram":
            cycles = naive_histogram_cycles(p, keep, bits, machine.topk_parallel)
            assert found.topk_cycles == cycles
            refined += cycles > -(-keys // machine.topk_parallel) + 3
        refetched += again
    assert 20 < refined < 180
    assert 20 < refetched < 300


def test_exponential() -> None:
    x = np.concatenate([np.linspace(-87, 0, 20_001), -np.geomspace(1e-30, 1, 1001)]).astype(F)
    found = np.array([exponential(a) for a in x], np.float64)
    assert np.abs(found / np.exp(x.astype(np.float64)) - 1).max() < 4e-6
    assert exponential(F(0)) == exponential(F(-0.0)) == 1
    assert exponential(F(-104)) == exponential(F(-np.inf)) == 0
    assert np.isnan(exponential(F(np.nan)))


@pytest.mark.parametrize("bits", [8, 12])
def test_softmax_is_within_a_unit(bits: int) -> None:
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(1000):
        n = int(rng.integers(1, 1025))
        scores = rng.integers(-(10 ** int(rng.integers(1, 7))), 10**6, n)
        scale = F(10.0 ** rng.uniform(-7, -4))
        out = np.empty(n, np.uint16)
        softmax(scores, scale, 8, bits, out)
        x = scores * np.float64(scale)
        e = np.exp(x - x.max())
        worst = max(worst, float(np.abs(out - e / e.sum() * ((1 << bits) - 1)).max()))
    assert worst <= 1


@pytest.mark.parametrize("setting", [(4, 4), (6, 4), (8, 4), (8, 0), (12, 0)], ids=str)
def test_float_within_quantizations_bound(setting: tuple[int, int]) -> None:
    """Of 1,000 random heads: the algorithm's probabilities of the same integers, to a unit; and what quantization moves
    stays within the bound: an error ds of the scores moves the probabilities by at most 2 ds in all."""
    msb, lsb = setting
    rng = np.random.default_rng(msb)
    quantization = Quantization(msb=msb, lsb=lsb, threshold=0.1)
    units = (1 << 12) - 1
    for _ in range(1000):
        keys = int(rng.integers(2, 50))
        raw_q, raw_k = rng.standard_normal(64) * 3, rng.standard_normal((keys, 64))
        q, q_scale = quantize(raw_q, 12)
        k, k_scale = quantize(raw_k, msb + lsb)
        scale = float(F(q_scale * k_scale / 8))
        found = run_query(SpattenConfig(), q, k, k, scale, lsb=lsb, threshold=0.1, keep_values=keys)
        whole_q = torch.from_numpy(q * q_scale)[None, None].float()
        for full in (False, True):
            used = (k if full else msb_plane(k, lsb)) * k_scale
            p = pieces.probabilities(whole_q, torch.from_numpy(used)[None].float(), 0.125)[0, 0].double().numpy()
            if full == found.again:
                assert np.abs(found.probabilities - p * units).max() <= 1
                moved = np.abs(used @ (q * q_scale) - raw_k @ raw_q).max() / 8
                x = raw_k @ raw_q / 8
                exact = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
                assert np.abs(found.probabilities / units - exact).sum() <= 2 * moved + keys / units
        integers, _ = pieces.quantize(torch.from_numpy(raw_k)[None].float(), quantization.bits)
        assert np.array_equal(integers[0].numpy(), k)


def test_confidence_limit() -> None:
    """The sum above the limit says the same as the largest probability below the threshold, at every neighbour."""
    rng = np.random.default_rng(3)
    for threshold in [0.1, 0.05, 1.0, 1e-3, 1 / 3, *rng.uniform(1e-4, 1, 500).tolist()]:
        limit = F(confidence_limit(threshold))
        near = limit.view(np.int32) + np.arange(-20, 21, dtype=np.int32)
        for total in near.view(F):
            assert (F(1) / total < F(threshold)) == (total > limit)
    assert confidence_limit(0.0) == np.inf


def test_importance() -> None:
    scores = np.array([0, 5, SATURATED - 1], np.uint32)
    add_token_importance(scores, np.array([1, 2, 3], np.uint16))
    assert scores.tolist() == [1, 7, SATURATED]
    assert head_importance(1.5, 8, 0.25) == 3.5


def test_quantize_at_the_edges() -> None:
    assert quantize(np.zeros((2, 2)), 8)[1] == 1.0
    integers, scale = quantize(np.array([np.nan, 1.0, -7.0, 2.5, 3.5]), 4)
    assert integers.tolist() == [0, 1, -7, 2, 4]
    assert scale == 1
    assert np.isfinite(quantize(np.array([np.inf, 1.0]), 8)[1])
    assert quantize(np.array([1e-45], F), 8)[0].tolist()[0] in (0, 1)
    assert msb_plane(np.array([-1, 17, 15]), 4).tolist() == [-16, 16, 0]


def test_wrong_shapes_are_one_line() -> None:
    q, k = np.zeros(64, np.int32), np.zeros((3, 64), np.int32)
    with pytest.raises(InputError, match="L1 at least 1"):
        run_query(SpattenConfig(), q, k[:0], k[:0], 1.0, lsb=0, threshold=0, keep_values=1)
    with pytest.raises(InputError, match="scale=nan"):
        run_query(SpattenConfig(), q, k, k, float("nan"), lsb=0, threshold=0, keep_values=1)


def test_machines() -> None:
    full, small = SpattenConfig(), eighth()
    assert full.memory.peak_bytes_per_cycle == 512
    assert small.qk_multipliers + small.pv_multipliers == 128
    assert small.memory.peak_bytes_per_cycle == 64
