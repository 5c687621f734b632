# SPDX-License-Identifier: Apache-2.0
"""Cases of the exponential, bit for bit as the functional level."""

from __future__ import annotations

import numpy as np

from hwsim.core.ieee import canonical
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.timing.functional import exponentials
from hwsim.verification.case import BlockRow, VerifyOptions
from hwsim.verification.units import unit


def fp32_exp(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Numbers that are not positive: any bits, evenly and over all magnitudes, and around every place where the nearest
    integer, the flush to 0 or the result's exponent changes."""
    turns = np.arange(-302, 1) / 2 * np.log(2)
    near = turns.astype(np.float32).view(np.uint32)[:, None] + np.arange(-40, 41)
    x = np.concatenate([
        near.ravel().astype(np.uint32).view(np.float32),
        -rng.uniform(0, 110, cases), -(10 ** rng.uniform(-40, 2.1, cases)),
        [0.0, -0.0, -np.inf, np.nan, -104.0, np.nextafter(np.float32(-104), np.float32(0)), -1e-45],
    ]).astype(np.float32)  # fmt: skip
    bits = rng.integers(1 << 31, 1 << 32, cases, dtype=np.uint32).view(np.float32)
    x = np.concatenate([x[~(x > 0)], bits])
    y = canonical(exponentials(x))
    return unit("fp32_exp", SpattenConfig().exponential_cycles, x.view(np.uint32), None, y, options,
                 {"MUL_LATENCY": 1, "ADD_LATENCY": 2})  # fmt: skip
