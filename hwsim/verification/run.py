# SPDX-License-Identifier: Apache-2.0
"""What a user asks to verify, as one checked object."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class VerifyRun(BaseModel):
    """What to verify, and how much of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: int | None = Field(
        None, ge=1, le=10_000_000, description="random cases a block; none: as many as each has; 1000 operands are one"
    )
    seed: int = Field(0, ge=0, lt=2**31)
    blocks: tuple[str, ...] = Field((), description="blocks to verify; none named: all")
    rows: int | None = Field(None, ge=1, le=64, description="verify only an array of this many rows (with cols)")
    cols: int | None = Field(None, ge=1, le=64, description="verify only an array of this many columns (with rows)")
    rtl: Path | None = Field(None, description="folder of Verilog files; none: the project's own")
    coverage: bool = Field(False, description="also count line and toggle coverage (slow: give fewer cases)")
    failures: Path = Field(Path("out/verify"), description="where a failing case and its waveform are left")

    @property
    def array(self) -> tuple[int, int] | None:
        """Rows and columns asked for; one of them alone is a square."""
        if self.rows is None and self.cols is None:
            return None
        return self.rows or self.cols or 1, self.cols or self.rows or 1
