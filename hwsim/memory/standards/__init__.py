# SPDX-License-Identifier: Apache-2.0
"""DRAM standards as data: one YAML file a standard, with its organisation, timing and energy figures, and sources.

An installed package adds one by an entry point of the group ``hwsim.dram_standards`` whose object is the file's path; a
script by ``STANDARDS.add("lpddr5-6400", Path("lpddr5-6400.yaml"))``. `hwsim.memory.config.DramConfig` takes its
defaults from the standard it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dataflow.errors import did_you_mean
from dataflow.files import read_yaml, validated
from dataflow.registry import Registry

ORGANISATION = ("channels", "clock_ps", "transaction_bytes", "pseudo_channels", "bank_groups", "banks", "rows",
                "row_bytes", "interleave_bytes", "two_command_buses")  # fmt: skip
TIMING = ("act_bus", "nBL", "nCL", "nCWL", "nRCDRD", "nRCDWR", "nRP", "nRAS", "nRC", "nCCDS", "nCCDL", "nRRDS", "nRRDL",
          "nFAW", "nWR", "nRTP", "nWTRS", "nWTRL", "nRTW", "nRFC", "nREFI")  # fmt: skip
USUAL: dict[str, dict[str, int | bool | str]] = {
    "organisation": {"half_clocks": False, "stacks": 1},
    "timing": {"column_bus": 1, "nPPD": 1, "nAAD": 0, "nWCKPST": -1, "nCCDL_WR": "nCCDL", "nCCDR": "nCCDS"},
}
"""Fields that a file may leave out: what they are then, or the field that they are as."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnergyFigures(_Part):
    """Energy of an activation and of moving a bit, as papers give it."""

    kind: Literal["figures"]
    source: str = Field(min_length=1)
    activate_pj: Positive = Field(description="an activation with its precharge, picojoules")
    activate_row_bytes: int = Field(ge=1, description="bytes of the row that it opens")
    move_pj_per_bit: Positive = Field(description="data from the cells to the other side's pins")
    refreshes: int = Field(8192, ge=1, description="REF commands that refresh every row once")


class Currents(_Part):
    """Supply currents of a DDR device, mA, by the standard's names, as data sheets give them."""

    kind: Literal["currents"]
    source: str = Field(min_length=1)
    devices: int = Field(ge=1, description="devices that make a channel's width")
    volts: Positive
    idd0: Positive = Field(description="activating and precharging one bank")
    idd2n: Positive = Field(description="idle, precharged")
    idd3n: Positive = Field(description="idle, rows open")
    idd4r: Positive = Field(description="reading")
    idd4w: Positive = Field(description="writing")
    idd5: Positive = Field(description="refreshing")


class Standard(_Part):
    """A file of this folder."""

    format: Literal["hwsim-dram/1"]
    name: str = Field(min_length=1, description="the name it is found by, in any case")
    title: str = Field(description="one line: what device this is")
    source: str = Field(min_length=1, description="where organisation and timing are from")
    organisation: dict[str, int | bool] = Field(
        description=f"each of {', '.join(ORGANISATION)}; may have {', '.join(USUAL['organisation'])}"
    )
    timing: dict[str, int] = Field(description=f"each of {', '.join(TIMING)}; may have {', '.join(USUAL['timing'])}")
    fixed: tuple[str, ...] = Field((), description="fields of the organisation that a configuration cannot change")
    energy: EnergyFigures | Currents | None = Field(
        None, discriminator="kind", description="none: cycles alone, energy is refused"
    )

    @model_validator(mode="after")
    def _whole(self) -> Standard:
        for section, fields in (("organisation", ORGANISATION), ("timing", TIMING)):
            told = getattr(self, section)
            known = (*fields, *USUAL[section])
            for field in told:
                if field not in known:
                    hint = did_you_mean(field, known)
                    raise ValueError(f"{section}: unknown field {field!r}{'; ' + hint if hint else ''}")
            for field in fields:
                if field not in told:
                    raise ValueError(f"{section}: {field} is missing")
        for field in self.fixed:
            if field not in (*ORGANISATION, *USUAL["organisation"]):
                raise ValueError(f"fixed: {field!r} is no field of the organisation")
        return self

    @property
    def defaults(self) -> dict[str, int | bool]:
        """Fields of a configuration as the standard has them."""
        told = self.organisation | self.timing
        usual = USUAL["organisation"] | USUAL["timing"]
        return {k: told[v] if isinstance(v, str) else v for k, v in usual.items()} | told


def read_standard(path: Path) -> Standard:
    """The standard in a file.

    Raises:
        InputError: unreadable, a field that is missing, unknown or out of its range; with file and field.
    """
    return validated(Standard, read_yaml(path), str(path))


def _standard(name: str, thing: Any) -> Standard:
    if not isinstance(thing, Standard | str | Path):
        raise TypeError(f"expected the path of a YAML file, found {type(thing).__name__}")
    standard = thing if isinstance(thing, Standard) else read_standard(Path(thing))
    if standard.name.lower() != name:
        raise ValueError(f"its field name is {standard.name!r}")
    return standard


STANDARDS: Registry[Standard] = Registry("DRAM standard", "hwsim.dram_standards", convert=_standard, normal=str.lower)
"""All DRAM standards by name; a file is read when its standard is first asked for."""

for _path in sorted(Path(__file__).parent.glob("*.yaml"), reverse=True):
    STANDARDS.add(_path.stem, _path)
