# SPDX-License-Identifier: Apache-2.0
"""Channel controllers, command by command: first-ready first-come-first-served over an open page.

In every cycle a channel:

1. issues the oldest activated request whose read or write may go now: who has opened its row comes first,
2. else notes a refresh that has come due; from then on nothing but 1 and refreshing (precharge all, refresh) is begun,
3. else picks, among the reads, or the writes while they are drained, the oldest request whose next command may go now,
   an activation or a precharge counting as well as a read, and issues that command,
4. with two command buses (HBM) does 1 to 3 once more: a row and a column command may go in one cycle,
5. works out when it next can do anything: until then it need not be looked at.

Where an activation takes two commands (LPDDR5), the second one goes when nothing else can, or at its deadline, and no
other row is activated before. Where the data clock stops when it is not used, a read or write after that takes one
cycle more, in which the clock is started (CAS). An activation whose second command a read or write could make late is
ended first. Where times are half clocks (HBM3), a cycle here is half a clock: precharges may go in every one, all else
on the clock's rising edge, in even ones.

A row that a waiting request has activated is not precharged before that request went; where such a precharge is what 3
picks, nothing is issued. Writes are drained from the high to the low watermark, or while there are no reads. A read's
data comes ``read_data`` cycles after its command.
Left out: see `config`; requests to the same address are not merged, and a read does not look into the write queue.

Not every request is looked at in every cycle. Those that need the same command of the same bank are as one, so a bank
has two candidates of each queue: the oldest request to its open row and the oldest to another row. For each command, a
pseudo-channel keeps a mask of the banks with a candidate, the oldest candidate that was ready when last looked at, and
a cycle before which no other is. Commands only push such cycles later, so one holds until a new candidate is sooner.
"""

from __future__ import annotations

import numpy as np

from hwsim.core.kernels import first_bit, kernel

from .config import DramConfig, Timing

ACT, PRE, RD, WR, REF = 0, 1, 2, 3, 4
COMMANDS = ("ACT", "PRE", "RD", "WR", "REF")
NEVER = 1 << 62
NONE = -1
READS, WRITES = 0, 1
"""Kinds of requests; the command of kind k is RD + k."""

# A channel is a row of int64 registers; times are cycles. In the blocks of pseudo-channels, groups and banks, registers
# 0 to 3 are the earliest of ACT, PRE, RD, WR as far as the block's owner says.
BANKS, QUEUE = 64, 128
"""The most banks and queue entries of a channel."""
ANSWERS = 2 * QUEUE
_WAKE = 0  # next cycle in which the channel may do something
_ANSWER_AT = 1  # cycle in which the next answer is there, or NEVER
_ANSWER, _ANSWERED = 2, 3  # reads issued, not yet fetched: place of the first, count
_DRAINING = 4  # whether writes are served
_LENGTH, _ACTIVES = 5, 7  # entries of the queue of each kind; active requests
_BUS = 8  # from when on the row and the column command bus are free
_ACTIVE_AT = 10  # before this cycle no active request can go
_REFRESH_AT = 11  # the next refresh comes due
_FREE = 12  # first free slot
_ARRIVALS = 13  # requests so far
_COUNT = 16  # commands issued
_SECOND_BY = 21  # when the second command of an activation must have gone, or NEVER: none waits
_STOPS_AT = 22  # when the data clock stops
_WRITTEN = 23  # the cycle after the last write's command
_T = Timing(*range(24, 24 + len(Timing._fields)))  # where the timing lies
_ACTIVE = 72  # two an active request, oldest first: bank and kind, tag
_RANK = _ACTIVE + 2 * BANKS  # 48 a pseudo-channel: earliest, the fifth of REF; then
_DUE, _OLDEST_ACT, _ACTS = 5, 6, 8  # next refresh; which of the last four activations is the oldest; they
_OPEN, _BUSY = 12, 13  # masks of banks: with an open row, with an active request
_FOR_KIND = 16  # 16 a kind, four by command:
_SOONEST, _WANTED, _READY, _OTHERS = 0, 4, 8, 12  # no candidate can go before; mask; the ready one; the others' cycle
_GROUP = _RANK + 48 * 8  # four a bank group
_BANK = _GROUP + 4 * BANKS  # 16 a bank: earliest, then
_ROW = 4  # the open row, or NONE
_LIST = 8  # four a kind: first and last request of the bank, its candidates: to another row, to the open row
_SLOT = _BANK + 16 * BANKS  # eight a request:
_NEXT, _BEFORE, _NAME, _BANK_OF, _ROW_OF, _TAG_OF = range(6)  # neighbours in its bank's list; number and slot in a word
_RING = _SLOT + 8 * 2 * QUEUE  # two an answer: tag, cycle
REGISTERS = _RING + 2 * ANSWERS


def new_state(config: DramConfig) -> np.ndarray:
    """int64[channels, registers]: idle channels with closed rows at cycle 0."""
    state = np.zeros((config.channels, REGISTERS), np.int64)
    state[:, _T[0] : _T[-1] + 1] = config.timing()
    state[:, [_ANSWER_AT, _ACTIVE_AT, _SECOND_BY]] = NEVER
    state[:, _REFRESH_AT] = config.nREFI
    for p in range(config.pseudo_channels):
        r = _RANK + 48 * p
        state[:, r + _DUE] = config.nREFI
        state[:, r + _ACTS : r + _ACTS + 4] = -NEVER // 2
        for k in (r + _FOR_KIND, r + _FOR_KIND + 16):
            state[:, k : k + 16] = NEVER
            state[:, k + _WANTED : k + _WANTED + 4] = 0
    for field in (_ROW, _LIST, _LIST + 1, _LIST + 4, _LIST + 5):
        state[:, _BANK + field : _SLOT : 16] = NONE
    state[:, _SLOT + _NEXT : _RING : 8] = np.append(np.arange(1, 2 * QUEUE), NONE)
    return state


def counts(state: np.ndarray) -> dict[str, int]:
    """Commands issued by all channels."""
    return {name: int(state[:, _COUNT + i].sum()) for i, name in enumerate(COMMANDS)}


@kernel(inner=True)
def count_commands(m: np.ndarray, found: np.ndarray) -> None:
    """Add the commands issued by all channels to ``found``, int64[COMMANDS]."""
    for c in range(len(m)):
        for i in range(len(COMMANDS)):
            found[i] += m[c, _COUNT + i]


@kernel(inner=True)
def room(m: np.ndarray, c: int, write: bool) -> int:
    """Transactions that channel ``c`` can take."""
    free: int = m[c, _T.queue] - m[c, _LENGTH + (WRITES if write else READS)]
    return free


@kernel(inner=True)
def waiting(m: np.ndarray, c: int) -> int:
    """Transactions that channel ``c`` has not yet served."""
    found: int = m[c, _LENGTH + READS] + m[c, _LENGTH + WRITES] + m[c, _ACTIVES]
    return found


@kernel(inner=True)
def wake(m: np.ndarray, c: int) -> int:
    """The next cycle in which channel ``c`` may do something, if nothing is offered before."""
    cycle: int = m[c, _WAKE]
    return cycle


@kernel(inner=True)
def written(m: np.ndarray, c: int) -> int:
    """The cycle after the last write's command of channel ``c``; 0: there was none."""
    cycle: int = m[c, _WRITTEN]
    return cycle


@kernel
def answer(m: np.ndarray, c: int, now: int) -> int:
    """The tag of the next read of channel ``c`` whose data is there by cycle ``now``, taken out; -1: none."""
    if m[c, _ANSWER_AT] > now:
        return -1
    first = m[c, _ANSWER] & (ANSWERS - 1)
    tag: int = m[c, _RING + 2 * first]
    first = (first + 1) & (ANSWERS - 1)
    m[c, _ANSWER] = first
    m[c, _ANSWERED] -= 1
    m[c, _ANSWER_AT] = m[c, _RING + 2 * first + 1] if m[c, _ANSWERED] else NEVER
    return tag


@kernel
def answer_tag(m: np.ndarray, c: int) -> int:
    """The tag of the next read whose data comes; meaningless where none does."""
    tag: int = m[c, _RING + 2 * (m[c, _ANSWER] & (ANSWERS - 1))]
    return tag


@kernel
def answer_at(m: np.ndarray, c: int) -> int:
    """The cycle in which the next read's data is there."""
    cycle: int = m[c, _ANSWER_AT]
    return cycle


# Where the blocks lie. The masks change nothing but tell the compiler that an index is not negative: without, each
# access would test for an index from the row's end.


@kernel(inner=True, inline="late")
def _slot(slot: int) -> int:
    return _SLOT + 8 * (slot & (2 * QUEUE - 1))


@kernel(inner=True, inline="late")
def _bank(bank: int) -> int:
    return _BANK + 16 * (bank & (BANKS - 1))


@kernel(inner=True, inline="late")
def _list(bank: int, kind: int) -> int:
    return _BANK + _LIST + 16 * (bank & (BANKS - 1)) + 4 * (kind & 1)


@kernel(inner=True, inline="late")
def _group(s: np.ndarray, bank: int) -> int:
    group: int = (bank & (BANKS - 1)) >> s[_T.bank_bits]
    return _GROUP + 4 * group


@kernel(inner=True, inline="late")
def _rank(s: np.ndarray, bank: int) -> int:
    p: int = (bank & (BANKS - 1)) >> s[_T.rank_bits]
    return _RANK + 48 * p


@kernel(inner=True, inline="late")
def _for_kind(r: int, kind: int) -> int:
    return r + _FOR_KIND + 16 * (kind & 1)


@kernel(inner=True, inline="late")
def _bit(bank: int) -> int:
    one: int = 1 << (bank & (BANKS - 1))
    return one


@kernel(inner=True, inline="late")
def _later(s: np.ndarray, at: int, cycle: int) -> None:
    s[at] = max(s[at], cycle)


@kernel(inner=True, inline="late")
def _sooner(s: np.ndarray, at: int, cycle: int) -> None:
    s[at] = min(s[at], cycle)


@kernel(inner=True, inline="late")
def _limit(s: np.ndarray, r: int, kind: int, command: int, cycle: int) -> None:
    """No ``command`` for a kind of requests in a pseudo-channel before ``cycle``."""
    _later(s, r + command, cycle)
    _later(s, _for_kind(r, kind) + _SOONEST + command, cycle)


@kernel(inner=True, inline="late")
def _take_bus(s: np.ndarray, bus: int, until: int) -> None:
    s[_BUS + bus] = until
    if not s[_T.two_buses]:
        s[_BUS + 1 - bus] = until


@kernel(inner=True, inline="late")
def _want(s: np.ndarray, bank: int, kind: int, command: int, slot: int) -> None:
    """Make a request, or NONE, the candidate for a command of a bank."""
    r = _rank(s, bank)
    k = _for_kind(r, kind) + command
    if slot == NONE:
        s[k + _WANTED] &= ~_bit(bank)
    else:
        s[_list(bank, kind) + 2 + (command >> 1)] = s[_slot(slot) + _NAME]
        s[k + _WANTED] |= _bit(bank)
        cycle = max(s[_bank(bank) + command], s[r + command])
        _sooner(s, k + _SOONEST, cycle)
        _sooner(s, k + _OTHERS, cycle)


@kernel(inner=True)
def _find(s: np.ndarray, slot: int, row: int, same: bool) -> int:
    """The first request to a row, or to another one, in a bank's list from ``slot`` on, or NONE."""
    while slot != NONE and (s[_slot(slot) + _ROW_OF] == row) != same:
        slot = s[_slot(slot) + _NEXT]
    return slot


@kernel(inner=True)
def _open(s: np.ndarray, bank: int, row: int, emptied: int) -> None:
    """Open another row of a bank, or NONE: its requests need other commands. ``emptied``: a kind whose list may have
    become empty."""
    s[_bank(bank) + _ROW] = row
    if row == NONE:
        s[_rank(s, bank) + _OPEN] &= ~_bit(bank)
    else:
        s[_rank(s, bank) + _OPEN] |= _bit(bank)
    for kind in range(2):
        first = s[_list(bank, kind)]
        if first == NONE and kind != emptied:
            continue
        if row == NONE:
            _want(s, bank, kind, ACT, first)
            _want(s, bank, kind, PRE, NONE)
            _want(s, bank, kind, RD + kind, NONE)
        else:
            _want(s, bank, kind, ACT, NONE)
            _want(s, bank, kind, PRE, _find(s, first, row, False))
            _want(s, bank, kind, RD + kind, _find(s, first, row, True))


@kernel(inner=True, inline="late")
def _drains(s: np.ndarray) -> int:
    """Whether writes are to be served."""
    reads, writes = s[_LENGTH + READS], s[_LENGTH + WRITES]
    if s[_DRAINING]:
        return 0 if writes < s[_T.low] and reads > 0 else 1
    return 1 if writes > s[_T.high] or reads == 0 else 0


@kernel
def push(m: np.ndarray, c: int, bank: int, row: int, tag: int, write: bool, now: int) -> bool:
    """Offer a transaction to channel ``c``, to be considered from cycle ``now`` on; False if its queue, or that of
    answers not yet fetched, is full."""
    if m[c, _LENGTH + (WRITES if write else READS)] >= m[c, _T.queue]:
        return False
    if not write and m[c, _ANSWERED] + m[c, _LENGTH + READS] + m[c, _ACTIVES] >= ANSWERS:
        return False  # there would be no place for its answer
    _append(m[c], bank, row, tag, WRITES if write else READS, now)
    return True


@kernel(inner=True)
def _append(s: np.ndarray, bank: int, row: int, tag: int, kind: int, now: int) -> None:
    """Put a request into its queue, as a candidate where its bank has none for the same command."""
    slot = s[_FREE]
    x, k = _slot(slot), _list(bank, kind)
    last = s[k + 1]
    s[_FREE] = s[x + _NEXT]
    s[x + _NEXT], s[x + _BEFORE], s[x + _NAME] = NONE, last, (s[_ARRIVALS] << 8) | slot
    s[x + _BANK_OF], s[x + _ROW_OF], s[x + _TAG_OF] = bank, row, tag
    if last == NONE:
        s[k] = slot
    else:
        s[_slot(last) + _NEXT] = slot
    s[k + 1] = slot
    s[_ARRIVALS] += 1
    s[_LENGTH + kind] += 1
    is_open = s[_bank(bank) + _ROW]
    command = RD + kind if is_open == row else PRE if is_open != NONE else ACT
    r = _rank(s, bank)
    if s[_for_kind(r, kind) + command + _WANTED] & _bit(bank) == 0:
        _want(s, bank, kind, command, slot)
        if s[_DRAINING] == kind:
            _sooner(s, _WAKE, max(now, s[_BUS + (command >> 1)], s[_bank(bank) + command], s[r + command]))
    if _drains(s) != s[_DRAINING]:  # it is time to serve the other queue
        _sooner(s, _WAKE, now)


@kernel(inner=True, inline="late")
def _remove(s: np.ndarray, bank: int, kind: int, slot: int) -> int:
    """Take a request out of its queue. Returns the next one of its bank's list."""
    x, k = _slot(slot), _list(bank, kind)
    before: int = s[x + _BEFORE]
    after: int = s[x + _NEXT]
    if before == NONE:
        s[k] = after
    else:
        s[_slot(before) + _NEXT] = after
    if after == NONE:
        s[k + 1] = before
    else:
        s[_slot(after) + _BEFORE] = before
    s[x + _NEXT] = s[_FREE]
    s[_FREE] = slot
    s[_LENGTH + kind] -= 1
    return after


@kernel(inner=True, inline="late")
def _activate(s: np.ndarray, bank: int, kind: int, slot: int, now: int) -> None:
    """Activate a request's row; the request is active until it goes."""
    x, b, r = _slot(slot), _bank(bank), _rank(s, bank)
    _take_bus(s, 0, now + s[_T.act_bus])
    s[_COUNT + ACT] += 1
    s[b + RD], s[b + WR] = now + s[_T.act_read], now + s[_T.act_write]
    s[b + PRE], s[b + ACT] = now + s[_T.act_pre], now + s[_T.act_act]
    s[_group(s, bank) + ACT] = now + s[_T.act_act_long]
    s[r + _ACTS + (s[r + _OLDEST_ACT] & 3)] = now
    oldest = (s[r + _OLDEST_ACT] + 1) & 3
    s[r + _OLDEST_ACT] = oldest
    after = max(now + s[_T.act_act_short], s[r + _ACTS + oldest] + s[_T.four_acts])
    _limit(s, r, READS, ACT, after)
    _limit(s, r, WRITES, ACT, after)
    _later(s, r + REF, now + s[_T.act_refresh])
    if s[_T.second_act]:
        s[_SECOND_BY] = now + s[_T.second_act]
    s[r + _BUSY] |= _bit(bank)
    a = _ACTIVE + 2 * (s[_ACTIVES] & (BANKS - 1))
    s[a], s[a + 1] = (bank << 1) | kind, s[x + _TAG_OF]
    s[_ACTIVES] += 1
    _sooner(s, _ACTIVE_AT, s[b + RD + kind])
    _remove(s, bank, kind, slot)
    _open(s, bank, s[x + _ROW_OF], kind)


@kernel(inner=True, inline="late")
def _precharged(s: np.ndarray, r: int, now: int) -> None:
    """What a precharge holds back in its pseudo-channel."""
    _later(s, r + REF, now + s[_T.pre_refresh])
    if s[_T.pre_pre] > 1:
        _limit(s, r, READS, PRE, now + s[_T.pre_pre])
        _limit(s, r, WRITES, PRE, now + s[_T.pre_pre])


@kernel(inner=True, inline="late")
def _precharge(s: np.ndarray, bank: int, now: int) -> None:
    _take_bus(s, 0, now + 1)
    s[_COUNT + PRE] += 1
    _later(s, _bank(bank) + ACT, now + s[_T.pre_act])
    _precharged(s, _rank(s, bank), now)
    _open(s, bank, NONE, NONE)


@kernel(inner=True)
def _leave_stack(s: np.ndarray, bank: int, cycle: int) -> None:
    """No read from another stack of dies of the pseudo-channel before ``cycle``."""
    group = bank >> s[_T.bank_bits]
    groups = 1 << (s[_T.rank_bits] - s[_T.bank_bits])
    first = group & ~(groups - 1)
    for other in range(first, first + groups):
        if (other ^ group) & (s[_T.stacks] - 1):
            _later(s, _GROUP + 4 * (other & (BANKS - 1)) + RD, cycle)


@kernel(inner=True, inline="late")
def _transfer(s: np.ndarray, bank: int, kind: int, tag: int, now: int) -> None:
    """Read or write, a cycle later where the data clock must be started."""
    b, g, r = _bank(bank), _group(s, bank), _rank(s, bank)
    if s[_T.clock_runs]:
        now += s[_STOPS_AT] <= now
        _later(s, _STOPS_AT, now + (s[_T.clock_runs] if kind == READS else s[_T.clock_runs_write]))
    _take_bus(s, 1, now + s[_T.column_bus])
    s[_COUNT + RD + kind] += 1
    if kind == READS:
        _limit(s, r, READS, RD, now + s[_T.column_short])
        _later(s, g + RD, now + s[_T.column_long])
        if s[_T.stacks] > 1:
            _leave_stack(s, bank, now + s[_T.column_stack])
        _limit(s, r, WRITES, WR, now + s[_T.read_write])
        _later(s, b + PRE, now + s[_T.read_pre])
        place = _RING + 2 * ((s[_ANSWER] + s[_ANSWERED]) & (ANSWERS - 1))
        s[place], s[place + 1] = tag, now + s[_T.read_data]
        if s[_ANSWERED] == 0:
            s[_ANSWER_AT] = now + s[_T.read_data]
        s[_ANSWERED] += 1
    else:
        _limit(s, r, WRITES, WR, now + s[_T.column_short])
        _later(s, g + WR, now + s[_T.write_long])
        _limit(s, r, READS, RD, now + s[_T.write_read_short])
        _later(s, g + RD, now + s[_T.write_read_long])
        _later(s, b + PRE, now + s[_T.write_pre])
        s[_WRITTEN] = now + 1


@kernel(inline="always")
def _serve_active(s: np.ndarray, now: int) -> bool:
    """1: the oldest active request that may go now; if none may, when one may is noted."""
    soonest = NEVER
    for i in range(s[_ACTIVES]):
        a = _ACTIVE + 2 * (i & (BANKS - 1))
        bank, kind = s[a] >> 1, s[a] & 1
        at = max(s[_bank(bank) + RD + kind], s[_group(s, bank) + RD + kind], s[_rank(s, bank) + RD + kind])
        if at <= now:
            tag = s[a + 1]
            s[_ACTIVES] -= 1
            for j in range(2 * i, 2 * s[_ACTIVES]):
                s[_ACTIVE + j] = s[_ACTIVE + 2 + j]
            s[_ACTIVE_AT] = now if s[_ACTIVES] else NEVER
            s[_rank(s, bank) + _BUSY] &= ~_bit(bank)
            _transfer(s, bank, kind, tag, now)
            return True
        soonest = min(soonest, at)
    s[_ACTIVE_AT] = soonest
    return False


@kernel(inner=True, inline="late")
def _rising(s: np.ndarray, cycle: int) -> int:
    """The first cycle from ``cycle`` on with a rising edge of the command clock."""
    found: int = cycle + (cycle & s[_T.half_clocks])
    return found


@kernel(inner=True)
def _refresh_from(s: np.ndarray, now: int) -> int:
    """When the next step of the refresh that is due can be taken: precharge all banks together, then refresh."""
    r = _RANK
    while s[r + _DUE] > now:
        r += 48
    if s[r + _BUSY]:
        return NEVER  # their rows stay open until the active requests went
    at: int = s[_BUS]
    rest = s[r + _OPEN]
    at = _rising(s, max(at, s[r + REF])) if rest == 0 else max(at, s[r + PRE])
    while rest:
        at = max(at, s[_bank(first_bit(rest)) + PRE])
        rest &= rest - 1
    return at


@kernel(inner=True)
def _refresh(s: np.ndarray, now: int) -> None:
    """Take that step."""
    p = 0
    while s[_RANK + 48 * p + _DUE] > now:
        p += 1
    r = _RANK + 48 * p
    _take_bus(s, 0, now + 1)
    if s[r + _OPEN]:
        for bank in range(p << s[_T.rank_bits], (p + 1) << s[_T.rank_bits]):
            _later(s, _bank(bank) + ACT, now + s[_T.pre_act])
            _open(s, bank, NONE, NONE)
        _precharged(s, r, now)
        s[_COUNT + PRE] += 1
    else:
        _limit(s, r, READS, ACT, now + s[_T.refresh_act])
        _limit(s, r, WRITES, ACT, now + s[_T.refresh_act])
        _later(s, r + REF, now + s[_T.refresh_act])
        s[_COUNT + REF] += 1
        s[r + _DUE] += s[_T.refresh_interval]
        s[_REFRESH_AT] = NEVER
        for q in range(s[_T.pseudo_channels]):
            _sooner(s, _REFRESH_AT, s[_RANK + 48 * q + _DUE])


@kernel(inner=True, inline="late")
def _ready(s: np.ndarray, k: int, kind: int, command: int, now: int) -> int:
    """The oldest candidate for a command in a pseudo-channel that may go now, or NEVER; ``k``: its registers."""
    ready: int = s[k + _READY]
    if ready != NEVER and s[k + _OTHERS] > now:  # is it still a candidate, and can it still go?
        bank = s[_slot(ready) + _BANK_OF]
        if (
            s[k + _WANTED] & _bit(bank)
            and s[_list(bank, kind) + 2 + (command >> 1)] == ready
            and max(s[_bank(bank) + command], s[_group(s, bank) + command]) <= now
        ):
            return ready
    ready = others = NEVER
    rest = s[k + _WANTED]
    while rest:
        bank = first_bit(rest)
        rest &= rest - 1
        at = max(s[_bank(bank) + command], s[_group(s, bank) + command])
        name = s[_list(bank, kind) + 2 + (command >> 1)]  # both results are worked out: a branch would be mispredicted
        ready = min(ready, name if at <= now else NEVER)
        others = min(others, at if at > now else NEVER)
    s[k + _READY], s[k + _OTHERS] = ready, others
    s[k + _SOONEST] = others if ready == NEVER else now
    return ready


@kernel(inline="always")
def _pick(s: np.ndarray, kind: int, now: int) -> tuple[int, int]:
    """The oldest request of a queue whose next command may go now, or NEVER, and the command."""
    oldest, picked = NEVER, 0
    rising = now & s[_T.half_clocks] == 0
    row, column = s[_BUS] <= now, rising and s[_BUS + 1] <= now
    may_open = row and rising and s[_SECOND_BY] == NEVER
    for p in range(s[_T.pseudo_channels]):
        k = _for_kind(_RANK + 48 * (p & 7), kind)
        for command in (ACT, PRE, RD + kind):
            free = column if command >= RD else row if command == PRE else may_open
            if free and s[k + _SOONEST + command] <= now:
                found = _ready(s, k + command, kind, command, now)
                if found < oldest:
                    oldest, picked = found, command
    return oldest, picked


@kernel(inline="always")
def _serve_queue(s: np.ndarray, now: int) -> bool:
    """3: the oldest request of the queue that is served whose next command may go now."""
    kind = _drains(s)
    s[_DRAINING] = kind
    name, command = _pick(s, kind, now)
    if name == NEVER:
        return False
    slot = name & (2 * QUEUE - 1)
    bank = s[_slot(slot) + _BANK_OF]
    if command == ACT:
        _activate(s, bank, kind, slot, now)
    elif command == PRE:
        if s[_rank(s, bank) + _BUSY] & _bit(bank):
            return False  # its open row is waited for
        _precharge(s, bank, now)
    else:
        _transfer(s, bank, kind, s[_slot(slot) + _TAG_OF], now)
        after = _remove(s, bank, kind, slot)
        _want(s, bank, kind, command, _find(s, after, s[_bank(bank) + _ROW], True))
    return True


@kernel(inline="always")
def _issue(s: np.ndarray, now: int) -> bool:
    """One command, if one may go now."""
    if s[_SECOND_BY] == NEVER:
        return _serve(s, now)
    if s[_BUS] > now:
        if s[_REFRESH_AT] > now:
            s[_DRAINING] = _drains(s)
        return False
    longest = s[_T.column_bus] + (s[_T.clock_runs] > 0 and s[_STOPS_AT] <= now)  # of what may go instead
    if s[_SECOND_BY] >= now + longest and _serve(s, now):
        return True
    s[_SECOND_BY] = NEVER
    _take_bus(s, 0, now + 1)
    return True


@kernel(inline="always")
def _serve(s: np.ndarray, now: int) -> bool:
    """1 to 3."""
    rising = now & s[_T.half_clocks] == 0
    if rising and max(s[_ACTIVE_AT], s[_BUS + 1]) <= now and _serve_active(s, now):
        return True
    if s[_REFRESH_AT] > now:
        return _serve_queue(s, now)
    if _refresh_from(s, now) > now:
        return False
    _refresh(s, now)
    return True


@kernel(inner=True, inline="late")
def _soonest(s: np.ndarray, now: int) -> int:
    """5: a cycle before which the channel can do nothing more, if nothing is offered."""
    if s[_SECOND_BY] != NEVER:
        free: int = max(now, s[_BUS])
        return free  # something goes then
    at: int = _rising(s, max(s[_ACTIVE_AT], s[_BUS + 1]))
    if s[_REFRESH_AT] <= now:
        at = min(at, _refresh_from(s, now))
        for p in range(s[_T.pseudo_channels]):
            if s[_RANK + 48 * p + _DUE] > now:
                at = min(at, s[_RANK + 48 * p + _DUE])
        return at
    kind = s[_DRAINING]
    if _drains(s) != kind:
        return now
    opens = closes = column = NEVER
    for p in range(s[_T.pseudo_channels]):
        k = _for_kind(_RANK + 48 * (p & 7), kind) + _SOONEST
        opens = min(opens, s[k + ACT])
        closes = min(closes, s[k + PRE])
        column = min(column, s[k + RD + kind])
    rising = min(_rising(s, max(opens, s[_BUS])), _rising(s, max(column, s[_BUS + 1])))
    at = min(at, s[_REFRESH_AT], max(closes, s[_BUS]), rising)
    return at


@kernel(inner=True)
def _cycle(s: np.ndarray, now: int) -> bool:
    """1 to 5."""
    issued, soonest = False, now
    for _ in range(1 + s[_T.two_buses]):
        goes = _issue(s, now)
        issued = issued or goes
        soonest = _soonest(s, now)
        if not goes or soonest > now:
            break
    s[_WAKE] = max(now + 1, soonest)
    return issued


@kernel
def tick(m: np.ndarray, c: int, now: int) -> bool:
    """One cycle of channel ``c``. Returns whether a command was issued."""
    return now >= m[c, _WAKE] and _cycle(m[c], now)
