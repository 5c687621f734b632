# SPDX-License-Identifier: Apache-2.0
"""Random networks of one layer, and a machine so small that they are cut into many jobs."""

from __future__ import annotations

import numpy as np

from dataflow.networks.network import Conv, Linear, MatMul, Network
from hwsim.sat.config import SatConfig

SMALL = SatConfig(
    rows=4, cols=4, west_buffer_bytes=4096, north_buffer_bytes=2048, output_buffer_bytes=4096, dram_efficiency=0.05
)


def networks(rng: np.random.Generator) -> Network:
    """One layer of a random kind."""

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    kind = draw(0, 2)
    if kind == 0:
        layer = Linear(name="x", in_features=8 * draw(1, 4), out_features=8 * draw(1, 4), rows=draw(1, 9))
    elif kind == 1:
        layer = MatMul(name="x", rows=draw(1, 20), reduction=draw(1, 20), cols=draw(1, 20), count=draw(1, 5))  # type: ignore[assignment]
    else:
        taps, groups = draw(1, 3), draw(1, 2)
        layer = Conv(  # type: ignore[assignment]
            name="x", in_channels=8 * groups * draw(1, 2), out_channels=8 * groups * draw(1, 2), height=draw(5, 9),
            width=draw(3, 9), kernel=(taps, draw(1, 3)), stride=(draw(1, 3), draw(1, 2)),
            padding=(draw(0, taps // 2), draw(0, 1)), groups=groups, dilation=(draw(1, 2), 1),
            transposed=draw(0, 3) == 0,
        )  # fmt: skip
    return Network(name="one", layers=(layer,))
