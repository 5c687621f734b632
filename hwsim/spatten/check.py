# SPDX-License-Identifier: Apache-2.0
"""Which descriptors `spatten_core` works on: the rules of `head_check` and `query_check` in RTL, in integers.

Bits of an element are coded 0 to 5 for 4, 6, 8, 10, 12 and 16; 7: there is no such plane. A dimension is coded 0 to 2
for 32, 64, 128.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .config import SpattenConfig
from .timing.functional import SCALE_LIMIT
from .timing.lower import touched

WORD = 32
"""Bytes of a transaction."""
QUERY_BYTES = 256
"""From the first word that a query touches to its end, at most."""
_BITS = (4, 6, 8, 10, 12, 16)
_NO_PLANE = 7
_WIDEST = 5
"""A code that q alone can have."""


class HeadFields(NamedTuple):
    """A head's descriptor."""

    key_address: int
    lsb_address: int
    value_address: int
    list: int
    """First row of its tokens."""
    keys: int
    dimension: int
    query_bits: int
    key_bits: int
    lsb_bits: int
    value_bits: int
    shared: int
    """1: its queries share the values."""
    queries: int
    scale: int
    """A binary32 number's bits."""
    limit: int
    """A binary32 number's bits."""


class QueryFields(NamedTuple):
    """A query's descriptor."""

    address: int
    seen: int
    """Keys that it sees."""
    keep: int
    """Values that it multiplies at most."""


def rows(row_bytes: int, count: int, size: int) -> int:
    """Rows of ``row_bytes`` that ``count`` vectors of ``size`` bytes may fill: as many words each as one may touch."""
    return -(-count * touched(size, WORD) // (row_bytes // WORD))


def head_legal(config: SpattenConfig, head: HeadFields) -> bool:
    """Whether a head can be worked on."""
    size = int(config.verilog_parameters()["SIZE"])
    lsb_bits = 0 if head.lsb_bits == _NO_PLANE else head.lsb_bits
    if head.dimension > 2 or head.query_bits > _WIDEST or max(head.key_bits, lsb_bits, head.value_bits) >= _WIDEST:
        return False
    planes = _BITS[head.key_bits] + (0 if head.lsb_bits == _NO_PLANE else _BITS[head.lsb_bits])
    if max(planes, _BITS[head.value_bits]) > config.operand_bits:
        return False
    scale = float(np.uint32(head.scale).view(np.float32))

    def filled(row_bytes: int, code: int) -> int:
        return 0 if code == _NO_PLANE else rows(row_bytes, head.keys, (32 << head.dimension) * _BITS[code] // 8)

    rules = (
        all(address % WORD == 0 for address in head[:3]),
        1 <= head.keys <= size,
        head.list * config.list_row + head.keys <= 2 * size,
        head.queries >= 1,
        filled(config.key_row_bytes, head.key_bits) <= config.key_rows // 2,
        filled(config.key_row_bytes, head.lsb_bits) <= config.lsb_rows,
        not head.shared or filled(config.value_row_bytes, head.value_bits) <= config.value_rows // 2,
        head.scale >> 31 == 0 and 0 <= scale < SCALE_LIMIT,
        head.limit >> 31 == 0,
    )
    return all(rules)


def query_legal(config: SpattenConfig, head: HeadFields, query: QueryFields) -> bool:
    """Whether a query can be worked on, of a head that can be."""
    elements = 32 << head.dimension
    kept = min(query.keep, query.seen)
    value_rows = rows(config.value_row_bytes, kept, elements * _BITS[head.value_bits] // 8)
    rules = (
        query.address % 8 == 0,
        query.address % WORD + elements * _BITS[head.query_bits] // 8 <= QUERY_BYTES,
        1 <= query.seen <= head.keys,
        query.keep >= 1,
        head.shared or value_rows <= config.value_rows // 2,
    )
    return all(rules)
