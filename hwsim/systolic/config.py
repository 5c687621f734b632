# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the machine, with unit, default and source.

The default is the example that comes with SCALE-Sim (configs/scale.cfg, MIT): 32 x 32, weight stationary, three
memories of 64 KiB, words of a byte, 10 words a cycle from DRAM.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Dataflow = Literal["os", "ws", "is"]
"""What stays in the array: outputs, weights or inputs."""


class SystolicConfig(BaseModel):
    """A systolic array and its memories."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(32, ge=1, le=65536, description="rows of the array")
    cols: int = Field(32, ge=1, le=65536, description="columns of the array")
    dataflow: Dataflow = Field("ws", description="what stays in the array: os outputs, ws weights, is inputs")
    word_bytes: Literal[1, 2, 4] = Field(1, description="bytes of a word: 1 INT8, 2 FP16, 4 FP32; sums have 4")
    ifmap_bytes: int = Field(64 << 10, ge=64, le=1 << 40, description="memory of inputs, bytes; half is being filled")
    filter_bytes: int = Field(64 << 10, ge=64, le=1 << 40, description="memory of weights, bytes; half is being filled")
    ofmap_bytes: int = Field(64 << 10, ge=64, le=1 << 40, description="memory of sums, bytes; half is being emptied")
    dram_bytes_per_cycle: float = Field(10.0, gt=0, le=1e9, description="usable DRAM bandwidth, bytes a cycle")
    frequency_hz: int = Field(1_000_000_000, ge=1_000_000, le=10_000_000_000, description="clock, hertz (assumption)")
