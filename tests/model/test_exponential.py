# SPDX-License-Identifier: Apache-2.0
"""The exponential against arithmetic that is not its own: binary64, itself held against mpmath."""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest

from hwsim.rtl_tools.sources import RTL
from hwsim.spatten.timing.functional import EXP_COEFFICIENTS, exponentials

FIRST, END = 0x8000_0001, 0xC2AE_AC50  # the least negative number; behind -87.33654, whose exp is the last normal one


def ulps(bits: np.ndarray) -> np.ndarray:
    """Distance of `exponentials` from exp in binary64, in units of the last place of the binary32 result."""
    x = bits.astype(np.uint32).view(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert exact.min() >= 2.0**-126
    return np.abs(exponentials(x) - exact) / np.ldexp(1.0, np.frexp(exact)[1] - 24)


def test_at_most_two_ulp_in_every_binade() -> None:
    """20,000 numbers of each binade with its first and last ones, subnormal ones too, and two million over all."""
    rng = np.random.default_rng(5)
    worst = 0.0
    for exponent in range(0x100, 0x186):
        low, high = max(exponent << 23, FIRST), min((exponent + 1) << 23, END)
        edge = np.arange(300)
        bits = np.concatenate([rng.integers(low, high, 20_000), low + edge, high - 1 - edge])
        worst = max(worst, ulps(bits).max())
    even = -rng.uniform(0, 87.33, 2_000_000).astype(np.float32)
    worst = max(worst, ulps(even.view(np.uint32)).max())
    assert 1.5 < worst <= 2


@pytest.mark.nightly
def test_at_most_two_ulp_of_all_numbers() -> None:
    """Every binary32 number from -2^-30 on: what is nearer to 0 gives 1."""
    step = 1 << 22
    worst = max(ulps(np.arange(at, min(at + step, END))).max() for at in range(0xB080_0000, END, step))
    assert worst == pytest.approx(1.9658, abs=1e-4)


def test_binary64_is_a_reference() -> None:
    x = -np.random.default_rng(6).uniform(0, 87.3, 2000)
    with mpmath.workdps(40):
        apart = max(abs(mpmath.exp(mpmath.mpf(float(v))) / mpmath.mpf(float(np.exp(v))) - 1) for v in x)
    assert apart < 1e-15


def test_the_rtl_has_the_same_coefficients() -> None:
    text = (RTL / "spatten" / "fp32_exp.v").read_text(encoding="utf-8")
    first, others = re.search(r"C5 = 32'h(\w+);", text), re.search(r"\] C = \{(.*?)\};", text)
    assert first is not None
    assert others is not None
    words = [first[1], *reversed(re.findall(r"32'h(\w+)", others[1]))]
    assert tuple(int(w, 16) for w in words) == EXP_COEFFICIENTS
