# SPDX-License-Identifier: Apache-2.0
"""The DRAM model: equal to a naive twin that looks back at every command; within 1% of another simulator's counts."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from dataflow.errors import InputError
from hwsim.memory import lists
from hwsim.memory.config import DramConfig, ddr4_2400, hbm2
from hwsim.memory.lists import addresses
from hwsim.memory.mapping import place
from hwsim.memory.run import bandwidth_by_run, read_trace, run

REFERENCE = pd.read_csv(Path(lists.__file__).with_name("reference.csv"), comment="#")


@pytest.mark.parametrize("row", REFERENCE.itertuples(), ids=lambda r: f"{r.dram}-{r.name}")
def test_cycles_of_another_simulator(row) -> None:
    config = DramConfig(standard=row.dram, channels=1, mapping="row-bank-column")
    address, write = addresses(row.name, config.transaction_bytes)
    assert len(address) == row.transactions
    found = run(config, address, write)
    assert abs(found.cycles / row.cycles - 1) < 0.01
    assert found.bytes == row.bytes


class Twin:
    """One channel, cycle by cycle; every command looks back at all that must lie far enough behind it."""

    def __init__(self, config: DramConfig) -> None:
        self.c = config
        self.late, self.column = config.act_bus - 1, config.column_bus - 1
        self.second: int | None = None  # deadline of an activation's second command
        self.stops = 0  # when the data clock stops
        self.last: dict[tuple[str, str, int], int] = defaultdict(lambda: -(10**9))  # command, of what, which
        self.acts: dict[int, list[int]] = defaultdict(list)
        self.open: dict[int, int] = {}
        self.row_bus = self.column_bus = 0
        self.log: list[str] = []

    def group(self, bank: int) -> int:
        return bank // self.c.banks

    def rank(self, bank: int) -> int:
        return bank // (self.c.banks * self.c.bank_groups)

    def stack(self, bank: int) -> int:
        return self.rank(bank) * self.c.stacks + self.group(bank) % self.c.stacks

    def far(self, now: int, command: str, level: str, which: int, gap: int) -> bool:
        return now - self.last[command, level, which] >= gap

    def may(self, command: str, bank: int, now: int) -> bool:
        c, late, column, g, p = self.c, self.late, self.column, self.group(bank), self.rank(bank)
        data = c.nCWL + c.nBL
        if c.half_clocks and now % 2 and command != "PRE":
            return False
        if command == "ACT" and self.second is not None:
            return False
        others = [p * c.stacks + k for k in range(c.stacks) if p * c.stacks + k != self.stack(bank)]
        if now < (self.row_bus if command in ("ACT", "PRE") else self.column_bus):
            return False
        rules = {
            "ACT": [("ACT", "bank", bank, c.nRC), ("PRE", "bank", bank, c.nRP - late), ("ACT", "group", g, c.nRRDL),
                    ("ACT", "rank", p, c.nRRDS), ("REF", "rank", p, c.nRFC - late)],
            "PRE": [("ACT", "bank", bank, c.nRAS + late), ("RD", "bank", bank, c.nRTP + column),
                    ("WR", "bank", bank, data + c.nWR + column), ("PRE", "rank", p, c.nPPD)],
            "RD": [("ACT", "bank", bank, c.nRCDRD + late - column), ("RD", "rank", p, c.nCCDS),
                   ("RD", "group", g, c.nCCDL), *[("RD", "stack", k, c.nCCDR) for k in others],
                   ("WR", "rank", p, data + c.nWTRS), ("WR", "group", g, data + c.nWTRL)],
            "WR": [("ACT", "bank", bank, c.nRCDWR + late - column), ("WR", "rank", p, c.nCCDS),
                   ("WR", "group", g, c.nCCDL_WR), ("RD", "rank", p, c.nCL + c.nBL + c.nRTW - c.nCWL)],
        }[command]  # fmt: skip
        window = command != "ACT" or len(self.acts[p]) < 4 or now - self.acts[p][-4] >= c.nFAW
        return window and all(self.far(now, *rule) for rule in rules)

    def issue(self, command: str, bank: int, now: int) -> int:
        """Returns when it goes."""
        c = self.c
        if command in ("RD", "WR") and c.nWCKPST >= 0:
            now += self.stopped(now)
            self.stops = max(self.stops, now + (c.nCL if command == "RD" else c.nCWL) + c.nBL + c.nWCKPST)
        places = {"bank": bank, "group": self.group(bank), "stack": self.stack(bank), "rank": self.rank(bank)}
        for level, which in places.items():
            self.last[command, level, which] = now
        self.log.append(command)
        until = now + {"ACT": c.act_bus, "PRE": 1}.get(command, c.column_bus)
        if command in ("ACT", "PRE") or not self.c.two_command_buses:
            self.row_bus = until
        if command in ("RD", "WR") or not self.c.two_command_buses:
            self.column_bus = until
        if command == "ACT":
            self.acts[self.rank(bank)].append(now)
            self.second = now + c.nAAD if c.nAAD else None
        return now

    def stopped(self, now: int) -> bool:
        return self.c.nWCKPST >= 0 and now >= self.stops

    def end_activation(self, now: int) -> bool:
        """Its second command, if one waits."""
        if self.second is None or now < self.row_bus:
            return False
        self.second, self.row_bus, self.column_bus = None, now + 1, now + 1
        return True

    def run(self, bank: np.ndarray, row: np.ndarray, write: np.ndarray) -> int:
        """Cycles until all is served."""
        c = self.c
        queues: list[list[int]] = [[], []]
        active: list[int] = []
        due = [c.nREFI] * c.pseudo_channels
        offered = now = end = 0
        draining = False
        while offered < len(bank) or queues[0] or queues[1] or active:
            if offered < len(bank) and len(queues[int(write[offered])]) < c.queue:
                queues[int(write[offered])].append(offered)
                offered += 1
            for _ in range(1 + c.two_command_buses):
                longest = c.column_bus + self.stopped(now)
                if self.second is not None and self.second < now + longest and self.end_activation(now):
                    end = max(end, now + 1)
                    break
                picked = self.pick(active, bank, row, write, now)
                source = active
                if picked is None:
                    late = [p for p in range(c.pseudo_channels) if now >= due[p]]
                    if late:
                        done = self.refresh(late[0], [int(bank[i]) for i in active], now)
                        if done == "REF":
                            due[late[0]] += c.nREFI
                        if done:
                            end = max(end, now + 1)
                            continue
                        if self.end_activation(now):
                            end = max(end, now + 1)
                        break
                    reads, writes = len(queues[0]), len(queues[1])
                    if draining:
                        draining = not (writes < c.write_low * c.queue and reads > 0)
                    else:
                        draining = writes > c.write_high * c.queue or reads == 0
                    source = queues[int(draining)]
                    picked = self.pick(source, bank, row, write, now)
                    if picked and picked[1] == "PRE" and any(bank[i] == bank[picked[0]] for i in active):
                        picked = None
                if picked is None:
                    if self.end_activation(now):
                        end = max(end, now + 1)
                    break
                i, command = picked
                went = self.issue(command, int(bank[i]), now)
                end = max(end, went + (c.nCL + c.nBL if command == "RD" else 1))
                if command == "ACT":
                    self.open[int(bank[i])] = int(row[i])
                    active.append(i)
                if command == "PRE":
                    del self.open[int(bank[i])]
                else:
                    source.remove(i)
            now += 1
        return end

    def pick(self, queue, bank, row, write, now):
        for i in queue:
            b = int(bank[i])
            hit = self.open.get(b) == row[i]
            command = ("WR" if write[i] else "RD") if hit else "PRE" if b in self.open else "ACT"
            if self.may(command, b, now):
                return i, command
        return None

    def refresh(self, p: int, waited: list[int], now: int) -> str:
        mine = [b for b in self.open if self.rank(b) == p]
        if now < self.row_bus:
            return ""
        if mine:
            if any(self.rank(b) == p for b in waited) or not all(self.may("PRE", b, now) for b in mine):
                return ""
            for b in mine:
                del self.open[b]
            size = self.c.banks * self.c.bank_groups
            for b in range(p * size, (p + 1) * size):
                self.last["PRE", "bank", b] = now
            self.last["PRE", "rank", p] = now
            self.log.append("PRE")
        else:
            late = self.late
            rules = [("PRE", self.c.nRP), ("ACT", self.c.nRC + late), ("REF", self.c.nRFC - late)]
            if self.c.half_clocks and now % 2:
                return ""
            if not all(self.far(now, k, "rank", p, gap) for k, gap in rules):
                return ""
            self.last["REF", "rank", p] = now
            self.log.append("REF")
        self.row_bus = now + 1
        if not self.c.two_command_buses:
            self.column_bus = now + 1
        return self.log[-1]


def random_config(rng: np.random.Generator) -> DramConfig:
    """Timings off every round number, few banks, small queues, refreshes often."""
    pick = lambda low, high: int(rng.integers(low, high))  # noqa: E731
    short = {n: pick(1, 8) for n in ("nBL", "nCCDS", "nRRDS", "nRTP", "nWTRS", "nRTW")}
    short["nCCDS"] += short["nBL"] - 1
    long = {n: short[n[:-1] + "S"] + pick(0, 5) for n in ("nCCDL", "nRRDL", "nWTRL")}
    rcd, rp, ras = pick(2, 20), pick(3, 20), pick(5, 40)
    groups, kind = int(rng.choice([1, 2, 4])), rng.choice(["plain", "half clocks", "two-part activation"])
    if kind == "half clocks":
        short |= {"half_clocks": True, "stacks": min(groups, 2), "nCCDR": pick(1, 12)}
    if kind == "two-part activation":
        rcd += 6
        short |= {"nAAD": pick(3, 6), "nWCKPST": pick(-1, 6)}
    two_buses = bool(rng.random() < 0.5) and kind != "two-part activation"
    return DramConfig(
        channels=1, **short, **long, act_bus=pick(1, 4), two_command_buses=two_buses, column_bus=pick(1, 3),
        pseudo_channels=int(rng.choice([1, 2])), bank_groups=groups, banks=int(rng.choice([1, 2])),
        nPPD=pick(1, 6), nCCDL_WR=long["nCCDL"] + pick(0, 9),
        queue=pick(1, 12), nCL=pick(8, 20), nCWL=pick(1, 8), nRCDRD=rcd, nRCDWR=pick(6, 20), nRP=rp, nRAS=ras,
        nRC=ras + rp, nFAW=pick(5, 40), nWR=pick(1, 20), nRFC=pick(5, 60), nREFI=pick(200, 500), row_bytes=128,
        mapping=str(rng.choice(["row-bank-column", "row-column-bank"])), piece_bytes=32,
        xor_banks=bool(rng.random() < 0.5),
    )  # fmt: skip


@pytest.mark.parametrize(("seed", "cases"), [(0, 400), pytest.param(1, 10_000, marks=pytest.mark.nightly)])
def test_equal_to_the_twin(seed: int, cases: int) -> None:
    """Every cycle and command of random lists, from scattered to sequential, on random devices."""
    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    for case in range(cases):
        config = random_config(rng)
        count = int(rng.integers(0, 120))
        space = int(rng.choice([1 << 10, 1 << 13, 1 << 18]))
        address = rng.integers(0, space // 32, count) * 32
        if rng.random() < 0.4:
            address = np.sort(address)
        write = rng.random(count) < rng.choice([0.0, 0.3, 1.0])
        where = place(config, address)
        twin = Twin(config)
        cycles = twin.run(where.bank, where.row, write)
        found = run(config, address, write)
        assert found.cycles == -(-cycles // config.steps), (case, config)
        assert found.commands == {k: twin.log.count(k) for k in found.commands}, (case, config)
        seen |= set(twin.log)
    assert seen == {"ACT", "PRE", "RD", "WR", "REF"}


@pytest.mark.parametrize("mapping", ["row-bank-column", "row-column-bank"])
@pytest.mark.parametrize("xor", [False, True])
@pytest.mark.parametrize("interleave", [32, 256, 4096])
def test_a_mapping_is_one_to_one(mapping: str, xor: bool, interleave: int) -> None:
    """Each row of each bank gets as many transactions as it has room for, whatever the interleaving."""
    config = DramConfig(
        channels=4, bank_groups=2, banks=2, rows=4, row_bytes=1024, mapping=mapping, xor_banks=xor,
        interleave_bytes=interleave,
    )  # fmt: skip
    address = np.arange(0, config.capacity_bytes, config.transaction_bytes)
    table = pd.DataFrame(place(config, address)._asdict())
    sizes = table.groupby(["channel", "bank", "row"]).size()
    assert len(sizes) == 4 * config.bank_count * 4
    assert set(sizes) == {config.row_bytes // config.transaction_bytes}
    again = place(config, address + config.capacity_bytes)
    assert all(np.array_equal(a, b) for a, b in zip(again, place(config, address), strict=True))


def test_channels_share_the_work() -> None:
    """Sixteen channels give sixteen times one; never more than the data buses carry."""
    one, many = run(hbm2(1), np.arange(1 << 14) * 32), run(hbm2(16), np.arange(1 << 18) * 32)
    assert many.cycles == one.cycles
    assert many.bytes == 16 * one.bytes
    for found in (one, many, run(ddr4_2400(), np.arange(1 << 12) * 64)):
        assert 0 < found.share_of_peak <= 1


def test_longer_runs_waste_less() -> None:
    """Bandwidth grows with the length of what is read in one piece; so does the energy a byte fall."""
    table = bandwidth_by_run(hbm2(1), [32, 256, 2048], transactions=1 << 13)
    assert table["share_of_peak"].is_monotonic_increasing
    assert table["energy_pj_per_byte"].is_monotonic_decreasing
    assert table["share_of_peak"].iloc[-1] > 1.5 * table["share_of_peak"].iloc[0]


def test_energy_is_commands_times_figures() -> None:
    found = run(hbm2(1), np.arange(64) * 32)
    energy = found.energy_pj
    assert found.commands["ACT"] == 16  # 128 bytes to each bank
    assert energy["activate"] == 16 * 909.0
    assert energy["read"] == pytest.approx(64 * 32 * 8 * 3.48)
    assert energy["refresh"] == energy["write"] == 0
    ddr4 = run(ddr4_2400(), np.arange(128) * 64)
    other = ddr4.energy_pj
    assert other["activate"] == pytest.approx(
        ddr4.commands["ACT"] * 8 * 1.2 * ((48 - 34) * 55 - (43 - 34) * 39) * 0.833
    )
    assert other["read"] == pytest.approx(128 * 8 * 1.2 * (135 - 43) * 4 * 0.833)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.cli import main

    path = tmp_path / "a.trace"
    path.write_text("LD 0x40\nST 0x80\n\nLD 128\n")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hwsim", "dram", *words])
        with pytest.raises(SystemExit) as end:
            main()
        texts = capsys.readouterr()
        return int(end.value.code or 0), texts.out, texts.err

    code, text, _ = call(str(path), "--json", "--out", str(tmp_path / "out"))
    assert code == 0
    (row,) = json.loads(text)
    assert (row["transactions"], row["RD"], row["WR"]) == (3, 2, 1)
    assert len(pd.read_csv(tmp_path / "out" / "dram.csv")) == 1
    code, text, _ = call("--channels", "1", "--json")
    assert code == 0
    assert len(json.loads(text)) == 9
    code, _, text = call(str(path), "--set", "queue=0")
    assert code == 2
    assert text == "hwsim: settings: queue: Input should be greater than or equal to 1 (got 0)\n"
    assert call(str(tmp_path / "none"))[0] == 2


def test_a_clock_has_two_halves_where_the_standard_says_so() -> None:
    """Times in the file are half clocks, what is told are clocks; an HBM3 channel moves 32 bytes a clock at most."""
    config = DramConfig(standard="hbm3", channels=1)
    assert (config.steps, config.peak_bytes_per_cycle) == (2, 32.0)
    found = run(config, np.zeros(1, np.int64))
    assert found.cycles == -(-(63 + 44) // 2)  # ACT, its row, a read's data: half clocks
    assert found.bandwidth_gb_per_s == pytest.approx(32 / (54 * 0.625))


def test_a_read_starts_a_clock_that_stopped() -> None:
    """Two reads of an open row: the second takes a cycle more once the data clock has stopped."""
    config = DramConfig(standard="lpddr5-6400", channels=1, mapping="row-bank-column")
    always = config.model_copy(update={"nWCKPST": -1})
    address = np.zeros(1, np.int64)
    assert run(config, address).cycles == run(always, address).cycles + 1 == 15 + 1 + 17 + 2
    stream = np.arange(8) * 32
    assert run(config, stream).cycles == run(always, stream).cycles + 1  # it runs on between them


def test_energy_is_refused_without_figures_and_cycles_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.support.cli import run as hwsim

    (tmp_path / "a.trace").write_text("LD 0x40\n")
    monkeypatch.setenv("COLUMNS", "200")
    for words in (["dram", "--memory", "ddr5-4800"], ["dram", tmp_path / "a.trace", "--memory", "ddr5-4800"]):
        assert hwsim(monkeypatch, *words) == 0
        assert "energy: none, DRAM standard DDR5-4800: its file has no energy figures" in capsys.readouterr().out
        assert hwsim(monkeypatch, *words, "--json") == 0
        assert not any("energy" in key for key in json.loads(capsys.readouterr().out)[0])
    with pytest.raises(InputError, match="no energy figures"):
        _ = run(DramConfig(standard="ddr5-4800"), np.zeros(1, np.int64)).energy_pj


def test_no_transactions_take_no_time() -> None:
    found = run(hbm2(2), np.zeros(0, np.int64))
    assert (found.cycles, found.bytes, found.row_hits) == (0, 0, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [("XX 0x10\n", "1: 'XX 0x10' is not LD or ST"), ("LD 0x10\nST zebra\n", "2: 'zebra' is no address"),
     ("LD -4\n", "outside"), ("LD\n", "not LD or ST"), ("", "no transactions"), ("\n \n", "no transactions")],
)  # fmt: skip
def test_broken_traces(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.trace"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_trace(path)
    with pytest.raises(InputError, match="No such file"):
        read_trace(tmp_path / "none.trace")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"channels": 3}, "power of two"), ({"interleave_bytes": 16}, "below transaction_bytes"),
     ({"write_low": 0.9}, "above write_high"), ({"nREFI": 300}, "no time between refreshes"),
     ({"banks": 16}, "at most 64"), ({"piece_bytes": 16}, "piece_bytes=16"),
     ({"transaction_bytes": 256, "row_bytes": 128, "interleave_bytes": 256}, "above row_bytes"),
     ({"nBL": 4}, "bursts would overlap"), ({"nCCDL": 1}, "bursts would overlap"),
     ({"standard": "DDR4", "pseudo_channels": 2}, "DDR4-2400 has 1"),
     ({"standard": "DDR9"}, r"DRAM standard 'DDR9': Known: .*hbm2, .*ddr4-2400"),
     ({"stacks": 3}, "power of two"), ({"stacks": 4, "bank_groups": 2}, "above bank_groups=2"),
     ({"nCCDL_WR": 1}, "below nCCDS"), ({"nAAD": 4}, "one command bus"),
     ({"standard": "lpddr5-6400", "nAAD": 20}, "must end before a RD"),
     ({"nAAD": 1, "two_command_buses": False}, "below act_bus=2"),
    ],
)  # fmt: skip
def test_devices_that_cannot_be(change: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DramConfig(**change)
