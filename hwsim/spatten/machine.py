# SPDX-License-Identifier: Apache-2.0
"""SpAtten as a machine of hwsim: settings, simulation, RTL, claims (`hwsim.core.machine`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hwsim.core.machine import Machine, Priced, Tick, quiet
from hwsim.core.result import Result
from hwsim.core.study import StudyTables

from .config import SpattenConfig
from .result import BOUND_TEXT, SpattenResult
from .run import SpattenRun, SpattenStudy


class Spatten(Machine):
    """Sparse attention: cascade token and head pruning, local value pruning, progressive quantization
    (arXiv 2012.09852)."""

    title = "SpAtten: sparse attention behind top-k engines (arXiv 2012.09852)"
    Config = SpattenConfig
    Run = SpattenRun
    result_class = SpattenResult
    workload_field = "workload"
    Study = SpattenStudy
    study_field = "workloads"
    top = "spatten_core"
    placed = ("topk", "score_scale", "fp32_exp", "fp32_div", "exp_sum", "normalize")
    machine_blocks = ("spatten_core", "head_check", "query_check")
    resources: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "multipliers of Q x K": ("qk_multipliers",), "multipliers of prob x V": ("pv_multipliers",),
        "multipliers of both": ("qk_multipliers", "pv_multipliers"), "memory channels": ("memory.channels",),
        "memory queues": ("memory.queue",), "softmax lanes": ("softmax_lanes",),
        "comparators of a top-k engine": ("topk_parallel",), "top-k engines of values": ("value_topk_engines",),
        "key SRAM": ("key_sram_bytes",), "value SRAM": ("value_sram_bytes",), "crossbar inputs": ("crossbar_inputs",),
        "window of the crossbars": ("crossbar_window",), "queries in flight": ("queries_in_flight",),
        "ring of scores": ("score_tokens",), "heads in flight": ("heads_in_flight",),
    }  # fmt: skip

    @classmethod
    def simulate(cls, run: SpattenRun, workload: Any = None, tick: Tick = quiet) -> Result:
        """One workload; ``workload``: a `dataflow.attention.workload.Workload`."""
        opened = run.open() if workload is None else run.opened(workload)
        total = None if opened.whole is None or run.style != "SpAtten" else len(opened.whole.rows)
        done = 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            tick(f"{run.style}: {opened.name}", done, total)

        return run.run(opened, count)

    @classmethod
    def bounds(cls, run: SpattenRun, result: Result) -> dict[str, float]:
        assert isinstance(result, SpattenResult)
        return {BOUND_TEXT[name]: cycles for name, cycles in result.bounds().items()}

    @classmethod
    def measure(cls, run: SpattenRun, *, detail: bool = False) -> dict[str, Any]:
        return run.measure(detail=detail)

    @classmethod
    def study(cls, settings: SpattenStudy, tick: Tick = quiet, extra: Sequence[Any] = ()) -> StudyTables:
        from .study import study_tables

        return study_tables(settings, tick)

    @classmethod
    def report_sections(cls) -> Sequence[Any]:
        from .report import report_sections

        return report_sections()

    @classmethod
    def claims(cls, tables: dict[str, list[dict[str, Any]]], tick: Tick = quiet) -> dict[str, str]:
        from .claims import ASSUMPTIONS, WORKLOADS, spatten_claims

        study = cls.study(SpattenStudy(workloads=WORKLOADS), tick).tables
        spatten_claims(tables, study, lambda text: tick(text, 0, None), tick)
        return ASSUMPTIONS

    @classmethod
    def check_rtl(cls, config: Any) -> None:
        config.verilog_parameters()

    @classmethod
    def blocks(cls) -> Mapping[str, Any]:
        from .bench.blocks import BLOCKS

        return BLOCKS

    @classmethod
    def verify_trace(cls, folder: Path, options: Any) -> Any:
        from dataflow.attention.trace import read_attention_trace

        from .bench.trace import attention_trace

        return attention_trace(*read_attention_trace(folder), options)

    @classmethod
    def silicon_energy(cls, result: Result, activity: Any = None, tick: Tick = quiet) -> Priced:
        from .silicon import priced

        assert isinstance(result, SpattenResult)
        return priced(result, activity, tick)

    @classmethod
    def reference_activity(cls) -> Any:
        from hwsim.silicon.activity import reference_activity

        from .silicon import REFERENCE_ACTIVITY

        return reference_activity(REFERENCE_ACTIVITY)

    @classmethod
    def record(cls, trace: Path, say: Callable[[str], None], run: Any = None) -> Any:
        from .bench.record import record

        return record(trace, say)

    @classmethod
    def demo(cls, context: Any) -> bool:
        from .demo import demo

        demo(context)
        return True
