# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the machine, with unit, default and source.

"A100": NVIDIA A100 Tensor Core GPU Architecture, whitepaper, 2020; "CUDA": CUDA C++ Programming Guide, compute
capability 8.0; "CUTLASS": NVIDIA's library of matrix kernels.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rows = Annotated[int, Field(ge=16, le=256, multiple_of=16)]
Cols = Annotated[int, Field(ge=32, le=256, multiple_of=32)]
"""At least two warps of an instruction (m16n8: 8 rows of activations, 16 columns of weights) each way."""


class TensorConfig(BaseModel):
    """A machine of tensor cores; ``TensorConfig()`` is an A100 with 40 GB."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sms: int = Field(108, ge=1, le=1024, description="streaming multiprocessors (A100: 108)")
    tensor_cores: int = Field(4, ge=1, le=16, description="tensor cores of a multiprocessor (A100: 4)")
    macs_per_cycle: int = Field(256, ge=16, le=8192, description="FP16 multiply-adds a core and cycle (A100: 256)")
    frequency_hz: int = Field(1_410_000_000, ge=1_000_000, le=5_000_000_000, description="clock, hertz (A100 boost)")
    shared_bytes: int = Field(164 << 10, ge=4096, description="shared memory of each, bytes (CUDA: 164 KiB)")
    shared_bytes_per_cycle: int = Field(128, ge=1, description="its port, bytes a cycle (CUDA: 32 banks of 4)")
    l2_bytes: int = Field(40 << 20, ge=4096, description="L2 cache, bytes (A100: 40 MiB)")
    l2_bytes_per_cycle: int = Field(5120, ge=1, description="L2 read bandwidth, bytes a cycle (A100: 5120)")
    dram_bytes_per_s: float = Field(1.555e12, gt=0, description="DRAM peak, bytes a second (A100 40 GB: 1555 GB/s)")
    dram_efficiency: float = Field(0.9, gt=0, le=1, description="share of the peak that is usable (assumption)")
    tiles: tuple[tuple[Rows, Cols], ...] = Field(
        ((128, 256), (256, 128), (128, 128), (64, 256), (256, 64), (64, 128), (128, 64), (64, 64)),
        min_length=1, description="output tiles (rows, cols) of a multiprocessor; the fastest is taken (CUTLASS)",
    )  # fmt: skip
    splits: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 2, 4, 8, 16, 32, 64), min_length=1, description="parts that a reduction can be cut into (CUTLASS split-K)"
    )
    zero_fill: bool = Field(
        False, description="store a pattern that lies within 2:4 (1:2, 1:4, 2:8) as 2:4 with zeros; else it is dense"
    )

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply-adds of the machine a cycle; of 2:4 weights only the kept ones are done."""
        return self.sms * self.tensor_cores * self.macs_per_cycle

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Usable DRAM bytes a clock cycle."""
        return self.dram_bytes_per_s * self.dram_efficiency / self.frequency_hz
