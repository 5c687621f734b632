# SPDX-License-Identifier: Apache-2.0
"""The page of cache methods: quality beside what is read, by method, budget and length of the prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hwsim.core.report import Row
from hwsim.core.study import StudyTables

from .figures import Drawing
from .page import Page, template
from .style import MARKERS

FOUND = 0.8
"""Share of planted numbers that the whole cache must find, or a length says nothing of a method."""


def write_cache(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/``; returns the files.

    Args:
        study: tables ``cache`` and, where numbers were planted, ``needles``, of `algorithms.kv_cache.run.compare`.
    """
    page = Page(out)
    page.draw(_figures(study.tables["cache"]))
    needles: dict[tuple[Any, ...], Row] = {
        (r["context"], r["method"], r["setting"]): r for r in study.tables.get("needles", [])
    }
    contexts = list(dict.fromkeys(r["context"] for r in study.tables["cache"]))
    text = page.render(
        template("cache.md.j2"), meta=study.meta, needles=bool(needles), least=FOUND,
        tables={c: [_row(r, needles) for r in study.tables["cache"] if r["context"] == c] for c in contexts},
        weak=[r["context"] for r in needles.values() if r["method"] == "full" and r["found"] < FOUND],
        untrained=sorted({r["method"] for r in study.tables["cache"] if "nll" not in r}),
    )  # fmt: skip
    return page.write(text, study, str(study.meta["title"]))


def _row(row: Row, needles: dict[tuple[Any, ...], Row]) -> dict[str, Any]:
    """A row as it is shown: shares in percent, bytes in millions."""
    planted = needles.get((row["context"], row["method"], row["setting"]))
    spread = f"{row['lowest']:+.3f} to {row['highest']:+.3f}" if "lowest" in row else ""
    return {
        **row, "spread": spread, "read": 100 * row["reads"], "kv_mb": row["kv_bytes"] / 1e6,
        "choose_mb": row["selection_bytes"] / 1e6, "found": 100 * planted["found"] if planted else None,
    }  # fmt: skip


def _figures(rows: Sequence[Row]) -> Iterator[tuple[str, Figure]]:
    """Loss above the whole cache's beside the share of its bytes that is read, a panel a length."""
    draw = Drawing()
    contexts = list(dict.fromkeys(r["context"] for r in rows))
    figure, axes_of = draw.figure(3.4, columns=len(contexts), sharey=True)
    methods = [m for m in dict.fromkeys(r["method"] for r in rows if "nll" in r) if m != "full"]
    for axes, context in zip(axes_of, contexts, strict=True):
        axes.grid(axis="both", visible=True)
        for i, method in enumerate(methods):
            mine = sorted((r["reads"], r["delta"]) for r in rows if r["method"] == method and r["context"] == context)
            axes.plot(*zip(*mine, strict=True), color=draw.palette[i % len(draw.palette)],
                      marker=MARKERS[i % len(MARKERS)], markersize=4, linewidth=1, label=method)  # fmt: skip
        axes.axhline(0, color=draw.ink, linewidth=0.8, linestyle=":")
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_xlim(0, None)
        axes.set_title(f"{context:,} tokens", fontsize=9)
        axes.set_xlabel("bytes read, share of the whole cache's")
    axes_of[0].set_ylabel("nats a token above the whole cache")
    handles, labels = axes_of[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=5, fontsize=8, frameon=False, handlelength=1.6)
    yield "quality", figure
