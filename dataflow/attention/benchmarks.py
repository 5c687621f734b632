# SPDX-License-Identifier: Apache-2.0
"""The 30 benchmarks of the SpAtten paper, as data: `workloads/benchmarks.yaml` says of each number where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ..errors import InputError
from ..files import read_yaml, validated
from .pruning import AttentionPruning, Quantization, RatioSchedule

_DATA = ConfigDict(extra="forbid", frozen=True)


class BenchmarkSettings(BaseModel):
    """What a benchmark prunes, with the reason of each number; or the workload file that says it."""

    model_config = _DATA

    tokens: RatioSchedule = RatioSchedule()
    heads: RatioSchedule = RatioSchedule()
    values: float = 0.0
    quantization: Quantization | None = None
    refetched: float = Field(0.0, ge=0, le=1)
    file: str = ""
    """A published workload (`dataflow.attention.workload.PUBLISHED`) in place of all of these; empty: none."""
    why: dict[str, str]

    @property
    def pruning(self) -> AttentionPruning:
        return AttentionPruning(
            tokens=self.tokens, heads=self.heads, values=self.values, quantization=self.quantization
        )


class Benchmark(BaseModel):
    """A model on a task."""

    model_config = _DATA

    model: str
    """Of `dataflow.attention.workload.MODELS`."""
    settings: str
    length: int = Field(ge=1)
    """Input tokens."""
    why: str
    """Key of the length's reason."""


class _Data(BaseModel):
    model_config = _DATA

    published: dict[str, float]
    lengths: dict[str, str]
    settings: dict[str, BenchmarkSettings]
    benchmarks: dict[str, Benchmark]


@cache
def _data() -> _Data:
    path = Path(__file__).with_name("workloads") / "benchmarks.yaml"
    return validated(_Data, read_yaml(path), path.name)


def benchmarks() -> Mapping[str, Benchmark]:
    """The 30 by name: BERT-base, -large on 9 tasks of GLUE and SQuAD 1.1, 2.0; GPT-2 small, medium on 4 texts."""
    return _data().benchmarks


def benchmark_settings(name: str) -> BenchmarkSettings:
    """Settings of a benchmark by `Benchmark.settings`: "bert", "gpt2", "authors"."""
    return _data().settings[name]


def length_reason(benchmark: Benchmark) -> str:
    """Whether a benchmark's length is published or assumed, and why."""
    return _data().lengths[benchmark.why]


def published_averages() -> Mapping[str, float]:
    """The paper's averages over the 30: reduction factors by what reduces, and the share of queries computed again."""
    return _data().published


def benchmark_mean(values: Mapping[str, float]) -> float:
    """The arithmetic mean over the 30 benchmarks, each with the same weight: the paper says "on average" and names no
    other mean.

    Args:
        values: by the benchmark's name.

    Raises:
        InputError: a benchmark is missing, or a name is none.
    """
    if values.keys() != benchmarks().keys():
        wrong = sorted(values.keys() ^ benchmarks().keys())
        raise InputError(f"mean over the {len(benchmarks())} benchmarks: {wrong[0]}: missing, or none of them")
    return sum(values.values()) / len(values)
