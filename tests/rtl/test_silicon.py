# SPDX-License-Identifier: Apache-2.0
"""Area and energy from the RTL: summation at no and at full activity, scaling, SRAM, records, both machines' rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.errors import InputError
from hwsim.sat import silicon as sat_silicon
from hwsim.sat.config import SatConfig
from hwsim.sat.machine import Sat
from hwsim.sat.run import SatRun
from hwsim.silicon import cells, scaling, sram
from hwsim.silicon.activity import Activity, Record, costs, dynamic_fj, rates, reference_activity
from hwsim.silicon.asic import GATES
from hwsim.silicon.cells import switching_fj
from hwsim.silicon.cost import EventEnergy, Silicon, scaled
from hwsim.silicon.netlist import synthesize
from hwsim.spatten import silicon as spatten_silicon
from hwsim.spatten.bench.attention import small
from hwsim.spatten.run import SpattenRun
from tests.support import tools
from tests.support.cli import check_refused
from tests.support.cli import run as hwsim

tools.package("pyosys", "synth")

SMALL_SAT = {"rows": 4, "cols": 4, "west_buffer_bytes": 1 << 18, "north_buffer_bytes": 1 << 17,
             "output_buffer_bytes": 1 << 16, "state_buffer_bytes": 1 << 13}  # fmt: skip
"""The machine whose activity is kept: synthesized once for all tests."""


def small_spatten(**changes: int):
    """That of SpAtten's record."""
    return small(
        buffer_keys=128, score_tokens=256, key_sram_bytes=65_536, value_sram_bytes=65_536, **changes
    ).model_copy(update={"memory": small().memory.model_copy(update={"channels": 4})})


@pytest.mark.parametrize("path", [*sat_silicon.REFERENCE_ACTIVITY.values(), spatten_silicon.REFERENCE_ACTIVITY])
def test_kept_records_are_of_this_rtl(path: Path) -> None:
    record = reference_activity(path)
    assert record.records
    for r in record.records:
        assert r.cycles > 0
        assert all(0 <= v <= 2 for modules in r.rates.values() for v in modules.values())


def test_a_record_of_other_rtl_is_refused(tmp_path: Path) -> None:
    data = json.loads(sat_silicon.REFERENCE_ACTIVITY["binary32"].read_text())
    path = tmp_path / "activity.json"
    path.write_text(json.dumps(data | {"rtl": "0" * 16}))
    with pytest.raises(InputError, match="the RTL has changed"):
        reference_activity(path)
    for text, reason in {"{": "not a record", "{}": "field format", json.dumps(data | {"top": 1}): "top"}.items():
        path.write_text(text)
        with pytest.raises(InputError, match=reason):
            reference_activity(path)


def test_no_activity_takes_nothing_and_full_activity_every_cell() -> None:
    """The sum over the hierarchy, against all cells of the flat list."""
    netlist = synthesize("sore", {"GROUP_MAX": 4}, GATES)
    priced = costs(netlist, ("sore",))["sore"]
    assert dynamic_fj(priced, dict.fromkeys(priced, 0.0)) == 0
    flat = 0.0
    for name, times in netlist.instances().items():
        for cell, n in netlist.modules[name].items():
            if cell not in netlist.modules:
                for part in cells.parts(cell):
                    load = part.inputs * cells.INPUT_FF * cells.VOLTS**2 / 2
                    flat += times * n * (cells.toggle_fj(part, 0) + load)
    assert dynamic_fj(priced, dict.fromkeys(priced, 1.0)) == pytest.approx(flat)
    for level in (0.0, 1.0):
        made = {"sore": dict.fromkeys(priced, level)}
        record = Record(label="x", kind="", cycles=100, events={"elements": 50.0}, rates=made)
        activity = Activity(top="sore", parameters={"GROUP_MAX": 4}, rtl="", source="", records=(record,))
        assert EventEnergy(activity, ("sore",)).pj("elements", ["sore"]) == pytest.approx(level * flat * 2 / 1000)
        assert EventEnergy(activity, ("sore",)).pj("macs", ["sore"]) == 0


def test_rates_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "activity.txt"
    path.write_text("TOP 4 400 200\nTOP.sat_core 10 50 200\nTOP.sat_core.stce_inst 8 800 200\n")
    cycles, found = rates(path, "sat_core", ("stce",))
    assert cycles == 100
    assert found["rest"]["sat_core"] == 50 / 10 / 100
    assert found["stce"]["stce"] == 1.0


def test_gates_have_prices() -> None:
    assert cells.price("$_NAND_")["gates"] == 1
    plain, enabled = cells.price("$_DFF_P_"), cells.price("$_SDFFE_PP0P_")
    assert enabled["flipflops"] == plain["flipflops"] == 1
    assert enabled["area_um2"] == pytest.approx(plain["area_um2"] + cells.MUX2.area_um2 + cells.AND2.area_um2)
    assert switching_fj(cells.price("ram 64x32")) == 0
    with pytest.raises(InputError, match="not in the table"):
        cells.price("$_DLATCH_P_")


def test_scaling() -> None:
    assert scaling.area_factor(45) == 1
    assert scaling.energy_factor(45) == 1
    for factor in (scaling.area_factor, scaling.energy_factor):
        values = [factor(node) for node in scaling.NODES]
        assert values == sorted(values, reverse=True)
    start, end, factor = scaling.EXAMPLE
    assert scaling.switching(*end) / scaling.switching(*start) == pytest.approx(
        factor, abs=1e-4
    )  # theirs is rounded in between
    assert scaling.energy_factor(7) == pytest.approx(0.0478 / 1.0439, rel=0.002)  # by hand, 0.7 V and 1.1 V
    rows = [{"what": "DRAM", "rtl_j": 1.0}, {"what": "x", "rtl_j": 1.0, "table_j": None}]
    dram, other = scaled(rows, 7)
    assert dram["rtl_j"] == 1
    assert other == {"what": "x", "rtl_j": scaling.energy_factor(7), "table_j": None}


def test_sram_fits_its_points() -> None:
    for point in sram.POINTS:
        found = sram.macro(point.words, point.bits)
        for name in ("area_um2", "access_pj", "leakage_uw"):
            assert getattr(found, name) == pytest.approx(getattr(point, name), rel=0.15)


@given(words=st.integers(32, 1 << 16), bits=st.integers(1, 512))
def test_larger_memories_cost_more(words: int, bits: int) -> None:
    one, more = sram.macro(words, bits), sram.macro(2 * words, bits)
    assert 0 < one.area_um2 < more.area_um2
    assert 0 < one.access_pj < more.access_pj
    assert 0 < one.leakage_uw < more.leakage_uw


@pytest.mark.rtl
def test_columns_of_a_step() -> None:
    run = SatRun(network="resnet9", batch=4, machine=SatConfig(**SMALL_SAT))
    plain = run.measure()
    row = run.model_copy(update={"silicon": True}).measure()
    assert {k: row[k] for k in plain} == plain
    assert row["area_mm2"] > 0
    assert row["rtl_energy_j"] > 0
    assert row["gop_per_j"] == pytest.approx(2e-9 * row["macs"] / row["rtl_energy_j"])
    assert row["gop_per_s_mm2"] == pytest.approx(2e-9 * row["macs"] / row["seconds"] / row["area_mm2"])
    failed = run.model_copy(update={"silicon": True, "machine": SatConfig(**SMALL_SAT, weight_registers=33)})
    with pytest.raises(InputError, match="is 33: at most 32"):
        failed.measure()


@pytest.mark.rtl
def test_columns_and_styles_of_attention() -> None:
    machine = small_spatten()
    found: dict[str, Silicon] = {}
    for style in ("SpAtten", "MNNFast", "A3"):
        run = SpattenRun(workload="bert-base", style=style, machine=machine, silicon=True)
        found[style] = spatten_silicon.machine_silicon(machine, style=style)
        if style == "SpAtten":
            row = run.measure()
            assert row["area_mm2"] == pytest.approx(found[style].area_mm2())
            assert row["rtl_power_w"] == pytest.approx(row["rtl_energy_j"] / row["seconds"])
    assert found["MNNFast"].area_mm2() < found["SpAtten"].area_mm2()
    assert found["MNNFast"].area_mm2() < found["A3"].area_mm2()
    blocks = found["SpAtten"].rows()
    assert sum(row["share"] for row in blocks) == pytest.approx(1)
    assert sum(row["area_mm2"] for row in blocks) == pytest.approx(found["SpAtten"].area_mm2())


RUNS = {
    "sat": lambda: SatRun(network="resnet9", batch=4, machine=SatConfig(**SMALL_SAT)),
    "spatten": lambda: SpattenRun(workload="bert-base", machine=small_spatten()),
}


@pytest.mark.rtl
@pytest.mark.parametrize("machine", RUNS)
def test_command(machine: str, tmp_path: Path, monkeypatch, capsys) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(RUNS[machine]().model_dump_json())  # JSON is YAML
    words = ["energy", machine, "--config", config]
    assert hwsim(monkeypatch, *words, "--out", tmp_path / "o", "--node", "28") == 0
    shown = capsys.readouterr().out
    assert "energy at 28 nm" in shown
    assert "leakage" in shown
    assert (tmp_path / "o" / "area.csv").exists()
    assert hwsim(monkeypatch, *words, "--json") == 0
    both = json.loads(capsys.readouterr().out)
    assert both["rtl_j"] == pytest.approx(sum(r["rtl_j"] for r in both["energy"]))
    assert both["table_j"] == pytest.approx(sum(r["table_j"] or 0 for r in both["energy"]))
    assert hwsim(monkeypatch, *words, "--json", "--from", "table") == 0
    table = json.loads(capsys.readouterr().out)
    assert table["table_j"] == pytest.approx(both["table_j"])
    assert "area" not in table
    assert hwsim(monkeypatch, *words, "--from", "rtl") == 0
    assert "rtl / table" not in " ".join(capsys.readouterr().out.split())


def test_wrong_input(tmp_path: Path, monkeypatch, capsys) -> None:
    for line, reason in {
        "energy sat --node 33": "--node 33: one of 130",
        "energy sat --from table --trace x": "--trace",
        "energy sat --trace nowhere": "nowhere",
        "energy gpu": "sat",
    }.items():
        check_refused(line, reason, tmp_path, monkeypatch, capsys)


def test_recorded_switching_is_kept(tmp_path: Path, monkeypatch, capsys) -> None:
    """Before what follows, which takes minutes and may be stopped."""

    def stops(*_: object, **__: object) -> None:
        raise InputError("stopped in the synthesis")

    recorded = Sat.reference_activity()
    monkeypatch.setattr(Sat, "record", lambda *_: recorded)
    monkeypatch.setattr(Sat, "silicon_energy", stops)
    assert hwsim(monkeypatch, "energy", "sat", "--trace", "t", "--out", str(tmp_path / "o")) == 2
    assert "stopped" in capsys.readouterr().err
    assert Activity.read(tmp_path / "o" / "activity.json") == recorded
