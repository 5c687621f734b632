# SPDX-License-Identifier: Apache-2.0
"""Cases of the arithmetic units, against numpy's IEEE 754 arithmetic: all pairs of special operands, random ones."""

from __future__ import annotations

import numpy as np

from hwsim.core.ieee import canonical, to_fp16

from .case import Bench, BlockRow, Case, VerifyOptions, check

SPECIAL16 = np.array(
    [0x0000, 0x0001, 0x0002, 0x03FE, 0x03FF, 0x0400, 0x0401, 0x3BFF, 0x3C00, 0x3C01, 0x7BFE, 0x7BFF, 0x7C00, 0x7C01,
     0x7E00, 0x7FFF], np.uint16,
)  # fmt: skip
SPECIAL32 = np.array(
    [0x00000000, 0x00000001, 0x00000002, 0x007FFFFE, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000,
     0x33000000, 0x33000001, 0x337FFFFF, 0x33800000, 0x387FC000, 0x387FE000, 0x387FF000, 0x38800000, 0x3F7FFFFF,
     0x3F800000, 0x3F800001, 0x477FE000, 0x477FEFFF, 0x477FF000, 0x4B000000, 0x4B800000, 0x7F000000, 0x7F7FFFFE,
     0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF], np.uint32,
)  # fmt: skip


def operands16(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint16 operands: each special value with all 2^16 numbers, then random pairs."""
    special = np.concatenate([SPECIAL16, SPECIAL16 | 0x8000])
    whole = np.arange(1 << 16, dtype=np.uint16)
    a = np.concatenate([np.repeat(special, 1 << 16), rng.integers(0, 1 << 16, count).astype(np.uint16)])
    b = np.concatenate([np.tile(whole, len(special)), rng.integers(0, 1 << 16, count).astype(np.uint16)])
    return a, b


def operands32(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint32 operands: all pairs of special values, random bits, and pairs of exponents so near that sums cancel, round
    and tie, pairs whose products are nearly subnormal or too large."""
    special = np.concatenate([SPECIAL32, SPECIAL32 | 0x80000000])
    a, b = (x.ravel() for x in np.meshgrid(special, special))
    bits = rng.integers(0, 1 << 32, (2, count), dtype=np.uint32)
    # a small exponent distance, and significands of few ones: ties happen
    near = bits.copy()
    distance = rng.integers(-27, 28, count)
    exponent = np.clip(((near[0] >> 23) & 0xFF).astype(np.int64) + distance, 0, 254).astype(np.uint32)
    near[1] = (near[1] & 0x807FFFFF) | (exponent << 23)
    near &= np.where(rng.random((2, count)) < 0.5, 0xFFFFFFFF, 0xFFF80000).astype(np.uint32)
    # products near the subnormal range and near overflow
    edge = bits.copy()
    total = np.where(rng.random(count) < 0.5, rng.integers(100, 132, count), rng.integers(376, 386, count))
    first = np.clip(rng.integers(1, 255, count), total - 254, total - 1)
    edge[0] = (edge[0] & 0x807FFFFF) | (first.astype(np.uint32) << 23)
    edge[1] = (edge[1] & 0x807FFFFF) | ((total - first).clip(0, 254).astype(np.uint32) << 23)
    edge &= np.where(rng.random((2, count)) < 0.5, 0xFFFFFFFF, 0xFFFFF000).astype(np.uint32)
    return np.concatenate([a, bits[0], near[0], edge[0]]), np.concatenate([b, bits[1], near[1], edge[1]])


def unit(
    block: str,
    latency: int | None,
    a: np.ndarray,
    b: np.ndarray | None,
    expected: np.ndarray,
    options: VerifyOptions,
    parameters: dict[str, int] | None = None,
) -> BlockRow:
    """Compare; ``parameters``: of a unit whose latency is not one of them."""
    defines: dict[str, str | int] = {"LATENCY": latency or 0}
    defines |= {"HAS_CLOCK": 1} if latency is not None else {}
    defines |= {"HAS_B": 1} if b is not None else {}
    parameters = parameters or ({} if latency is None else {"LATENCY": latency})
    bench = Bench(block, "hwsim.verification:unit_main.cpp", parameters, defines)
    words = np.zeros((len(a), 2), np.uint32)
    words[:, 0] = a
    if b is not None:
        words[:, 1] = b
    want = expected.view(f"u{expected.itemsize}").astype(np.uint32)
    row = check(block, bench, [Case(f"{len(a)} operands", words.tobytes(), {"output": want})], options)
    row.cases, row.bits = len(a), 8 * expected.nbytes
    return row


def at_latencies(
    block: str, latencies: tuple[int, ...], a: np.ndarray, b: np.ndarray | None, expected: np.ndarray,
    options: VerifyOptions, parameters: dict[str, int] | None = None,
) -> BlockRow:  # fmt: skip
    """Compare a unit with its registers in several places: all operands at the first latency, some at the others."""
    total = BlockRow(block)
    for i, latency in enumerate(latencies[:1] if options.smallest else latencies):
        some = slice(None, None, 1 if i == 0 else 29)
        values = None if parameters is None else parameters | {"LATENCY": latency}
        other = None if b is None else b[some]
        total.add(unit(block, latency, a[some], other, expected[some], options, values))
    return total


def fp16_mul(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    a, b = operands16(rng, cases)
    with np.errstate(all="ignore"):
        y = canonical(a.view(np.float16).astype(np.float32) * b.view(np.float16).astype(np.float32))
    return at_latencies("fp16_mul", (3, 1, 2, 4), a, b, y, options)


def int8_mul(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    pairs = np.arange(1 << 16, dtype=np.uint16)  # all there are
    a, b = (pairs >> 8).astype(np.uint8), (pairs & 0xFF).astype(np.uint8)
    y = a.view(np.int8).astype(np.int16) * b.view(np.int8).astype(np.int16)
    return at_latencies("int8_mul", (1, 2, 3), a, b, y.view(np.uint16), options)


def fp32_add(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    a, b = operands32(rng, cases)
    with np.errstate(all="ignore"):
        y = canonical(a.view(np.float32) + b.view(np.float32))
    return at_latencies("fp32_add", (4, 1, 2, 3, 5, 7), a, b, y, options)


def fp32_mul(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    a, b = operands32(rng, cases)
    with np.errstate(all="ignore"):
        y = canonical(a.view(np.float32) * b.view(np.float32))
    return at_latencies("fp32_mul", (1, 2, 3, 4, 6), a, b, y, options)


def fp32_div(rng: np.random.Generator, cases: int, options: VerifyOptions, latency: int) -> BlockRow:
    a, b = operands32(rng, cases)
    # a product's edge cases, with the second exponent turned round: quotients nearly subnormal or too large
    turned = (b & 0x807FFFFF) | ((254 - ((b >> 23) & 0xFF).astype(np.int64)).clip(0, 254).astype(np.uint32) << 23)
    a, b = np.concatenate([a, a]), np.concatenate([b, turned])
    with np.errstate(all="ignore"):
        y = canonical(a.view(np.float32) / b.view(np.float32))
    return at_latencies("fp32_div", (latency, latency + 1, latency + 3), a, b, y, options)


def fp16_to_fp32(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    a = np.arange(1 << 16, dtype=np.uint16)  # all there are
    return unit("fp16_to_fp32", None, a, None, canonical(a.view(np.float16).astype(np.float32)), options)


def fp32_to_fp16(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    # every binary16 number and the points where rounding turns, one step to either side; then random ones
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = ((halves[1:].astype(np.float64) + halves[:-1]) / 2).astype(np.float32)
    points = np.concatenate([halves, middles]).view(np.uint32)
    steps = np.concatenate([points, points + 1, np.maximum(points, 1) - 1])
    random = operands32(rng, cases)[0]
    a = np.concatenate([steps, steps | 0x80000000, random])
    return unit("fp32_to_fp16", None, a, None, to_fp16(a.view(np.float32)), options)


def int_to_fp32(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Every magnitude, and around every place where rounding turns."""
    edges = (np.int64(1) << np.arange(32))[:, None] * np.array([1, 3]) // 2
    near = (edges.ravel()[:, None] + np.arange(-70, 71)).ravel()
    random = rng.integers(-(1 << 31), 1 << 31, cases) >> rng.integers(0, 31, cases)
    a = np.concatenate([near, -near, random]).clip(-(1 << 31), (1 << 31) - 1).astype(np.int32)
    y = a.astype(np.float32).view(np.uint32)
    return at_latencies("int_to_fp32", (1, 2, 4), a.view(np.uint32), None, y, options, {"WIDTH": 32})


def fp32_to_int(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Every half and its neighbours, anything at all, special values; saturating at 2^12 - 1."""
    halves = (np.arange(0, 8300) / 2).astype(np.float32).view(np.uint32)
    bits = np.concatenate([halves, halves + 1, np.maximum(halves, 1) - 1, operands32(rng, cases)[0]])
    x = bits.view(np.float32)
    with np.errstate(invalid="ignore"):
        y = np.clip(np.rint(np.where(np.isnan(x), np.inf, x)), 0, 4095).astype(np.uint32)
    return at_latencies("fp32_to_int", (1, 3), bits, None, y, options, {"WIDTH": 12})
