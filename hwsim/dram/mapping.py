# SPDX-License-Identifier: Apache-2.0
"""From a byte address to channel, bank, row.

Channels take turns every ``interleave_bytes``. What is left are a channel's own bytes, whose address has fields named
by the mapping, highest first: "row-bank-column" fills a row before it goes to the next bank, "row-column-bank" only
``piece_bytes`` of it. Bank means pseudo-channel, bank group and bank, of which the bank is highest, so that neighbours
lie in different pseudo-channels and groups. ``xor_banks`` adds the row's low bits to the bank's (modulo two).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .config import DramConfig


class Place(NamedTuple):
    """Where transactions go; int64 arrays of one shape."""

    channel: np.ndarray
    bank: np.ndarray
    """Of the channel: (pseudo-channel x groups + group) x banks + bank."""
    row: np.ndarray


def place(config: DramConfig, address: np.ndarray) -> Place:
    """Places of byte addresses; they wrap round at the capacity."""
    x = np.asarray(address, np.int64) % config.capacity_bytes
    turn, within = x // config.interleave_bytes, x % config.interleave_bytes
    channel = turn % config.channels
    own = turn // config.channels * config.interleave_bytes + within
    pseudo, groups, banks = config.pseudo_channels, config.bank_groups, config.banks
    x = own // (config.row_bytes if config.mapping == "row-bank-column" else config.piece_bytes)
    p, x = x % pseudo, x // pseudo
    g, x = x % groups, x // groups
    b, x = x % banks, x // banks
    row = x if config.mapping == "row-bank-column" else x // (config.row_bytes // config.piece_bytes)
    if config.xor_banks:
        g, b = g ^ (row % groups), b ^ (row // groups % banks)
    return Place(channel, (p * groups + g) * banks + b, row)
