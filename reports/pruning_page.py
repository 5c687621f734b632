# SPDX-License-Identifier: Apache-2.0
"""The page of a study of pruning: quality by method and pattern, beside cycles and energy on every machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hwsim.core.report import Row
from hwsim.core.study import StudyTables

from .figures import Drawing
from .page import Page, template
from .style import MARKERS

NLL = "nats a token, held-out help topics"


def write_pruning(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/``; returns the files.

    Args:
        study: tables ``cells``, ``machines``, ``errors`` and, where cells were measured again, ``again``.
    """
    page = Page(out)
    page.draw(_figures(study))
    cells = study.tables["cells"]
    text = page.render(
        template("pruning.md.j2"), meta=study.meta, tables=study.tables, grid=grid(cells), spread=spread(cells),
        pays=pays(study), not_paying=not_paying(study), ordered=ordered(study.tables["errors"]),
        beside=beside_uniform(cells, study.tables["machines"]), verdict=verdict(study),
        chosen=[r for r in cells if r["allocation"] != "uniform"], recovered=[r for r in cells if r["recovery"]],
    )  # fmt: skip
    return page.write(text, study, str(study.meta["title"]))


def _uniform(cells: Sequence[Row]) -> list[Row]:
    return [r for r in cells if r["allocation"] == "uniform" and not r["recovery"]]


def grid(cells: Sequence[Row]) -> list[dict[str, Any]]:
    """A row a method, a column a pattern: nats a token, of the first seed."""
    rows: dict[str, dict[str, Any]] = {}
    for cell in _uniform(cells):
        rows.setdefault(cell["method"], {"method": cell["method"]}).setdefault(cell["pattern"], cell["nll"])
    return list(rows.values())


def spread(cells: Sequence[Row]) -> list[dict[str, Any]]:
    """Of what was run with several calibration seeds: lowest, mean and highest."""
    found: dict[tuple[str, ...], list[float]] = {}
    for cell in cells:
        allocation = cell["allocation"] + (f", {cell['budget']}" if cell["budget"] else "")
        allocation += f"; {cell['recovery']}" if cell["recovery"] else ""
        found.setdefault((cell["method"], cell["pattern"], allocation), []).append(cell["nll"])
    return [
        {"method": m, "pattern": p, "allocation": a, "seeds": len(v), "lowest": min(v), "mean": sum(v) / len(v),
         "highest": max(v)}
        for (m, p, a), v in found.items() if len(v) > 1
    ]  # fmt: skip


ORDER = ("magnitude", "wanda", "sparsegpt")
"""Methods whose layers' errors should fall in this order."""


def ordered(errors: Sequence[Row]) -> list[dict[str, Any]]:
    """Of patterns that have cells of the three methods: in how many kinds of layer their errors fall, and how far."""
    found: dict[str, dict[str, Row]] = {}
    for row in errors:
        if row["method"] in ORDER:
            found.setdefault(row["pattern"], {})[row["method"]] = row
    rows = []
    for pattern, by in found.items():
        if set(by) != set(ORDER):
            continue
        kinds = [key for key in by[ORDER[0]] if key not in ("method", "pattern")]
        apart = {kind: [by[a][kind] / by[b][kind] for a, b in itertools.pairwise(ORDER)] for kind in kinds}
        rows.append({
            "pattern": pattern, "kinds": len(kinds), "falling": sum(min(ratios) > 1 for ratios in apart.values()),
            "first": min(ratios[0] for ratios in apart.values()), "second": min(ratios[1] for ratios in apart.values()),
        })  # fmt: skip
    return rows


def beside_uniform(cells: Sequence[Row], machines: Sequence[Row] = ()) -> list[dict[str, Any]]:
    """Each cell whose patterns were chosen for a cost beside the cell of the same pattern in all layers: same method,
    calibration set and recovery; the cost is what that one's is, or less.

    ``share`` is of what the budget counts, the prunable layers alone; ``prefill`` of the whole network's cycles in
    prefill on the budget's machine, None where the budget is no machine's.
    """
    uniform = {(c["method"], c["pattern"], c["seed"], c["recovery"]): c for c in cells if c["allocation"] == "uniform"}
    cycles = {(m["cell"], m["machine"], m["phase"]): m["cycles"] for m in machines}
    rows = []
    for cell in cells:
        other = uniform.get((cell["method"], cell["pattern"], cell["seed"], cell["recovery"]))
        if cell["allocation"] == "rd" and other is not None:
            machine = str(cell.get("budget", "")).partition(":")[0]
            mine, all_alike = (cycles.get((str(c.get("cell")), machine, "prefill")) for c in (cell, other))
            rows.append({**cell, "uniform_nll": other["nll"], "uniform_second": other["nll_second"],
                         "less": other["nll"] - cell["nll"], "share": cell["spent"] / cell["allowed"],
                         "prefill": mine / all_alike if mine and all_alike else None})  # fmt: skip
    return rows


def _best(study: StudyTables) -> dict[str, Row]:
    """Like with like: of each pattern, allocation and recovery the cell of lowest loss; machines do not see which
    method chose the mask.

    All of one calibration seed, the first; weights that were made anew for a mask, or trained, are another group than
    those that were not, integers another than none; controls are in none.
    """
    best: dict[str, Row] = {}
    seed = min(c["seed"] for c in study.tables["cells"])
    for cell in study.tables["cells"]:
        if cell["seed"] != seed or cell["part"] == "control" or cell["bits"]:
            continue
        key = f"{cell['pattern']} {cell['allocation']} {cell['budget']} {recovery(cell)}"
        if key not in best or cell["nll"] < best[key]["nll"]:
            best[key] = cell
    return best


def recovery(cell: Row) -> str:
    """What recovered a cell: training after pruning, or a method that makes weights anew for a mask; none: empty."""
    return str(cell["recovery"] or (cell["name"] if cell["part"] == "recovery" else ""))


def _beside(study: StudyTables) -> Iterator[tuple[Row, Row]]:
    """(cell, machine row) of the best cells."""
    by_cell: dict[str, list[Row]] = {}
    for machine in study.tables["machines"]:
        by_cell.setdefault(machine["cell"], []).append(machine)
    for cell in _best(study).values():
        for row in by_cell.get(cell["cell"], []):
            yield {**cell, "recovered": recovery(cell)}, row


def gains(row: Row) -> bool:
    """Whether a pruned model takes fewer cycles than the dense one, and less energy where it is counted."""
    return bool(row["speedup"] > 1 and (row["energy_ratio"] is None or row["energy_ratio"] > 1))


def pays(study: StudyTables) -> list[dict[str, Any]]:
    """Where a pruned model is better than the dense one: the best method of each pattern and recovery."""
    return [{**cell, **row} for cell, row in _beside(study) if gains(row)]


def not_paying(study: StudyTables) -> list[dict[str, Any]]:
    """Every row of any model that is no better in cycles or in energy, with the cause.

    Recovery changes no cost: one row stands for all. Phases that run as the dense model for the same cause are one row.
    """
    model = study.meta["model"]
    rows = [{"model": model, **cell, **row} for cell, row in _beside(study)] + study.tables["elsewhere"]
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        if gains(row):
            continue
        dense = row["speedup"] == 1 and row["energy_ratio"] in (None, 1)
        phase = "all that are not above" if dense else row["phase"]
        key = (row["model"], row["machine"], phase, row["pattern"], row["allocation"], row.get("budget", ""))
        found.setdefault(key, {**row, "phases": []})["phases"].append(row["phase"])
    return [
        {**row, "phase": "; ".join(dict.fromkeys(row["phases"])), "why": row["why"] or "not looked for: an older cell"}
        for row in found.values()
    ]


def verdict(study: StudyTables) -> list[dict[str, Any]]:
    """What the study was to show: a row an aim, with the figure, the target, and whether it is met.

    Aims that tests hold have no figure here; what was not run is not met.
    """
    cells, rows = study.tables["cells"], []

    def say(what: str, figure: str, target: str, met: bool | None) -> None:
        word = "by tests" if met is None else "met" if met else "not met"
        rows.append({"what": what, "figure": figure, "target": target, "met": word})

    say("examples by hand and invariants of each method", "tests/model/test_pruning*.py", "all", None)
    order = {r["pattern"]: r for r in ordered(study.tables["errors"])}
    for pattern in ("2:4", "2:8"):
        r = order.get(pattern)
        figure = f"{r['falling']} of {r['kinds']} kinds of layer" if r else "not run"
        say(f"relative output error, {pattern}: magnitude > Wanda > SparseGPT", figure, "every kind",
            r is not None and r["falling"] == r["kinds"])  # fmt: skip
    losses = {
        m: {c["seed"]: c["nll"] for c in _uniform(cells) if (c["method"], c["pattern"]) == (m, "2:4")} for m in ORDER
    }
    # magnitude looks at no data: one run is all
    seeds = sorted(set(losses["wanda"]) & set(losses["sparsegpt"]))
    means = [sum(by.values()) / len(by) for by in losses.values() if by]
    apart = bool(seeds and losses["magnitude"]) and (
        min(losses["magnitude"].values()) > max(losses["wanda"].values())
        and min(losses["wanda"].values()) > max(losses["sparsegpt"].values())
    )
    say("nats a token, 2:4: dense, then mean of magnitude, Wanda, SparseGPT",
        f"{study.meta['dense_nll']:.3f}, " + ", ".join(f"{mean:.3f}" for mean in means)
        + f"; {study.meta['tokens']:,} tokens, {len(seeds)} calibration sets",
        "this order on every set; 20,000 tokens, 3 sets",
        apart and len(seeds) >= 3 and study.meta["tokens"] >= 20_000)  # fmt: skip
    for method, limit in (("wanda", 3), ("sparsegpt", 15)):
        runs = [c for c in _uniform(cells) if c["method"] == method]
        cpu, wall = (max((c[key] / 60 for c in runs), default=0.0) for key in ("cpu_seconds", "seconds"))
        say(f"minutes to prune the whole model, {method}",
            f"at most {cpu:.1f} CPU minutes, {len(runs)} runs ({wall:.1f} by the clock, other programs running)",
            f"at most {limit}", bool(runs) and cpu <= limit)  # fmt: skip
    say("masks kept through 500 optimizer steps", "tests/model/test_pruning.py", "0 entries off", None)
    for pattern, recovered in (("4:8", False), ("2:8", True)):
        pairs = [r for r in beside_uniform(cells) if r["pattern"] == pattern and ":cycles" in r["budget"]
                 and bool(r["recovery"]) == recovered]  # fmt: skip
        lower = [r for r in pairs if r["less"] > 0 and r["share"] <= 1]
        what = f"layers' patterns chosen by cycles against {pattern} in all, equal cycles"
        figure = f"{', '.join(format(r['less'], '+.3f') for r in pairs)} nats less, calibration sets: {len(pairs)}"
        say(what + (", both recovered" if recovered else ""), figure if pairs else "not run", "less on 3 sets",
            len(lower) == len(pairs) >= 3)  # fmt: skip
    names = [name for part in study.meta["whole"] if part["counted"] for name in part["names"]]
    say("methods on the whole model", str(len(names)), "at least 12", len(names) >= 12)
    for what, where in (
        ("dynamic programming is exhaustive search", "tests/model/test_pruning_allocation.py"),
        ("masks that are no N:M pattern: tile level = clock level = RTL", "tests/model/test_masked.py"),
        ("a method of a user's own is one file", "tests/model/test_pruning_study.py"),
        ("wrong input is one line", "tests/model/test_pruning*.py"),
    ):
        say(what, where, "all", None)
    return rows


def _figures(study: StudyTables) -> Iterator[tuple[str, Figure]]:
    cells = _uniform(study.tables["cells"])
    patterns = list(dict.fromkeys(c["pattern"] for c in cells))
    yield "quality", _by_pattern(cells, patterns)
    for machine in dict.fromkeys(r["machine"] for r in study.tables["machines"] if r["speedup"] != 1):
        yield f"front-{machine}", _front(study, str(machine))


def _by_pattern(cells: Sequence[Row], patterns: Sequence[str]) -> Figure:
    """Loss of each method by pattern."""
    draw = Drawing()
    figure, (axes,) = draw.figure(4.4)
    methods = list(dict.fromkeys(c["method"] for c in cells))
    having = [[m for m in methods if any(c["method"] == m and c["pattern"] == p for c in cells)] for p in patterns]
    for i, method in enumerate(methods):
        losses: Mapping[str, float] = {c["pattern"]: c["nll"] for c in reversed(cells) if c["method"] == method}
        at = [k for k, p in enumerate(patterns) if p in losses]
        colour, marker = draw.palette[i % len(draw.palette)], MARKERS[i % len(MARKERS)]
        # a place each: none hides another
        beside = [k + 0.8 / len(methods) * (having[k].index(method) - (len(having[k]) - 1) / 2) for k in at]
        axes.plot(beside, [losses[patterns[k]] for k in at], marker, color=colour, label=method, markersize=5)
    axes.axhline(cells[0]["dense_nll"], color=draw.ink, linewidth=0.8, linestyle=":", label="dense")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    shown = [t for t in (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30) if low <= t <= high]
    axes.set_yticks(shown, [str(t) for t in shown])
    axes.minorticks_off()
    axes.set_xlim(-0.5, len(patterns) - 0.5)
    axes.set_xticks(range(len(patterns)), patterns)
    axes.set_ylabel(NLL)
    draw.legend(axes, columns=3)
    return figure


def _front(study: StudyTables, machine: str) -> Figure:
    """Loss against cycles over dense: the best method of each pattern, a panel a phase."""
    draw = Drawing()
    found = [(cell, row) for cell, row in _beside(study) if row["machine"] == machine]
    phases = list(dict.fromkeys(str(row["phase"]) for _, row in found))
    figure, axes_of = draw.figure(0.5 + 2.4 * -(-len(phases) // 2), rows=-(-len(phases) // 2), columns=2, sharey=True)
    most = max(row["cycles"] / row["dense_cycles"] for _, row in found)
    for axes, phase in zip(axes_of, phases, strict=False):
        axes.set_title(phase)
        for i, (cell, row) in enumerate(pair for pair in found if pair[1]["phase"] == phase):
            colour, marker = draw.palette[i % len(draw.palette)], MARKERS[i % len(MARKERS)]
            label = cell["pattern"] + (f", {cell['allocation']}" if cell["allocation"] != "uniform" else "")
            label += f", {cell['recovered'].partition(',')[0]}" if cell["recovered"] else ""
            # what was recovered is hollow
            axes.plot(row["cycles"] / row["dense_cycles"], cell["nll"], marker, color=colour, label=label, markersize=5,
                      fillstyle="none" if cell["recovered"] else "full")  # fmt: skip
        axes.axhline(study.tables["cells"][0]["dense_nll"], color=draw.ink, linewidth=0.8, linestyle=":", label="dense")
        axes.set_xlim(0, max(1.1, 1.05 * most))
        axes.set_xlabel("cycles, share of the dense model's")
    for axes in axes_of[len(phases) :]:
        axes.set_visible(False)
    axes_of[0].set_ylabel("nats a token")
    handles, labels = axes_of[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=6, fontsize=8, frameon=False, handlelength=1.4)
    return figure
