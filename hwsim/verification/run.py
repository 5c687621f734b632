# SPDX-License-Identifier: Apache-2.0
"""What a user asks to verify, as one checked object."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class VerifyRun(BaseModel):
    """What to verify, and how much of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: int | None = Field(
        None, ge=1, le=10_000_000, description="random cases a block; none: as many as each has; 1000 operands are one"
    )
    seed: int = Field(0, ge=0, lt=2**31)
    blocks: tuple[str, ...] = Field((), description="blocks to verify; none named: all")
    machine: dict[str, Any] | None = Field(
        None,
        description="settings of the only machine to verify, as `hwsim schema MACHINE` has them; none: several of each "
        "block's own",
    )
    rows: int | None = Field(None, ge=1, le=64, description="verify only an array of this many rows (with cols)")
    cols: int | None = Field(None, ge=1, le=64, description="verify only an array of this many columns (with rows)")
    rtl: Path | None = Field(None, description="folder of Verilog files; none: the project's own")
    coverage: bool = Field(False, description="also count line and toggle coverage (slow: give fewer cases)")
    failures: Path = Field(Path("out/verify"), description="where a failing case and its waveform are left")

    @model_validator(mode="after")
    def _one_machine(self) -> Self:
        if self.machine is not None and self.array is not None:
            raise ValueError("rows, cols: give them in machine, where that is given")
        return self

    @property
    def array(self) -> dict[str, int] | None:
        """Rows and columns asked for, as settings of a machine; one of them alone is a square."""
        if self.rows is None and self.cols is None:
            return None
        return {"rows": self.rows or self.cols or 1, "cols": self.cols or self.rows or 1}
