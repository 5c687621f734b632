# SPDX-License-Identifier: Apache-2.0
"""Plants generated faults in the RTL, runs the benches of `make test-rtl` on each, and reports what they miss.

python -m tests.support.mutants [--minutes 60] [--sample 8] [--constants 1] [--module NAME ...] [--floor 95]

In ``--out``: ``results.jsonl``, an answer a line as it comes, from which a run that was stopped goes on; ``report.md``
and ``scores.csv``, written anew whenever a block is through.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from .equivalent import is_equivalent
from .generate import Mutant, all_mutants, sample
from .report import report, score, scores
from .run import Campaign, Result, Store


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=60, help="when to stop; what was not reached is told")
    parser.add_argument("--sample", type=int, default=5, help="faults a module behind the switch")
    parser.add_argument("--constants", type=int, default=0, help="faults a module that need a program of their own")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--module", nargs="+", default=[], help="only these modules")
    parser.add_argument("--block", nargs="+", default=[], help="only these blocks' benches")
    parser.add_argument("--share", type=float, default=0.25,
                        help="of the cases of `make test-rtl`; what it misses goes through all of them")  # fmt: skip
    parser.add_argument("--floor", type=float, default=0, help="percent caught below which the exit code is 1")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("out/mutants"), help="folder of answers and report")
    return parser.parse_args(given)


def drawn(given: argparse.Namespace) -> list[Mutant]:
    """The faults of the sample."""
    found: list[Mutant] = []
    for module, mutants in all_mutants().items():
        if given.module and module not in given.module:
            continue
        found += sample([m for m in mutants if m.switched], given.sample, given.seed, is_equivalent)
        found += sample([m for m in mutants if not m.switched], given.constants, given.seed, is_equivalent)
    return found


def main() -> int:
    given = arguments()
    os.environ.setdefault("HWSIM_BUILD_JOBS", str(given.workers))  # a program is built while nothing else runs
    began = time.monotonic()
    mutants = drawn(given)
    print(f"{len(mutants)} faults", flush=True)
    store = Store(given.out / "results.jsonl")
    results = {m: Result(m, "waiting") for m in mutants}

    def write(campaign: Campaign) -> None:
        for r in campaign.results.values():  # what a part of the cases missed has all of them before it
            missed = r.state == "survived" and campaign.share < 1
            results[r.mutant] = Result(r.mutant, "waiting") if missed else r
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "report.md").write_text(report(list(results.values())), encoding="utf-8")
        (given.out / "scores.csv").write_text(scores(list(results.values())), encoding="utf-8")

    for share in dict.fromkeys((given.share, 1.0)):  # first a part of the cases: it catches most, in a part of the time
        left = [m for m, r in results.items() if r.state == "waiting"]
        campaign = Campaign(
            left, store, deadline=began + 60 * given.minutes, workers=given.workers, share=share, only=given.block,
            say=lambda text: print(text, flush=True),
        )  # fmt: skip
        campaign.told = partial(write, campaign)
        campaign.run()
        write(campaign)
    print(report(list(results.values())))
    return score(list(results.values())) < given.floor


if __name__ == "__main__":
    sys.exit(main())
