# SPDX-License-Identifier: Apache-2.0
"""Upper limits of general processors: peak and bandwidth by their makers' data, never measured here.

A time out of these is a lower bound: the device at its roof, without launch, softmax, or a byte too much.
"""

from __future__ import annotations

from typing import NamedTuple


class Device(NamedTuple):
    """A processor's peaks in 32-bit floating point."""

    key: str
    name: str
    tflops: float
    gb_per_s: float
    watts: float
    """Design power by its maker, W."""
    source: str

    def seconds(self, operations: float, dram_bytes: float) -> float:
        """Least time for a task, s."""
        return max(operations / self.tflops / 1e12, dram_bytes / self.gb_per_s / 1e9)


DEVICES = (
    Device("titan_xp", "TITAN Xp", 12.15, 547.6, 250,
           "NVIDIA, TITAN Xp: 3840 cores at 1582 MHz, GDDR5X 547.6 GB/s, 250 W"),
    Device("xeon", "Xeon E5-2640 v4", 0.768, 68.3, 90,
           "Intel ARK: 10 cores, 2.4 GHz, 68.3 GB/s, 90 W; 32 operations a core and cycle (AVX2, two FMA units)"),
    Device("jetson_nano", "Jetson Nano", 0.236, 25.6, 10,
           "NVIDIA, Jetson Nano: 128 cores at 921.6 MHz, LPDDR4 25.6 GB/s, 10 W"),
    Device("raspberry_pi", "Raspberry Pi 4", 0.048, 12.8, 6.4,
           "Arm Cortex-A72: four at 1.5 GHz, 8 operations a core and cycle; LPDDR4-3200, 32 bits; 6.4 W under load"),
)  # fmt: skip
