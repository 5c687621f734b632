# SPDX-License-Identifier: Apache-2.0
"""A pruning run as one checked object. No torch here, so that the command line starts fast."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .patterns import parse_pattern

PatternText = Annotated[str, AfterValidator(lambda text: str(parse_pattern(text)))]


class PruneConfig(BaseModel):
    """One run: a model, a method, a pattern, the data to calibrate and to measure on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        "smollm2-135m",
        description="a name from `hwsim models`, or of those trained here: blocks-cnn, blocks-transformer",
    )
    method: str = Field("wanda", description="pruning method, a name from `hwsim methods`")
    options: dict[str, bool | int | float | str] = Field({}, description="the method's own options, by name")
    pattern: PatternText = Field("2:4", description="N:M (N kept of M), a share removed (50%), or blocks (block4-50%)")
    allocation: Literal["uniform", "global", "erk", "lamp", "pqi", "farms", "ecoflap", "rd"] = Field(
        "uniform",
        description="how much of each layer is kept: the pattern in all; of a share removed: one threshold on |W| "
        "(global), erk, lamp, by the weights' own sparsity (pqi), spectra (farms) or the loss (ecoflap); of N:M: the "
        "levels that lose least at the cost of the pattern in all layers (rd)",
    )
    least: float = Field(5e-4, ge=0, le=1, description="share of its weights that each layer keeps (global)")
    levels: tuple[PatternText, ...] = Field(
        ("dense", "4:8", "2:8", "1:8"), min_length=1, description="patterns that rd chooses from; dense may be one"
    )
    budget: str = Field(
        "parameters", description="what rd holds equal: parameters kept, or a machine's MACHINE:cycles, MACHINE:energy"
    )
    phase: Literal["prefill", "decode"] = Field("prefill", description="for which a machine's budget counts")
    order: Literal["pruned", "dense"] | None = Field(
        None, description="layers' inputs come from the layers before them as pruned, or dense (default: the method's)"
    )
    recovery: Literal["none", "perp", "paser", "gpusq"] = Field(
        "none",
        description="training after pruning, masks kept: perp trains norms, biases and low-rank changes; paser the "
        "same, on the samples that pruning hurt most, as many as a calibration set; gpusq all weights, taught by the "
        "dense model, the second half of the steps as integers",
    )
    recovery_bits: int = Field(8, ge=0, le=16, description="of gpusq's integers; 0: none")
    recovery_steps: int = Field(50, ge=1, le=1_000_000, description="optimizer steps of it, two samples each")
    seed: int = Field(0, ge=0, lt=2**31, description="of the calibration data")
    samples: int = Field(32, ge=1, le=65536, description="calibration samples (sequences of a language model)")
    length: int = Field(256, ge=8, le=8192, description="tokens of a sequence (language model)")
    tokens: int = Field(20_000, ge=1, le=10**9, description="held-out tokens to measure on (language model)")

    def facts(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json")
