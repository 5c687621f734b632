# SPDX-License-Identifier: Apache-2.0
"""SAT as a machine of hwsim: settings, simulation, RTL, claims (`hwsim.core.machine`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hwsim.core.machine import Machine, Priced, Tick, quiet
from hwsim.core.result import Result
from hwsim.core.study import StudyTables

from .config import SatConfig
from .result import StepResult
from .run import SatRun, SatStudy


class Sat(Machine):
    """N:M sparse training: a systolic array, a pruning and an update engine (arXiv 2309.13015)."""

    title = "SAT: N:M sparse training on a systolic array (arXiv 2309.13015)"
    Config = SatConfig
    Run = SatRun
    result_class = StepResult
    Study = SatStudy
    top = "sat_core"
    synth_top = "stce"
    placed = ("fp32_add", "fp16_mul", "uspe", "sore")
    shaped_block = "stce"
    machine_blocks = ("sat_core", "stce", "sat_check")
    resources: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "array rows": ("rows",), "array columns": ("cols",), "DRAM channels": ("dram_channels",),
        "activation buffer": ("west_buffer_bytes",), "weight buffer": ("north_buffer_bytes",),
        "output buffer": ("output_buffer_bytes",),
        "ports of the array": ("west_lane_bytes", "north_lane_bytes", "output_lane_bytes"),
        "weight registers of a PE": ("weight_registers",), "accumulators of a PE": ("interleave_max",),
        "SORE lanes": ("sore_lanes",), "WUVE lanes": ("wuve_lanes",),
    }  # fmt: skip

    @classmethod
    def simulate(cls, run: SatRun, workload: Any = None, tick: Tick = quiet) -> Result:
        """One training step; ``workload``: a `dataflow.networks.network.Network`."""
        from .timing.step import simulate

        network = workload if workload is not None else run.read_network()
        tick(f"{network.name}", 0, None)
        if warning := run.nothing_sparse(network):
            warnings.warn(f"{warning}; every layer runs dense", stacklevel=4)
        masks = run.masks() if workload is None else None
        return simulate(run.machine, run.workload(network), masks=masks)

    @classmethod
    def bounds(cls, run: SatRun, result: Result) -> dict[str, float]:
        assert isinstance(result, StepResult)
        return run.bounds(result)

    @classmethod
    def measure(cls, run: SatRun, *, detail: bool = False) -> dict[str, Any]:
        return run.measure(detail=detail)

    @classmethod
    def study(cls, settings: SatStudy, tick: Tick = quiet, extra: Sequence[Any] = ()) -> StudyTables:
        from .study import study_tables

        return study_tables(settings, tick, extra)

    @classmethod
    def report_sections(cls) -> Sequence[Any]:
        from .report import report_sections

        return report_sections()

    @classmethod
    def claims(cls, tables: dict[str, list[dict[str, Any]]], tick: Tick = quiet) -> dict[str, str]:
        from .claims import ASSUMPTIONS, accuracy_claim, sat_claims, sat_costs

        steps = sat_claims(tables, lambda text: tick(text, 0, None))
        accuracy_claim(tables)
        sat_costs(tables, steps, lambda text: tick(text, 0, None), tick)
        return ASSUMPTIONS

    @classmethod
    def check_rtl(cls, config: Any) -> None:
        from .program import check_core

        check_core(config)

    @classmethod
    def blocks(cls) -> Mapping[str, Any]:
        from .bench.blocks import BLOCKS

        return BLOCKS

    @classmethod
    def silicon_energy(cls, result: Result, activity: Any = None, tick: Tick = quiet) -> Priced:
        from .silicon import priced

        assert isinstance(result, StepResult)
        return priced(result, activity, tick)

    @classmethod
    def reference_activity(cls) -> Any:
        from hwsim.silicon.activity import reference_activity

        from .silicon import REFERENCE_ACTIVITY

        return reference_activity(REFERENCE_ACTIVITY["binary32"])

    @classmethod
    def record(cls, trace: Path, say: Callable[[str], None], run: Any = None) -> Any:
        from .bench.record import record

        return record(trace, say, run.machine.accumulate if run is not None else "binary32")

    @classmethod
    def demo(cls, context: Any) -> bool:
        from .demo import demo

        demo(context)
        return True
