# SPDX-License-Identifier: Apache-2.0
"""DRAM standards are data: what the files say, one from outside, and every way in which a file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dataflow.errors import InputError
from hwsim.memory.config import DramConfig, ddr4_2400, hbm2
from hwsim.memory.energy import command_energy, figures
from hwsim.memory.standards import STANDARDS, read_standard
from tests.support.plugin import installed

FILES = Path(__file__).parents[2] / "hwsim" / "memory" / "standards"


def changed(path: Path, *changes: tuple[str, str]) -> Path:
    """A copy of DDR4's file with texts replaced."""
    text = (FILES / "ddr4-2400.yaml").read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")
    return path


def test_energy_of_the_two_standards_is_pinned() -> None:
    assert command_energy(hbm2()) == {
        "activate": 909.0, "read": pytest.approx(890.88), "write": pytest.approx(890.88),
        "refresh": pytest.approx(909.0 * 16 * 32768 / 8192),
    }  # fmt: skip
    unit = 8 * 1.2 * 0.833
    assert command_energy(ddr4_2400(4)) == {
        "activate": pytest.approx(unit * (14 * 55 - 9 * 39)), "read": pytest.approx(unit * 92 * 4),
        "write": pytest.approx(unit * 80 * 4), "refresh": pytest.approx(unit * 216 * 433),
    }  # fmt: skip
    assert [f.value_pj for f in figures(hbm2())] == [909.0, 3.48]
    assert all("MT40A1G8" in f.source for f in figures(ddr4_2400()))


def test_every_file_is_a_memory_and_names_its_sources() -> None:
    names = [path.stem for path in FILES.glob("*.yaml")]
    assert {"hbm2", "hbm3", "ddr4-2400", "ddr5-4800", "lpddr5-6400"} <= set(names)
    for name in names:
        standard = STANDARDS.get(name)
        config = DramConfig(standard=name)
        assert config.standard == standard.name
        assert all(getattr(config, field) == value for field, value in standard.defaults.items())
        assert standard.source
        assert standard.energy is None or standard.energy.source


def test_a_stored_configuration_keeps_its_meaning() -> None:
    assert DramConfig(standard="DDR4") == ddr4_2400()
    assert DramConfig.model_validate(ddr4_2400(2).model_dump()) == ddr4_2400(2)
    assert DramConfig() == hbm2()


def test_what_is_left_out_is_the_standards(tmp_path: Path) -> None:
    assert DramConfig().model_dump(exclude_defaults=True) == {}
    assert DramConfig(channels=4, nCL=14, queue=8).model_dump(exclude_defaults=True) == {"channels": 4, "queue": 8}
    short = ddr4_2400(2).model_dump(exclude_defaults=True)
    assert short == {"standard": "DDR4-2400", "channels": 2}
    assert DramConfig(**short) == ddr4_2400(2)
    assert len(ddr4_2400().model_dump()) == len(DramConfig.model_fields)


def test_a_standard_of_an_installed_package(tmp_path: Path) -> None:
    file = changed(
        tmp_path / "mine.yaml", ("name: DDR4-2400", "name: MINE"), ("nCL: 16", "nCL: 99"), ("idd0: 48", "idd0: 58")
    )
    points = {"hwsim.dram_standards": {"mine": "my_dram:FILE"}}
    with installed(tmp_path, "my-dram", {"my_dram": f"FILE = {str(file)!r}"}, points):
        config = DramConfig(standard="mine", channels=2)
        assert (config.standard, config.nCL, config.nRP, config.channels) == ("MINE", 99, 16, 2)
        assert command_energy(config)["activate"] > command_energy(ddr4_2400())["activate"]
        assert command_energy(config)["read"] == command_energy(ddr4_2400())["read"]
    with pytest.raises(ValidationError, match="DRAM standard 'mine': Known: .*hbm2, .*ddr4-2400"):
        DramConfig(standard="mine")


def test_energy_without_figures_is_refused_by_name(tmp_path: Path) -> None:
    file = changed(tmp_path / "quiet.yaml", ("name: DDR4-2400", "name: quiet"))
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.index("energy:")], encoding="utf-8")
    STANDARDS.add("quiet", file)
    try:
        config = DramConfig(standard="quiet")
        assert config.timing().read_data == 20
        with pytest.raises(InputError, match="^DRAM standard quiet: its file has no energy figures"):
            command_energy(config)
    finally:
        STANDARDS.remove("quiet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("nRFC: 433, ", ""), "timing: nRFC is missing"),
        (("nRFC: 433", "nRCF: 433"), "timing: unknown field 'nRCF'; did you mean nRC"),
        (("banks: 4   ", "bnks: 4   "), "organisation: unknown field 'bnks'; did you mean banks"),
        (("fixed: [pseudo", "fixed: [seudo"), "fixed: 'seudo_channels' is no field"),
        (("kind: currents", "kind: guess"), "energy"),
        (("volts: 1.2", "volts: 0"), "volts: Input should be greater than 0"),
        (("hwsim-dram/1", "hwsim-dram/9"), "format"),
        (("source: JEDEC JESD79-4", "source: ''"), "source"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = changed(tmp_path / "broken.yaml", change)
    with pytest.raises(InputError) as error:
        read_standard(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_value_outside_its_range_is_refused_when_used(tmp_path: Path) -> None:
    STANDARDS.add("wild", changed(tmp_path / "wild.yaml", ("name: DDR4-2400", "name: wild"), ("nRP: 16", "nRP: 9999")))
    try:
        with pytest.raises(ValidationError, match="nRP"):
            DramConfig(standard="wild")
    finally:
        STANDARDS.remove("wild")
