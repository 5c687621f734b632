# SPDX-License-Identifier: Apache-2.0
"""Settings of ``hwsim serve-profile``, and the model that they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from dataflow.attention.workload import DIMENSIONS, LONGEST
from dataflow.errors import InputError
from dataflow.files import read_json
from dataflow.networks.hf_config import language_model
from dataflow.networks.language import LanguageModel
from dataflow.networks.zoo import CONFIGS
from hwsim.core.machine import Machine, RunSettings, Settings, every, find

FAMILIES = ("llama", "qwen3")
"""Model types whose layers the reader's tables know and that have one kind of attention and no experts."""
Sizes = tuple[Annotated[int, Field(ge=0, le=LONGEST)], ...]


class On(Settings):
    """A machine and its settings."""

    machine: str = Field(description="name of the machine (`hwsim machines`)")
    settings: dict[str, Any] = Field({}, description="of a run, as `hwsim schema MACHINE` says")


class ServeProfile(Settings):
    """A model on two machines: one for attention, one for the products between."""

    model: str = Field("llama-3-8b", description="a language model by name, or its config.json")
    name: str | None = Field(
        None,
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="the model's name in the tables, as organization/name; none: hwsim/NAME",
    )
    hardware: str | None = Field(
        None, pattern=r"^[\w.-]+$", description="name of the hardware in the tables; none: both machines' names"
    )
    attention: On = Field(On(machine="spatten"), description="machine of attention")
    products: On = Field(On(machine="tensor24"), description="machine of all other layers")
    chunks: Sizes = Field((0, 64, 256), description="tokens of a prompt in one step; 0 is always there")
    prefixes: Sizes = Field((0, 512), description="tokens of that prompt that came in earlier steps")
    decodes: Sizes = Field((0, 1, 8, 32), description="sequences that generate a token in the step; 0 is always there")
    contexts: Sizes = Field((256, 1024, 4096), min_length=1, description="tokens in the cache of each of them")
    tokens: Sizes = Field((1, 16, 64, 256, 1024), min_length=2, description="tokens of a step, of the other layers")
    sequences: Sizes = Field((1, 8, 32, 128), min_length=2, description="sequences of a step, of the output layer")
    budget: int | None = Field(
        None,
        ge=1,
        le=LONGEST,
        description="keys of a sequence that a query sees at most, those that are chosen; what choosing them costs is "
        "not in the table; none: all",
    )
    memory_gib: float = Field(16, gt=0, le=1 << 20, description="memory for weights and cache, GiB (an assumption)")

    @field_validator("chunks", "prefixes", "decodes", "contexts", "tokens", "sequences")
    @classmethod
    def _ascending(cls, values: Sizes) -> Sizes:
        return tuple(sorted(set(values)))

    @field_validator("contexts", "tokens", "sequences")
    @classmethod
    def _some(cls, values: Sizes) -> Sizes:
        if values and values[0] < 1:
            raise ValueError("each must be 1 or more")
        return values

    def config(self) -> tuple[dict[str, Any], LanguageModel]:
        """The model's configuration, and its sizes.

        Raises:
            InputError: no such model; one whose tables would need more than is written.
        """
        names = sorted(path.stem for path in CONFIGS.glob("*.json"))
        path = CONFIGS / f"{self.model}.json" if self.model in names else Path(self.model)
        if path.suffix != ".json" or not path.is_file():
            raise InputError(f"model: {self.model}: no config.json, and none of {', '.join(names)}")
        data = read_json(path)
        model = language_model(data, path.parent.name if path.name == "config.json" else path.stem, str(path))
        if data["model_type"] not in FAMILIES:
            raise InputError(
                f"model: {self.model}: model_type {data['model_type']} needs tables that are not written (experts, "
                f"windows, other layers); one of {', '.join(FAMILIES)} does not"
            )
        if any(block.window for block in model.blocks):
            raise InputError(f"model: {self.model}: layers with a sliding window need a table of their own")
        if model.head not in DIMENSIONS:
            allowed = ", ".join(map(str, DIMENSIONS))
            raise InputError(f"model: {self.model}: heads of {model.head}; attention is timed for {allowed}")
        return data, model

    def label(self) -> str:
        """The hardware's name in the tables."""
        return self.hardware or f"{self.attention.machine}-{self.products.machine}"

    def title(self, model: LanguageModel) -> str:
        """The model's name in the tables."""
        return self.name or f"hwsim/{re.sub(r'[^A-Za-z0-9_.-]', '-', model.name)}"

    def attention_run(self) -> tuple[type[Machine], RunSettings]:
        """The machine of attention and its run.

        Raises:
            InputError: no machine of attention; settings that are wrong.
        """
        return self._run("attention", self.attention, "workload", {})

    def products_run(self, batch: int, context: int) -> tuple[type[Machine], RunSettings]:
        """The machine of the products and a run of a decode step of so many tokens.

        Raises:
            InputError: no machine of networks; settings that are wrong.
        """
        return self._run("products", self.products, "network", {"phase": "decode", "batch": batch, "context": context})

    @staticmethod
    def _run(field: str, on: On, wanted: str, more: dict[str, Any]) -> tuple[type[Machine], RunSettings]:
        kind = find(on.machine)
        if kind.workload_field != wanted or (more and not set(more) <= set(kind.Run.model_fields)):
            others = [m.name for m in every() if m.workload_field == wanted]
            raise InputError(f"{field}.machine: {on.machine} runs no {field}; one of {', '.join(others)} does")
        for name in (wanted, *more):
            if name in on.settings:
                raise InputError(f"{field}.settings.{name}: is set for each cell")
        return kind, kind.settings({**on.settings, **more}, f"{field}.settings")
