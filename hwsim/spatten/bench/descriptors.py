# SPDX-License-Identifier: Apache-2.0
"""Cases of head_check and query_check: descriptors at the ends of what is legal, one beyond, or of anything.

A descriptor is made legal and fills what there is room for, mostly; then at most two of its fields are changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..check import HeadFields, QueryFields, head_legal, query_legal
from ..config import SpattenConfig
from ..timing.functional import SCALE_LIMIT
from .attention import MACHINES, rooms_of, small

EACH = 100
"""Descriptors of a case."""
_BITS = {0: 4, 1: 6, 2: 8, 3: 10, 4: 12, 5: 16, 7: 0}
_LAST_SCALE = int(np.nextafter(np.float32(SCALE_LIMIT), np.float32(0)).view(np.uint32))
_FULL = (SpattenConfig(design="paper"), SpattenConfig(design="eighth"), small(operand_bits=16))
_NAMES = ("KEY_ROWS", "LSB_ROWS", "VALUE_ROWS", "SIZE")


def _machines(options: VerifyOptions) -> tuple[SpattenConfig, ...]:
    return (*MACHINES, *_FULL) if options.machine is None else (options.machine,)


def _parameters(config: SpattenConfig) -> dict[str, int]:
    p = config.verilog_parameters()
    return {n: p[n] for n in _NAMES} | {
        "BITS": config.operand_bits, "LIST": config.list_row, "KEY_BANKS": config.key_row_bytes // 32,
        "VALUE_BANKS": config.value_row_bytes // 32,
    }  # fmt: skip


def head_check(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """``cases`` heads."""
    machines = _machines(options)

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for config in machines:
            bench = Bench("head_check", "hwsim.spatten.bench:descriptor_main.cpp", _parameters(config), {})
            made = [[random_head(rng, config) for _ in range(EACH)] for _ in range(-(-cases // EACH // len(machines)))]
            yield bench, [_case([_words(h, 3) for h in some], [head_legal(config, h) for h in some]) for some in made]

    return _counted(check_all("head_check", work(), options))


def query_check(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """``cases`` queries of legal heads."""
    machines = _machines(options)
    shown = ("KEY_ROWS", "LSB_ROWS", "BITS", "LIST", "KEY_BANKS")

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for config in machines:
            parameters = {k: v for k, v in _parameters(config).items() if k not in shown}
            bench = Bench("query_check", "hwsim.spatten.bench:descriptor_main.cpp", parameters, {"QUERY": 1})
            made = []
            for _ in range(-(-cases // EACH // len(machines))):
                words, legal = [], []
                for _ in range(EACH):
                    head, query = random_query(rng, config)
                    own = (head.keys, head.dimension, head.query_bits, head.value_bits, head.shared)
                    words.append([*_words(query, 1), *own])
                    legal.append(query_legal(config, head, query))
                made.append(_case(words, legal))
            yield bench, made

    return _counted(check_all("query_check", work(), options))


def _counted(row: BlockRow) -> BlockRow:
    row.cases *= EACH
    return row


def _words(fields: HeadFields | QueryFields, addresses: int) -> list[int]:
    both = [part for a in fields[:addresses] for part in (a & 0xFFFFFFFF, a >> 32)]
    return [*both, *fields[addresses:]]


def _case(words: list[list[int]], legal: list[bool]) -> Case:
    stdin = np.array(words, np.uint32).tobytes()
    output = np.array(legal, np.uint32)
    return Case(f"{len(legal)} descriptors, {sum(legal)} of them legal", stdin, {"output": output}, timed=False)


def _end(rng: np.random.Generator, most: int, least: int = 1) -> int:
    """Any number of ``least`` to ``most``, often one of these two."""
    return (least, most, int(rng.integers(least, most + 1)))[int(rng.integers(0, 3))]


def _legal_head(rng: np.random.Generator, config: SpattenConfig) -> HeadFields:
    size = int(config.verilog_parameters()["SIZE"])
    places = 2 * size // config.list_row
    while True:
        codes = [code for code, bits in _BITS.items() if code < 5 and bits <= config.operand_bits]
        key, value = (int(rng.choice(codes)) for _ in range(2))
        planes = [c for c in codes if _BITS[c] + _BITS[key] <= config.operand_bits]
        lsb = int(rng.choice(planes)) if planes and rng.random() < 0.5 else 7
        dimension, shared = int(rng.integers(0, 3)), int(rng.integers(0, 2))
        bits = (16, _BITS[key], _BITS[lsb], _BITS[value])
        rooms = rooms_of(config, 32 << dimension, bits)
        most = min(size, *rooms[: 3 if shared else 2])
        if most:
            break
    count = _end(rng, most)
    first = min(_end(rng, (2 * size - count) // config.list_row, 0), places - 1)
    address = [int(a) << 5 for a in rng.integers(0, 1 << 35, 3)]
    return HeadFields(
        address[0], address[1], address[2], first, count, dimension, int(rng.integers(0, 6)), key, lsb, value, shared,
        _end(rng, 65535), _end(rng, _LAST_SCALE, 0), int(rng.integers(0, 1 << 31)),
    )  # fmt: skip


def _changed(rng: np.random.Generator, old: int, bits: int) -> int:
    """A field of so many bits that is another: by one, in one bit, an end, or anything."""
    other = (
        old + 1,
        old - 1,
        old ^ 1 << int(rng.integers(0, bits)),
        0,
        (1 << bits) - 1,
        int(rng.integers(0, 1 << bits)),
    )
    return other[int(rng.integers(0, len(other)))] % (1 << bits)


def random_head(rng: np.random.Generator, config: SpattenConfig) -> HeadFields:
    """A head; of its fields at most two are not as a legal one's."""
    size = int(config.verilog_parameters()["SIZE"])
    list_bits, count_bits = (2 * size // config.list_row - 1).bit_length(), size.bit_length()
    bits = (40, 40, 40, list_bits, count_bits, 2, 3, 3, 3, 3, 1, 16, 32, 32)
    fields = list(_legal_head(rng, config))
    for place in rng.choice(len(bits), int(rng.integers(0, 3))).tolist():
        fields[place] = _changed(rng, fields[place], bits[place])
        if rng.random() < 0.3 and place < 3:  # within the word
            fields[place] ^= 1 << int(rng.integers(0, 5))
    return HeadFields(*fields)


def random_query(rng: np.random.Generator, config: SpattenConfig) -> tuple[HeadFields, QueryFields]:
    """A query and its head, which is legal; at most two of the query's fields are not as a legal one's."""
    head = _legal_head(rng, config)
    count = _end(rng, head.keys)
    room = rooms_of(config, 32 << head.dimension, (16, 4, 0, _BITS[head.value_bits]))[2]
    begin = 8 * int(rng.integers(0, 4))  # for the longest queries this alone may be too much
    most = (1 << int(config.verilog_parameters()["SIZE"]).bit_length()) - 1
    keep = _end(rng, most) if head.shared or count <= room else _end(rng, room)
    fields = [(int(rng.integers(0, 1 << 35)) << 5) + begin, count, keep]
    bits = (40, most.bit_length(), most.bit_length())
    for place in rng.choice(3, int(rng.integers(0, 3))).tolist():
        fields[place] = _changed(rng, fields[place], bits[place])
    return head, QueryFields(*fields)
