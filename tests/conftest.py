# SPDX-License-Identifier: Apache-2.0
"""Levels, balance and settings of all tests.

Hypothesis draws the same cases on every run, without deadline (the first call of a kernel compiles it). With several
workers, what takes longest begins first (CPU seconds of an earlier run, ``durations.json``); tests that share a fixture
of their file stay on one worker.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest runs a process a core
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("HWSIM_BUILD_JOBS", "1")

import pytest
from hypothesis import settings

settings.register_profile("hwsim", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("hwsim")

HERE = Path(__file__).parent
DURATIONS = HERE / "durations.json"
LEAST = 0.3
"""CPU seconds from which on a test's are kept."""
KERNELS = ("sat", "spatten")
"""Parts of `tests.support.jit_digest` that are compiled beside each other."""

_spent: dict[str, float] = {}


def _cpu() -> float:
    """CPU seconds of this process and of its ended children."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hwsim")
    group.addoption("--warm", action="store_true", help="compile the kernels before the workers start")
    group.addoption("--keep-durations", action="store_true", help="write each test's CPU seconds to durations.json")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Kernels are compiled once, a process a part, before several workers would each compile the same ones."""
    if session.config.getoption("--warm") and not hasattr(session.config, "workerinput"):
        command = [sys.executable, "-W", "ignore", "-m", "tests.support.jit_digest"]
        running = [subprocess.Popen([*command, part], cwd=HERE.parent, stdout=subprocess.DEVNULL) for part in KERNELS]
        codes = [process.wait() for process in running]
        if any(codes):
            pytest.exit("the kernels do not compile (python -m tests.support.jit_digest)", returncode=1)


def _shares(item: pytest.Item) -> bool:
    """Whether a test uses a fixture that is made once for its file."""
    fixtures = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009 - pytest has no public way
    return any(f[-1].scope in ("module", "class") for f in fixtures)


def pytest_itemcollected(item: pytest.Item) -> None:
    if _shares(item):
        item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0].replace("/", ".")))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest first; what shares a fixture of its file is one group."""
    for item in items:  # xdist 3.8 writes the group behind a name that pytest 9.2 no longer reads
        named = getattr(item, "_nodeid", "")
        if hasattr(item, "_id") and "@" in named.rpartition("]")[2]:
            item._id = type(item._id).parse(named)
    known = json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        groups[item.nodeid.split("::")[0] if _shares(item) else _name(item.nodeid)].append(item)
    cost = {name: sum(known.get(_name(item.nodeid), 0.0) for item in group) for name, group in groups.items()}
    items[:] = [item for name in sorted(groups, key=lambda n: -cost[n]) for item in groups[name]]


def _name(nodeid: str) -> str:
    """A test's name without the group that xdist writes behind it."""
    return nodeid if nodeid.rfind("@") < nodeid.rfind("]") else nodeid.split("@")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _spent["began"] = _cpu()
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    item.user_properties.append(("cpu", _cpu() - _spent["began"]))


class Tally:
    """CPU seconds of every test, of all workers."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.cpu[_name(report.nodeid)] = dict(report.user_properties).get("cpu", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        if config.getoption("--warm") or config.getoption("--keep-durations"):
            terminalreporter.section(f"{sum(self.cpu.values()):.0f} CPU seconds in tests; the longest")
            for name in sorted(self.cpu, key=lambda n: -self.cpu[n])[:10]:
                terminalreporter.write_line(f"{self.cpu[name]:7.1f} s  {name}")
        if config.getoption("--keep-durations"):
            old = json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}
            new = {name: round(seconds, 1) for name, seconds in (old | self.cpu).items() if seconds >= LEAST}
            DURATIONS.write_text(json.dumps(dict(sorted(new.items())), indent=0) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Tally(), "tally")
