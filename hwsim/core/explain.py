# SPDX-License-Identifier: Apache-2.0
"""Why a run takes its cycles, and what more of each of the machine's resources would bring.

A machine names its resources (`Machine.resources`): each is a field of its configuration, or some that grow together.
Every answer is a simulation of the same run with more of one resource, never a formula.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from dataflow.errors import InputError

from .machine import Machine, Tick, find, quiet
from .result import Result

TOGETHER = "all of these"
"""Name of the trial with more of every resource."""
FEWEST = "the fewest that do as much"
"""Name of the trial with more of as few resources as reach `ENOUGH` of the gain of all."""
LITTLE = 0.01
"""A gain that is called none."""
ENOUGH = 0.98
"""Of the speed that all resources together bring."""


@dataclass(frozen=True)
class Trial:
    """The run once more, with more of a resource."""

    resource: str
    """In words, as the machine names it."""
    changes: Mapping[str, tuple[Any, Any]]
    """Fields of the configuration: before, after."""
    result: Result | None
    """None: the machine cannot be so."""
    why_not: str = ""
    """Why it cannot; of `FEWEST`, its resources."""
    speedup: float = 1.0
    """Over the run that is explained."""
    causes: Mapping[str, int] = field(default_factory=dict)
    """Time by cause, in words, less that of the run that is explained; cycles of that run's clock."""

    @property
    def text(self) -> str:
        """What was changed: ``rows 32 → 64``."""
        if self.resource == TOGETHER:
            return f"{len(self.changes)} fields"
        return ", ".join(f"{name} {_shown(before)} → {_shown(after)}" for name, (before, after) in self.changes.items())

    @property
    def moved(self) -> str:
        """The cause of which the most cycles went, or, of a run that is slower, came; none: empty."""
        if not self.causes or self.result is None:
            return ""
        slower = self.speedup < 1
        most = (max if slower else min)(self.causes, key=self.causes.__getitem__)
        return most if (self.causes[most] > 0 if slower else self.causes[most] < 0) else ""


def _shown(value: Any) -> str:
    """A field's value; a float without the digits that say nothing."""
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True)
class Explanation:
    """A run, the same with more of each resource, and with more of all."""

    machine: type[Machine]
    run: BaseModel
    result: Result
    factor: int
    trials: tuple[Trial, ...]
    """The largest gain first; those that cannot be come last."""
    together: Trial | None
    """More of all resources that can grow; None: none can, the trials are other machines in its place."""
    fewest: Trial | None
    """More of as few of them as bring about as much; None: one of the trials does."""
    bounds: Mapping[str, float]

    @property
    def all_trials(self) -> tuple[Trial, ...]:
        """In the order of a table."""
        return (*self.trials, *(t for t in (self.together, self.fewest) if t is not None))

    @property
    def heading(self) -> str:
        """What the trials are."""
        return f"{self.factor} times each resource" if self.together is not None else "other machines in its place"

    def conclusion(self) -> list[str]:
        """What the simulations say, in sentences."""
        causes = in_words(self.result)
        said = []
        if causes and self.result.cycles:
            most = max(causes, key=causes.__getitem__)
            said.append(f"Most cycles: {most}, {causes[most] / self.result.cycles:.1%} of {self.result.cycles:,}.")
        ran = [t for t in self.trials if t.result is not None]
        if self.together is None:
            said.append("Nothing of this machine can grow: it is as its configuration names it.")
            said += [f"In its place, {t.resource}: {t.speedup:.3f}x." for t in ran]
            return said
        if not ran:
            return [*said, "No resource of this machine can grow: see the reasons."]
        best = ran[0]
        if best.speedup - 1 < LITTLE:
            said.append(f"No resource alone brings {LITTLE:.0%}; the most: {best.resource}, {best.speedup:.3f}x.")
        else:
            from_cause = f", mostly from: {best.moved}" if best.moved else ""
            said.append(f"The largest gain: {best.resource} ({best.text}), {best.speedup:.3f}x{from_cause}.")
            slower = [t for t in ran if t.speedup < 1 - LITTLE]
            idle = sum(abs(t.speedup - 1) < LITTLE for t in ran)
            if idle:
                said.append(f"{idle} of {len(ran)} resources bring less than {LITTLE:.0%} alone.")
            said += [f"Slower with more: {t.resource}, {t.speedup:.3f}x, more of: {t.moved}." for t in slower]
        if self.together.result is not None:
            said.append(f"{self.factor} times all of them: {self.together.speedup:.3f}x.")
        if self.fewest is not None:
            said.append(f"As much as all of them, {self.fewest.speedup:.3f}x, needs together: {self.fewest.why_not}.")
        return said

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "machine": self.machine.name, "workload": self.result.workload, "cycles": self.result.cycles,
            "seconds": self.result.seconds, "factor": self.factor, "cycles_by_cause": in_words(self.result),
            "bounds_cycles": dict(self.bounds), "resources": trial_rows(self.all_trials),
            "conclusion": self.conclusion(),
        }  # fmt: skip


def in_words(result: Result) -> dict[str, int]:
    """Cycles by cause, in words; causes without cycles are left out."""
    return {result.CAUSES[cause]: cycles for cause, cycles in result.causes.items() if cycles}


def trial_rows(trials: tuple[Trial, ...]) -> list[dict[str, Any]]:
    """Trials as rows: resource, change, cycles, speedup, cause of which most cycles went (or came, where it is slower),
    how many came (negative: went), why_not."""
    return [
        {"resource": t.resource, "change": t.text, "cycles": t.result.cycles if t.result else None,
         "seconds": t.result.seconds if t.result else None, "speedup": t.speedup if t.result else None,
         "moved": t.moved, "cycles_moved": t.causes[t.moved] if t.moved else 0, "why_not": t.why_not}
        for t in trials
    ]  # fmt: skip


def explain(
    result: Result, *, factor: int = 2, run: BaseModel | None = None, workload: Any = None, tick: Tick = quiet
) -> Explanation:
    """Run again with ``factor`` times each resource, one after the other, then with all together.

    Args:
        result: a run, or a stored one (`hwsim.load`).
        factor: how much of a resource there is then, of what there was: 2 or more.
        run, workload: of a result that does not hold its settings: what it was made from.

    Raises:
        InputError: a result without its settings; a machine that names no resources; a run that gives other cycles
            now, because files that it reads were changed.
    """
    if factor < 2:
        raise InputError(f"factor={factor}: must be 2 or more")
    kind = find(result.machine)
    if run is None:
        if result.run_settings is None:
            raise InputError(
                f"{result.name}: the result does not hold the settings of its run: store it again by the same command"
            )
        run = kind.settings(result.run_settings, "stored settings")
    grows, instead = kind.growing(run), kind.instead(run)
    if not grows and not instead:
        raise InputError(f"machine {kind.name}: names no resources (Machine.resources)")
    done, total = 0, 2 * len(grows) + len(instead) + 2

    def simulate(settings: Any, what: str) -> Result:
        nonlocal done
        tick(what, done, total)
        done += 1
        return kind.simulate(settings, workload)

    again = simulate(run, "the run itself")
    if again.cycles != result.cycles:
        raise InputError(
            f"{result.name}: {result.cycles:,} cycles are stored, the same run takes {again.cycles:,} now: files that "
            "it reads, or hwsim, were changed; run and store it again"
        )
    before = in_words(again)

    def attempt(name: str, changes: dict[str, tuple[Any, Any]]) -> Trial:
        try:
            other = simulate(_changed(kind, run, {f: after for f, (_, after) in changes.items()}), name)
        except InputError as error:
            return Trial(name, changes, None, str(error).removeprefix("settings: ").removeprefix("machine."))
        after = in_words(other)
        slower = again.frequency_hz / other.frequency_hz  # cycles of another clock, as cycles of this run's
        moved = {c: round(after.get(c, 0) * slower) - before.get(c, 0) for c in before | after}
        speedup = again.seconds / other.seconds if other.seconds else 1.0
        return Trial(name, changes, other, "", speedup, moved)

    machine: BaseModel = run.machine  # type: ignore[attr-defined]  # every `RunSettings` of a machine has it
    more = {
        name: {f: (_value(machine, f), _value(machine, f) * factor) for f in fields} for name, fields in grows.items()
    }
    other = {name: {f: (_value(machine, f), v) for f, v in to.items()} for name, to in instead.items()}
    trials = [attempt(name, changes) for name, changes in (more | other).items()]
    order = sorted(trials, key=lambda t: (t.result is None, -t.speedup))
    every = fewest = None
    if grows:
        ran = [t for t in order if t.result is not None]
        every = attempt(TOGETHER, _changes(ran))
        fewest = _fewest(ran, every, attempt)
    tick("done", total, total)
    return Explanation(kind, run, again, factor, tuple(order), every, fewest, kind.bounds(run, again))


def _changes(trials: Sequence[Trial]) -> dict[str, tuple[Any, Any]]:
    return {f: v for t in trials for f, v in t.changes.items()}


def _fewest(
    ran: list[Trial], every: Trial, attempt: Callable[[str, dict[str, tuple[Any, Any]]], Trial]
) -> Trial | None:
    """Resources are taken away from all together, those of the least gain alone first, while the speed stays."""
    if every.result is None or not ran or ran[0].speedup >= ENOUGH * every.speedup:
        return None
    kept, found = list(ran), every
    for trial in reversed(ran):
        rest = [t for t in kept if t is not trial]
        if not rest or _changes(rest) == _changes(kept):  # what it changes another one does too
            kept = rest or kept
            continue
        less = attempt(FEWEST, _changes(rest))
        if less.result is not None and less.speedup >= ENOUGH * every.speedup:
            kept, found = rest, less
    return (
        replace(found, resource=FEWEST, why_not=", ".join(t.resource for t in kept)) if len(kept) < len(ran) else None
    )


def with_more(kind: type[Machine], run: BaseModel, resource: str, factor: int) -> Any:
    """The settings of a run with ``factor`` times a resource of the machine, named as in `Machine.growing`.

    Raises:
        InputError: the machine cannot be so.
    """
    machine: BaseModel = run.machine  # type: ignore[attr-defined]  # every `RunSettings` of a machine has it
    return _changed(kind, run, {f: _value(machine, f) * factor for f in kind.growing(run)[resource]})


def _value(config: BaseModel, path: str) -> Any:
    found: Any = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _changed(kind: type[Machine], run: BaseModel, values: Mapping[str, Any]) -> Any:
    """The run with other values of fields of its machine; what follows from them by default does so again."""
    data = copy.deepcopy(run.model_dump(mode="json", exclude_defaults=True))
    for path, value in values.items():
        place = data.setdefault("machine", {})
        *parts, last = path.split(".")
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return kind.settings(data)


def differences(first: Result, second: Result) -> dict[str, tuple[Any, Any]]:
    """Settings in which two stored runs of a machine differ: field -> first, second.

    Raises:
        InputError: runs of two machines, or without their settings.
    """
    if first.machine != second.machine:
        raise InputError(
            f"explain: runs of two machines, {first.machine} and {second.machine}: hwsim compare shows them"
        )
    kind = find(first.machine)
    found = []
    for result in (first, second):
        if result.run_settings is None:
            raise InputError(f"{result.name}: the result does not hold the settings of its run: store it again")
        found.append(_flat(kind.settings(result.run_settings, "stored settings").model_dump(mode="json")))
    mine, theirs = found
    return {k: (mine.get(k), theirs.get(k)) for k in mine | theirs if mine.get(k) != theirs.get(k)}


def _flat(data: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def explained_tables(found: Explanation) -> dict[str, list[dict[str, Any]]]:
    """Tables of a page: ``resources``, ``causes`` (a column a trial's label), as `trial_rows` has them."""
    rows = trial_rows(found.all_trials)
    runs: list[tuple[str, Result]] = [("as it is", found.result)]
    runs += [(t.resource, t.result) for t in found.all_trials if t.result is not None]
    causes = [
        {"run": name, "cause": cause, "cycles": cycles, "share": cycles / max(r.cycles, 1)}
        for name, r in runs
        for cause, cycles in in_words(r).items()
    ]
    return {"resources": rows, "causes": causes}
