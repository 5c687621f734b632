# SPDX-License-Identifier: Apache-2.0
"""A list of transactions through the memory, as fast as it takes them: cycles, commands, bandwidth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dataflow.errors import InputError
from dataflow.files import text_encoding
from hwsim.core.kernels import kernel, without_refcount

from .config import DramConfig
from .controller import NEVER, answer, answer_at, counts, new_state, push, room, tick, waiting, wake, written
from .energy import dram_energy, without_figures
from .mapping import place


@dataclass(frozen=True, slots=True)
class DramRun:
    """Result of a list of transactions."""

    config: DramConfig
    transactions: int
    cycles: int
    """Clocks from the first transaction offered to the last read's data, or the last write's command."""
    commands: dict[str, int]

    @property
    def bytes(self) -> int:
        return self.transactions * self.config.transaction_bytes

    @property
    def bytes_per_cycle(self) -> float:
        return self.bytes / max(self.cycles, 1)

    @property
    def bandwidth_gb_per_s(self) -> float:
        return self.bytes_per_cycle * 1000 / self.config.clock_ps

    @property
    def energy_pj(self) -> dict[str, float]:
        """Energy by kind of command, pJ."""
        return dram_energy(self.config, self.commands)

    @property
    def share_of_peak(self) -> float:
        return self.bytes_per_cycle / self.config.peak_bytes_per_cycle

    @property
    def row_hits(self) -> float:
        """Share of transactions that needed no activation of their own."""
        return 1 - self.commands["ACT"] / max(self.transactions, 1)


def run(config: DramConfig, address: np.ndarray, write: np.ndarray | None = None) -> DramRun:
    """Offer transactions in order, each as soon as its channel's queue has room, one a cycle and channel.

    Args:
        address: int64[n] byte addresses; a transaction is the aligned burst that holds it.
        write: bool[n]; none: all are reads.
    """
    address = np.ascontiguousarray(address, np.int64)
    kinds = np.zeros(len(address), np.bool_) if write is None else np.ascontiguousarray(write, np.bool_)
    if len(kinds) != len(address):
        raise InputError(f"dram: {len(address)} addresses and {len(kinds)} kinds")
    if len(address) and int(address.min()) < 0:
        raise InputError(f"dram: address {int(address.min())} is negative")
    where = place(config, address)
    order = np.argsort(where.channel, kind="stable")
    ends = np.searchsorted(where.channel[order], np.arange(config.channels + 1))
    state = new_state(config)
    cycles = 0
    for channel in range(config.channels):
        mine = order[ends[channel] : ends[channel + 1]]
        taken = _run_channel(state, channel, where.bank[mine], where.row[mine], kinds[mine])
        cycles = max(cycles, int(taken))
    return DramRun(config, len(address), -(-cycles // config.steps), counts(state))


@kernel
def _run_channel(m: np.ndarray, c: int, bank: np.ndarray, row: np.ndarray, write: np.ndarray) -> int:
    """Cycles of one channel's list."""
    m, bank, row, write = without_refcount(m), without_refcount(bank), without_refcount(row), without_refcount(write)
    n, offered, now, end = len(bank), 0, 0, 0
    while offered < n or waiting(m, c) > 0:
        if offered < n and push(m, c, bank[offered], row[offered], offered, write[offered], now):
            offered += 1
        if tick(m, c, now):
            end = max(end, now + 1)
        while answer_at(m, c) != NEVER:
            end = max(end, answer_at(m, c))
            answer(m, c, end)
        now += 1
        # nothing to offer, or nowhere to put it: on to when the channel can do something
        if offered == n or room(m, c, write[offered]) == 0:
            now = max(now, wake(m, c))
    return max(end, written(m, c))


def bandwidth_by_run(
    config: DramConfig, sizes: list[int], *, transactions: int = 1 << 15, seed: int = 0
) -> pd.DataFrame:
    """Bandwidth of reads of aligned runs of ``sizes`` bytes each at random addresses.

    Returns:
        A row a size: run_bytes, bandwidth_gb_per_s, share_of_peak, row_hits and, where the standard's file has energy
        figures, energy_pj_per_byte.
    """
    rows = []
    for size in sizes:
        count = max(size // config.transaction_bytes, 1)
        rng = np.random.default_rng(seed)
        starts = rng.integers(0, config.capacity_bytes // size, max(transactions // count, 1)) * size
        found = run(config, (starts[:, None] + np.arange(count) * config.transaction_bytes).ravel())
        row = {"run_bytes": size, "bandwidth_gb_per_s": found.bandwidth_gb_per_s,
               "share_of_peak": found.share_of_peak, "row_hits": found.row_hits}  # fmt: skip
        if not without_figures(config):
            row["energy_pj_per_byte"] = sum(found.energy_pj.values()) / found.bytes
        rows.append(row)
    return pd.DataFrame(rows)


def read_trace(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Addresses and whether each is a write, of a text file with "LD 0x1f" or "ST 0x1f" a line.

    Raises:
        InputError: no such file; a line that is neither; no line at all.
    """
    address, write = [], []
    encoding = text_encoding(path)
    try:
        with path.open(encoding=encoding) as lines:
            for number, line in enumerate(lines, 1):
                words = line.split()
                if not words:
                    continue
                if len(words) != 2 or words[0] not in ("LD", "ST"):
                    raise InputError(f"{path}:{number}: {line.strip()!r} is not LD or ST and an address")
                try:
                    value = int(words[1], 0)
                except ValueError:
                    raise InputError(f"{path}:{number}: {words[1]!r} is no address") from None
                if not 0 <= value < 1 << 62:
                    raise InputError(f"{path}:{number}: address {words[1]} is outside 0 to 2^62")
                address.append(value)
                write.append(words[0] == "ST")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error.strerror if isinstance(error, OSError) else 'not a text file'}") from None
    if not address:
        raise InputError(f"{path}: no transactions; expected LD 0x1f or ST 0x1f a line")
    return np.array(address, np.int64), np.array(write, np.bool_)
