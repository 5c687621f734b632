# SPDX-License-Identifier: Apache-2.0
"""Channel controllers, command by command: first-ready first-come-first-served over an open page.

In every cycle a channel:

1. notes a refresh that has come due; from then on nothing but refreshing (precharge all, refresh) is begun in it,
2. picks the oldest request whose next command may go now, an activation or a precharge counting as well as a read:
   first among requests that have activated their row, then among the reads, or the writes while they are drained,
3. issues that command; with two command buses (HBM) a row and a column command may go in one cycle,
4. works out when it next can do anything: until then it need not be looked at.

A row that a waiting request has activated is not precharged before that request went. Writes are drained from the high
to the low watermark, or while there are no reads. A read's data comes ``read_data`` cycles after its command.
Left out: see `config`; requests to the same address are not merged, and a read does not look into the write queue.
"""

from __future__ import annotations

import numpy as np

from hwsim.core.kernels import kernel

from .config import DramConfig, Timing

ACT, PRE, RD, WR, REF = 0, 1, 2, 3, 4
COMMANDS = ("ACT", "PRE", "RD", "WR", "REF")
NEVER = 1 << 62

# A channel is a row of int64 registers, `m`; times are cycles, 0 to 4 in a block are the commands' earliest.
BANKS, QUEUE = 64, 128
"""The most banks and queue entries of a channel."""
_BANK = 0  # eight a bank: earliest of each command as far as the bank says; the open row, or -1
_ROW = 7
_GROUP = _BANK + 8 * BANKS  # eight a bank group
_RANK = _GROUP + 8 * BANKS  # sixteen a pseudo-channel: earliest; then
_REFRESH, _OLDEST, _ACTS = 5, 6, 8  # next refresh due; which of the last four activations is the oldest; they
_BUS = _RANK + 16 * 8  # row and column command bus
_COUNT = _BUS + 2  # commands issued
_WAKE = _COUNT + 5  # next cycle in which the channel may do something
_DRAINING = _WAKE + 1  # whether writes are served
_LENGTH = _DRAINING + 1  # entries of each queue
_WHERE = _LENGTH + 3  # queues of reads, writes and active requests, oldest first: row, write, bank in one word
_TAG = _WHERE + 3 * QUEUE  # and whose they are
_ANSWERS = _TAG + 3 * QUEUE  # reads issued, not yet fetched: first, count, then a ring of tags and cycles
ANSWERS = 2 * QUEUE
REGISTERS = _ANSWERS + 2 + 2 * ANSWERS
_READS, _WRITES, _ACTIVE = 0, 1, 2


def new_state(config: DramConfig) -> np.ndarray:
    """int64[channels, registers]: idle channels with closed rows at cycle 0."""
    state = np.zeros((config.channels, REGISTERS), np.int64)
    state[:, _BANK + _ROW : _GROUP : 8] = -1
    for p in range(config.pseudo_channels):
        state[:, _RANK + 16 * p + _REFRESH] = config.nREFI
        state[:, _RANK + 16 * p + _ACTS : _RANK + 16 * p + _ACTS + 4] = -NEVER // 2
    return state


def counts(state: np.ndarray) -> dict[str, int]:
    """Commands issued by all channels."""
    return {name: int(state[:, _COUNT + i].sum()) for i, name in enumerate(COMMANDS)}


@kernel(inner=True)
def room(m: np.ndarray, c: int, t: Timing, write: bool) -> int:
    """Transactions that channel ``c`` can take."""
    taken: int = m[c, _LENGTH + (_WRITES if write else _READS)]
    return t.queue - taken


@kernel(inner=True)
def waiting(m: np.ndarray, c: int) -> int:
    """Transactions that channel ``c`` has not yet served."""
    found: int = m[c, _LENGTH] + m[c, _LENGTH + 1] + m[c, _LENGTH + 2]
    return found


@kernel(inner=True)
def wake(m: np.ndarray, c: int) -> int:
    """The next cycle in which channel ``c`` may do something, if nothing is offered before."""
    cycle: int = m[c, _WAKE]
    return cycle


@kernel
def answer(m: np.ndarray, c: int, now: int) -> int:
    """The tag of the next read of channel ``c`` whose data is there by cycle ``now``, taken out; -1: none."""
    if m[c, _ANSWERS + 1] == 0:
        return -1
    at = _ANSWERS + 2 + 2 * m[c, _ANSWERS]
    if m[c, at + 1] > now:
        return -1
    m[c, _ANSWERS] = (m[c, _ANSWERS] + 1) % ANSWERS
    m[c, _ANSWERS + 1] -= 1
    tag: int = m[c, at]
    return tag


@kernel
def answer_tag(m: np.ndarray, c: int) -> int:
    """The tag of the next read whose data comes; meaningless where none does."""
    tag: int = m[c, _ANSWERS + 2 + 2 * m[c, _ANSWERS]]
    return tag


@kernel
def answer_at(m: np.ndarray, c: int) -> int:
    """The cycle in which the next read's data is there."""
    return m[c, _ANSWERS + 3 + 2 * m[c, _ANSWERS]] if m[c, _ANSWERS + 1] else NEVER


@kernel(inline="always")
def _next(m: np.ndarray, c: int, t: Timing, where: int) -> tuple[int, int]:
    """The command that a request needs next, and the cycle from which on it may go."""
    bank = where & 127
    b = _BANK + 8 * bank
    if m[c, b + _ROW] == where >> 8:
        command, bus = 2 + ((where >> 7) & 1), 1
    elif m[c, b + _ROW] >= 0:
        command, bus = PRE, 0
    else:
        command, bus = ACT, 0
    r = _RANK + 16 * (bank >> t.rank_bits)
    at = max(m[c, b + command], m[c, _GROUP + 8 * (bank >> t.bank_bits) + command])
    at = max(at, max(m[c, r + command], m[c, _BUS + bus]))
    if command == ACT:
        at = max(at, m[c, r + _ACTS + m[c, r + _OLDEST]] + t.four_acts)
    return command, at


@kernel
def push(m: np.ndarray, c: int, t: Timing, bank: int, row: int, tag: int, write: bool, now: int) -> bool:
    """Offer a transaction to channel ``c``, to be considered from cycle ``now`` on; False if its queue, or that of
    answers not yet fetched, is full."""
    which = _WRITES if write else _READS
    at = m[c, _LENGTH + which]
    if at >= t.queue:
        return False
    if not write and m[c, _ANSWERS + 1] + m[c, _LENGTH + _READS] + m[c, _LENGTH + _ACTIVE] >= ANSWERS:
        return False  # there would be no place for its answer
    m[c, _WHERE + QUEUE * which + at] = (row << 8) | (which << 7) | bank
    m[c, _TAG + QUEUE * which + at] = tag
    m[c, _LENGTH + which] = at + 1
    if (m[c, _DRAINING] == 1) == write:
        _, cycle = _next(m, c, t, m[c, _WHERE + QUEUE * which + at])
        m[c, _WAKE] = min(m[c, _WAKE], max(cycle, now))
    else:  # it may be time to serve the other queue
        m[c, _WAKE] = min(m[c, _WAKE], now)
    return True


@kernel(inline="always")
def _later(m: np.ndarray, c: int, at: int, cycle: int) -> None:
    if m[c, at] < cycle:
        m[c, at] = cycle


@kernel(inner=True)
def _issue(m: np.ndarray, c: int, t: Timing, where: int, command: int, now: int) -> None:
    """Record a command: what has to wait for it, and how long."""
    bank = where & 127
    b, g = _BANK + 8 * bank, _GROUP + 8 * (bank >> t.bank_bits)
    r = _RANK + 16 * (bank >> t.rank_bits)
    bus = command >> 1
    m[c, _BUS + bus] = now + (t.act_bus if command == ACT else 1)
    if not t.two_buses:
        m[c, _BUS + 1 - bus] = m[c, _BUS + bus]
    m[c, _COUNT + command] += 1
    if command == ACT:
        m[c, b + _ROW] = where >> 8
        m[c, b + RD], m[c, b + WR] = now + t.act_read, now + t.act_write
        m[c, b + PRE], m[c, b + ACT] = now + t.act_pre, now + t.act_act
        m[c, g + ACT] = now + t.act_act_long
        _later(m, c, r + ACT, now + t.act_act_short)
        _later(m, c, r + REF, now + t.act_refresh)
        m[c, r + _ACTS + m[c, r + _OLDEST]] = now
        m[c, r + _OLDEST] = (m[c, r + _OLDEST] + 1) & 3
    elif command == PRE:
        m[c, b + _ROW] = -1
        _later(m, c, b + ACT, now + t.pre_act)
        _later(m, c, r + REF, now + t.pre_refresh)
    elif command == RD:
        _later(m, c, r + RD, now + t.column_short)
        _later(m, c, g + RD, now + t.column_long)
        _later(m, c, r + WR, now + t.read_write)
        _later(m, c, b + PRE, now + t.read_pre)
    else:
        _later(m, c, r + WR, now + t.column_short)
        _later(m, c, g + WR, now + t.column_long)
        _later(m, c, r + RD, now + t.write_read_short)
        _later(m, c, g + RD, now + t.write_read_long)
        _later(m, c, b + PRE, now + t.write_pre)


@kernel(inner=True)
def _remove(m: np.ndarray, c: int, which: int, at: int) -> None:
    """Take a request out of its queue; those behind move up."""
    last = m[c, _LENGTH + which] - 1
    where, tag = _WHERE + QUEUE * which, _TAG + QUEUE * which
    for i in range(at, last):
        m[c, where + i] = m[c, where + i + 1]
        m[c, tag + i] = m[c, tag + i + 1]
    m[c, _LENGTH + which] = last


@kernel(inner=True)
def _refresh(m: np.ndarray, c: int, t: Timing, p: int, now: int) -> int:
    """One step of a refresh of all banks that is due: precharge them together, then refresh. The cycle in which it
    can be taken; it was taken if that is now or earlier."""
    first, last = p << t.rank_bits, (p + 1) << t.rank_bits
    r = _RANK + 16 * p
    at: int = m[c, _BUS]
    is_open = False
    for bank in range(first, last):
        if m[c, _BANK + 8 * bank + _ROW] >= 0:
            is_open = True
            at = max(at, m[c, _BANK + 8 * bank + PRE])
    if is_open:
        for i in range(m[c, _LENGTH + _ACTIVE]):
            if (m[c, _WHERE + QUEUE * _ACTIVE + i] & 127) >> t.rank_bits == p:
                return NEVER  # its row stays open until it went
    else:
        at = max(at, m[c, r + REF])
    if at > now:
        return at
    m[c, _BUS] = now + 1
    if not t.two_buses:
        m[c, _BUS + 1] = now + 1
    if is_open:
        for bank in range(first, last):
            m[c, _BANK + 8 * bank + _ROW] = -1
            _later(m, c, _BANK + 8 * bank + ACT, now + t.pre_act)
        _later(m, c, r + REF, now + t.pre_refresh)
        m[c, _COUNT + PRE] += 1
    else:
        _later(m, c, r + ACT, now + t.refresh_act)
        _later(m, c, r + REF, now + t.refresh_act)
        m[c, r + _REFRESH] += t.refresh_interval
        m[c, _COUNT + REF] += 1
    return at


@kernel(inner=True)
def _pick(m: np.ndarray, c: int, t: Timing, which: int, start: int, now: int) -> tuple[int, int, int]:
    """The oldest request of a queue, from place ``start`` on, whose next command may go now: its place (-1: none), the
    command, and the earliest cycle of those before it. Requests that need the same command of the same bank are as
    one."""
    soonest = NEVER
    hits, misses = 0, 0  # banks seen, requests to their open row and others
    where = _WHERE + QUEUE * which
    for i in range(start, m[c, _LENGTH + which]):
        w = m[c, where + i]
        bit = 1 << (w & 63)
        if m[c, _BANK + 8 * (w & 127) + _ROW] == w >> 8:
            if hits & bit:
                continue
            hits |= bit
        else:
            if misses & bit:
                continue
            misses |= bit
        command, at = _next(m, c, t, w)
        if at <= now:
            return i, command, soonest
        soonest = min(soonest, at)
    return -1, 0, soonest


@kernel
def tick(m: np.ndarray, c: int, t: Timing, now: int) -> bool:
    """One cycle of channel ``c``. Returns whether a command was issued."""
    if now < m[c, _WAKE]:
        return False
    issued, more = False, True  # more: a further command may go in this very cycle
    soonest = passed = NEVER
    start_active, start_queue, queue = 0, 0, -1  # who could not go in this cycle is not asked again in it
    for _ in range(1 + t.two_buses):
        which = _ACTIVE  # requests that have opened their row come first
        at, command, soonest = _pick(m, c, t, which, start_active, now)
        soonest = min(soonest, passed)
        if at < 0:
            due = -1
            for p in range(t.pseudo_channels):
                if now >= m[c, _RANK + 16 * p + _REFRESH]:
                    due = p
                    break
            if due >= 0:
                cycle = _refresh(m, c, t, due, now)
                soonest = min(soonest, cycle)
                if cycle > now:
                    more = False
                    break
                issued = True
                continue
            reads, writes = m[c, _LENGTH + _READS], m[c, _LENGTH + _WRITES]
            if m[c, _DRAINING]:
                m[c, _DRAINING] = 0 if writes < t.low and reads > 0 else 1
            else:
                m[c, _DRAINING] = 1 if writes > t.high or reads == 0 else 0
            which = m[c, _DRAINING]
            at, command, earliest = _pick(m, c, t, which, start_queue if which == queue else 0, now)
            soonest = min(soonest, earliest)
            if at >= 0 and command == PRE:
                bank = m[c, _WHERE + QUEUE * which + at] & 127
                for i in range(m[c, _LENGTH + _ACTIVE]):
                    if m[c, _WHERE + QUEUE * _ACTIVE + i] & 127 == bank:
                        at = -1  # its open row is waited for
                        break
        if at < 0:
            more = False
            break
        passed = soonest
        if which == _ACTIVE:
            start_active = at
        else:
            start_active, start_queue, queue = m[c, _LENGTH + _ACTIVE], at, which
        w, tag = m[c, _WHERE + QUEUE * which + at], m[c, _TAG + QUEUE * which + at]
        _issue(m, c, t, w, command, now)
        issued = True
        if command == PRE:
            continue
        _remove(m, c, which, at)
        if command == ACT:
            n = m[c, _LENGTH + _ACTIVE]
            m[c, _WHERE + QUEUE * _ACTIVE + n], m[c, _TAG + QUEUE * _ACTIVE + n] = w, tag
            m[c, _LENGTH + _ACTIVE] = n + 1
        elif command == RD:
            place = _ANSWERS + 2 + 2 * ((m[c, _ANSWERS] + m[c, _ANSWERS + 1]) % ANSWERS)
            m[c, place], m[c, place + 1] = tag, now + t.read_data
            m[c, _ANSWERS + 1] += 1
    if more:
        m[c, _WAKE] = now + 1
    else:
        for p in range(t.pseudo_channels):
            if m[c, _RANK + 16 * p + _REFRESH] > now:
                soonest = min(soonest, m[c, _RANK + 16 * p + _REFRESH])
        m[c, _WAKE] = max(soonest, now + 1)
    return issued
