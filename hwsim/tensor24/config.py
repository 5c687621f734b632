# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the machine, with unit, default and source.

"A100": NVIDIA A100 Tensor Core GPU Architecture, whitepaper, 2020; "CUDA": CUDA C++ Programming Guide, compute
capability 8.0; "CUTLASS": NVIDIA's library of matrix kernels. With ``gpu`` the machine is not the array but a card that
was measured: the array's parameters then have no effect, and one that is not its default is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .gpu.cards import sheet, sheets

Rows = Annotated[int, Field(ge=16, le=256, multiple_of=16)]
Cols = Annotated[int, Field(ge=32, le=256, multiple_of=32)]
"""At least two warps of an instruction (m16n8: 8 rows of activations, 16 columns of weights) each way."""


class TensorConfig(BaseModel):
    """An array of tensor cores, by default with the balance of an A100 with 40 GB; or, with ``gpu``, a card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sms: int = Field(108, ge=1, le=1024, description="streaming multiprocessors (A100: 108)")
    tensor_cores: int = Field(4, ge=1, le=16, description="tensor cores of a multiprocessor (A100: 4)")
    macs_per_cycle: int = Field(256, ge=16, le=8192, description="FP16 multiply-adds a core and cycle (A100: 256)")
    operands: Literal["fp16", "int8"] = Field(
        "fp16",
        description="elements of products: int8 (inference alone) at twice the multiply-adds and half of the bytes, "
        "sums of 32 bits (A100: 624 TOPS); element-wise layers stay FP16",
    )
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

    gpu: str | None = Field(
        None, description="a measured card instead of the array: a100-pcie, h100-pcie, b200 or rtx4090; its kernels' "
        "efficiency is fitted to published measurements (hwsim/tensor24/gpu)",
    )  # fmt: skip
    warm_l2: bool = Field(
        False, description="with gpu: operands that fit the L2 are there before, as in the measurements; else they "
        "come from DRAM, as a network's weights do",
    )  # fmt: skip

    @field_validator("gpu")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            sheet(name)
        return name

    @model_validator(mode="after")
    def _has_effect(self) -> Self:
        """Refuse what a card, or the array, has no use for."""
        if self.gpu is None:
            if self.warm_l2:
                raise ValueError("warm_l2: has no effect without gpu")
            return self
        for name, field in type(self).model_fields.items():
            if name not in ("gpu", "warm_l2", "zero_fill") and getattr(self, name) != field.default:
                raise ValueError(f"{name}: has no effect with gpu {self.gpu}: the card is as its data sheet has it")
        return self

    @property
    def clock_hz(self) -> int:
        """Hertz of a result's cycles."""
        return self.frequency_hz if self.gpu is None else sheets()[self.gpu].clock_hz

    @property
    def element_bytes(self) -> int:
        """Bytes of an element of a product."""
        return 1 if self.operands == "int8" else 2

    @property
    def depth(self) -> int:
        """Kept elements of a reduction in an instruction: 32 bytes (CUDA: ``mma.m16n8k16``, int8 ``m16n8k32``)."""
        return 32 // self.element_bytes

    @property
    def core_macs_per_cycle(self) -> int:
        """Multiply-adds of a core a cycle."""
        return self.macs_per_cycle * 2 // self.element_bytes

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply-adds of the machine a cycle; of 2:4 weights only the kept ones are done."""
        return self.sms * self.tensor_cores * self.core_macs_per_cycle

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Usable DRAM bytes a clock cycle."""
        return self.dram_bytes_per_s * self.dram_efficiency / self.frequency_hz
