# SPDX-License-Identifier: Apache-2.0
"""What a user asks to verify, as one checked object."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class VerifyRun(BaseModel):
    """What to verify, and how much of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: int = Field(2000, ge=1, le=10_000_000, description="random cases a block; 1000 operands of a unit are one")
    seed: int = Field(0, ge=0, lt=2**31)
    blocks: tuple[str, ...] = Field((), description="blocks to verify; none named: all")
    rtl: Path | None = Field(None, description="folder of Verilog files; none: the project's own")
