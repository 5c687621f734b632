# SPDX-License-Identifier: Apache-2.0
"""Thousands of broken files of every kind that people write: each is read, or refused in one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflow.attention.workload import read_workload
from dataflow.errors import InputError
from dataflow.importers.network_files import find_network, network_yaml, read_network
from hwsim.core.command import load
from hwsim.core.machine import find
from hwsim.memory.run import read_trace
from hwsim.memory.standards import read_standard
from tests.support.mutations import mutated

ROOT = Path(__file__).parents[2]


def settings(path: Path) -> Any:
    return load(find("sat").Run, path, [])


SETTINGS = """network: resnet9
batch: 64
pattern: '2:8'
machine: {rows: 16, cols: 16, dram_efficiency: 0.8}
skip: [stem]
"""
TRACE = "".join(f"LD 0x{64 * i:x}\nST 0x{4096 + 64 * i:x}\n" for i in range(40))
WORKLOAD = "gpt2-small-wikitext2.csv"


def sources() -> dict[str, tuple[bytes, str, Callable[[Path], Any]]]:
    """A whole file of each kind, the end of its name, its reader."""
    topology = ROOT / "tests" / "data" / "front_ends" / "topology" / "two_strides_rowonly.csv"
    config = sorted((ROOT / "dataflow" / "networks" / "configs").glob("*.json"))[0]
    workload = (ROOT / "dataflow" / "attention" / "workloads" / WORKLOAD).read_bytes().split(b"\n")
    standard = ROOT / "hwsim" / "memory" / "standards" / "hbm2.yaml"
    return {
        "topology": (topology.read_bytes(), "net.csv", read_network),
        "network": (network_yaml(find_network("resnet9")).encode(), "net.yaml", read_network),
        "language model": (config.read_bytes(), "config.json", read_network),
        "attention workload": (b"\n".join(workload[:40]), "work.csv", read_workload),
        "settings": (SETTINGS.encode(), "settings.yaml", settings),
        "memory trace": (TRACE.encode(), "list.trace", read_trace),
        "memory standard": (standard.read_bytes(), "mine.yaml", read_standard),
    }


def fuzz(cases: range, tmp_path: Path) -> None:
    kinds = list(sources().items())
    for seed in cases:
        kind, (whole, name, read) = kinds[seed % len(kinds)]
        path = tmp_path / name
        path.write_bytes(mutated(np.random.default_rng(seed), whole))
        try:
            read(path)
            text = name
        except InputError as error:
            text = str(error)
        assert "\n" not in text, (kind, seed, text)
        assert name in text, (kind, seed, text)
        assert [p.name for p in tmp_path.iterdir()] == [name], (kind, seed)
        path.unlink()


def test_broken_files_end_in_one_line(tmp_path: Path) -> None:
    fuzz(range(210), tmp_path)


@pytest.mark.nightly
def test_thousands_of_broken_files(tmp_path: Path) -> None:
    fuzz(range(1000, 4500), tmp_path)
