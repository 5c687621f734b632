# SPDX-License-Identifier: Apache-2.0
"""A machine between segments: its memory and fetch units as the segment before left them, its time, its counters.

Left out: what the machine does between segments (`simulate`).
"""

from __future__ import annotations

import numpy as np

from hwsim.memory.controller import counts, new_state

from ..config import SpattenConfig
from .fetch import STALLS, clock_of, kernel_fields, memory_rests, new_generators, new_lanes, new_ports, new_record
from .pipeline import CAUSES, LOG, SNAPSHOT, Counters, FetchUnits, Segment, new_progress, run_segment, sizes


class Pipeline:
    """State that goes from segment to segment: the memory, the fetch units' turns, the time."""

    def __init__(self, config: SpattenConfig) -> None:
        self.config = config
        self.sizes = sizes(config)
        self.mem = new_state(config.memory)
        self.stalls = np.zeros(len(STALLS), np.int64)
        self.units = FetchUnits(
            kernel_fields(config)[1], clock_of(config), self.mem, new_lanes(config), new_ports(config),
            new_generators(), self.stalls,
        )  # fmt: skip
        self.now = 0
        self.causes = np.zeros(len(CAUSES), np.int64)
        self.used = np.zeros(4, np.int64)
        self.snapshots = np.zeros((0, SNAPSHOT), np.int64)

    def run(
        self,
        work: Segment,
        record: np.ndarray | None = None,
        ready: np.ndarray | None = None,
        marks: np.ndarray | None = None,
    ) -> np.ndarray:
        """Run a segment; int64[queries, LOG] in cycles of the run. ``record``, ``ready``, ``marks``: of `Counters`."""
        record = new_record() if record is None else record
        ready = np.zeros(0, np.int64) if ready is None else ready
        marks = np.zeros(0, np.int64) if marks is None else marks
        self.snapshots = np.tile(self.counted(), (len(marks), 1))
        log = np.full((len(work.queries), len(LOG)), -1, np.int64)
        if len(work.queries):
            progress = new_progress(self.sizes, work, log, self.now)
            counters = Counters(self.causes, self.used, record, ready, marks, self.snapshots)
            end = int(run_segment(self.sizes, self.units, progress, counters, self.now))
            if end < 0:
                raise RuntimeError("SpAtten's pipeline: every unit waits for another")
            self.now = end
        return log

    def counted(self) -> np.ndarray:
        """int64[SNAPSHOT]: what `Counters.snapshots` has, now."""
        return np.array([self.now, *self.causes, *self.used, *self.stalls, *counts(self.mem).values()], np.int64)

    def rest(self, cycles: int) -> None:
        """Let time pass without fetches; the memory refreshes itself."""
        self.now += cycles
        memory_rests(self.mem, self.units.clock, self.now)
