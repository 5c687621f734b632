# SPDX-License-Identifier: Apache-2.0
"""Tables of a study add up; the figures of the shipped presets are pinned, so that a change of result is a decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.errors import InputError
from dataflow.networks.zoo import network
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Method
from hwsim.core.energy import sram_pj_per_byte
from hwsim.core.machine import load
from hwsim.core.study import StudyTables
from hwsim.sat.config import SatConfig
from hwsim.sat.energy import COMPONENTS, step_energy, total_energy_j
from hwsim.sat.result import CAUSES
from hwsim.sat.study import ideal_speedup, step, study


@pytest.fixture(scope="module")
def tables():
    nets = [network(n) for n in ("resnet9", "resnet18-tiny")]
    return study(SatConfig(), nets, 32, [NM(2, 4), NM(2, 8)], mean_of=("resnet9", "resnet18-tiny"), detail=NM(2, 8))


def test_waterfall_goes_from_ideal_to_reached(tables) -> None:
    rows = tables[0]["waterfall"]
    for name in ("resnet9", "resnet18-tiny", "mean"):
        for pattern in ("2:4", "2:8"):
            mine = sorted(
                (r for r in rows if (r["network"], r["pattern"]) == (name, pattern)), key=lambda r: r["order"]
            )
            speed = next(r for r in tables[0]["speedup"] if (r["network"], r["pattern"]) == (name, pattern))
            assert mine[0]["speedup"] == pytest.approx(speed["ideal_speedup"])
            assert mine[-1]["speedup"] == pytest.approx(speed["speedup"])
            # the causes are all of the cycles: nothing is left over for the last step
            assert mine[-1]["delta"] == pytest.approx(0, abs=1e-9)
            assert sum(r["delta"] for r in mine[1:]) == pytest.approx(speed["speedup"] - speed["ideal_speedup"])


def test_causes_are_all_cycles(tables) -> None:
    for result in tables[1]:
        for row in result.steps:
            assert sum(getattr(row, c) for c in CAUSES) == row.cycles, row
        energy = step_energy(result)
        total = total_energy_j(result)
        for c in COMPONENTS:
            assert total[c] == pytest.approx(sum(e[c] for e in energy) * 1e-12)
    for name in ("energy", "traffic", "causes"):
        dense = [r for r in tables[0][name] if (r["network"], r["method"]) == ("resnet9", "dense")]
        assert sum(r["share_of_dense"] for r in dense) == pytest.approx(1)


def test_sensitivity_starts_at_the_studys_own_speedup(tables) -> None:
    rows = tables[0]["sensitivity"]
    speedups = {r["network"]: r["speedup"] for r in tables[0]["speedup"] if r["pattern"] == "2:8"}
    assert rows[0]["variant"] == "as configured"
    assert all(rows[0][n] == pytest.approx(v) for n, v in speedups.items())
    by_name = {r["variant"]: r["mean"] for r in rows}
    assert by_name["1 DRAM channel"] < by_name["2 DRAM channels"] < by_name["as configured"]


def test_where_sparsity_does_not_pay_has_a_cause(tables) -> None:
    rows = {(r["network"], r["layer"], r["phase"]): r for r in tables[0]["where_not"] if r["pattern"] == "2:8"}
    first = rows["resnet9", "prep", "FF"]
    assert first["cause"] == "dense by rule: 3 input channels, no multiple of 8"
    assert first["speedup"] == pytest.approx(1)
    assert all(r["speedup"] < 0.8 * r["ideal"] for r in rows.values())


def test_ideal_speedups() -> None:
    assert ideal_speedup(Method.BDWP, NM(2, 8)) == 2.0
    assert ideal_speedup(Method.BDWP, NM(2, 4)) == 1.5
    assert ideal_speedup(Method.SDWP, NM(2, 8)) == pytest.approx(3 / 2.25)
    assert ideal_speedup(Method.DENSE, DENSE) == 1.0


def test_sram_energy_meets_its_source() -> None:
    """Horowitz: 10, 20 and 100 pJ for 64 bits of 8 KiB, 32 KiB and 1 MiB."""
    assert 8 * sram_pj_per_byte(8192) == pytest.approx(10)
    assert 8 * sram_pj_per_byte(32768) == pytest.approx(20)
    assert 8 * sram_pj_per_byte(1 << 20) == pytest.approx(100, rel=0.15)


PINNED = {
    # cycles of a step at batch 512 on the default machine: dense, BDWP 2:8
    "resnet9": (582_426_289, 298_794_208),
    "vit": (2_271_935_123, 1_236_476_291),
    "vgg19": (609_235_235, 311_202_972),
    "resnet18-tiny": (225_161_542, 121_156_196),
    "resnet50": (6_423_310_555, 3_483_868_682),
}


@pytest.mark.parametrize("name", PINNED)
def test_pinned_cycles(name: str) -> None:
    dense = step(SatConfig(), network(name), 512, Method.DENSE, DENSE).cycles
    sparse = step(SatConfig(), network(name), 512, Method.BDWP, NM(2, 8)).cycles
    assert (dense, sparse) == PINNED[name]


def test_result_file_round_trip(tables, tmp_path: Path) -> None:
    result = tables[1][0]
    file = result.save(tmp_path / "r")[0]
    assert load(tmp_path / "r") == result
    data = file.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    for name in ("cut.parquet", "nope.parquet"):
        with pytest.raises(InputError, match=name):
            load(tmp_path / name)


def test_study_round_trip(tables, tmp_path: Path) -> None:
    stored = StudyTables({"title": "t", "x": 1}, tables[0])
    stored.write(tmp_path)
    again = StudyTables.read(tmp_path)
    assert again.meta == stored.meta
    assert set(again.tables) == set(stored.tables)
    for row, back in zip(stored.tables["speedup"], again.tables["speedup"], strict=True):
        assert back == row
    (tmp_path / "speedup.parquet").unlink()
    with pytest.raises(InputError, match="speedup.parquet"):
        StudyTables.read(tmp_path)
