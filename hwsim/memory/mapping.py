# SPDX-License-Identifier: Apache-2.0
"""From a byte address to channel, bank, row.

Channels take turns every ``interleave_bytes``. What is left are a channel's own bytes, whose address has fields named
by the mapping, highest first: "row-bank-column" fills a row before it goes to the next bank, "row-column-bank" only
``piece_bytes`` of it: ``turning_banks`` take a piece each in turns until their rows are full, then the next ones. Bank
means pseudo-channel, bank group and bank, of which the bank is highest, so that neighbours lie in different
pseudo-channels and groups. ``xor_banks`` adds the row's low bits to the bank's (modulo two).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.core.kernels import kernel

from .config import DramConfig


class Place(NamedTuple):
    """Where transactions go; int64 arrays of one shape."""

    channel: np.ndarray
    bank: np.ndarray
    """Of the channel: (pseudo-channel x groups + group) x banks + bank."""
    row: np.ndarray


class Fields(NamedTuple):
    """An address's fields as shifts and masks; every size is a power of two."""

    capacity: int
    interleave: int
    channels: int
    piece: int
    """Bytes of a channel in one bank before the next, as a shift."""
    pieces: int
    """Pieces of a row, as a shift."""
    turning: int
    """Bits of a bank's number below the pieces of a row."""
    pseudo: int
    groups: int
    banks: int
    xor_groups: int
    """Bits of the row that are added to the group's, as a mask."""
    xor_banks: int


def _bits(size: int) -> int:
    return size.bit_length() - 1


def fields(config: DramConfig) -> Fields:
    """The address fields of a memory."""
    piece = config.row_bytes if config.mapping == "row-bank-column" else config.piece_bytes
    return Fields(
        config.capacity_bytes - 1, _bits(config.interleave_bytes), _bits(config.channels), _bits(piece),
        _bits(config.row_bytes) - _bits(piece), _bits(config.turning_banks), _bits(config.pseudo_channels),
        _bits(config.bank_groups), _bits(config.banks), config.bank_groups - 1 if config.xor_banks else 0,
        config.banks - 1 if config.xor_banks else 0,
    )  # fmt: skip


def _place(f: Fields, address: Any) -> Any:
    """(channel, bank, row) of a byte address, a number or an array of them."""
    address = address & f.capacity
    turn = address >> f.interleave
    channel = turn & ((1 << f.channels) - 1)
    own = ((turn >> f.channels) << f.interleave) | (address & ((1 << f.interleave) - 1))
    x = own >> f.piece
    low, x = x & ((1 << f.turning) - 1), x >> (f.turning + f.pieces)
    x = (x << f.turning) | low
    p, x = x & ((1 << f.pseudo) - 1), x >> f.pseudo
    g, x = x & ((1 << f.groups) - 1), x >> f.groups
    b, row = x & ((1 << f.banks) - 1), x >> f.banks
    g, b = g ^ (row & f.xor_groups), b ^ ((row >> f.groups) & f.xor_banks)
    return channel, (((p << f.groups) | g) << f.banks) | b, row


locate = kernel(_place)
"""(channel, bank, row) of a byte address, for kernels."""


def place(config: DramConfig, address: np.ndarray) -> Place:
    """Places of byte addresses; they wrap round at the capacity."""
    return Place(*_place(fields(config), np.asarray(address, np.int64)))
