# SPDX-License-Identifier: Apache-2.0
"""A comparison of methods of the cache as one checked object. No torch here, so that the command line starts fast."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class CacheConfig(BaseModel):
    """A model, methods and budgets, and the text to measure on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field("smollm2-135m", description="a language model, a name from `hwsim models`")
    method: tuple[str, ...] = Field(
        (), description="names of cache methods from `hwsim methods`; none: all there are, at each budget"
    )
    budget: tuple[PositiveInt, ...] = Field((128,), min_length=1, description="tokens that are kept or read")
    options: dict[str, bool | int | float | str] = Field({}, description="of one method: its own options, by name")
    context: tuple[Annotated[int, Field(ge=16, le=8191)], ...] = Field(
        (768,), min_length=1, description="tokens of a prompt"
    )
    tokens: int = Field(32, ge=1, le=4096, description="tokens behind it, on which is measured")
    seeds: int = Field(
        1, ge=1, le=64, description="how often texts and planted numbers are drawn; the spread is that of their means"
    )
    windows: int = Field(2, ge=1, le=4096, description="texts of a seed, spread over the held-out ones")
    needles: int = Field(
        0, ge=0, le=4096, description="prompts of a seed with a planted number that is asked for, spread over depths"
    )
    element_bytes: int = Field(2, ge=1, le=4, description="bytes of a key's or value's channel in memory")

    def facts(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json")
