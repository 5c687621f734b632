# SPDX-License-Identifier: Apache-2.0
"""Figures of sparse attention show what their tables say."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.figures import Drawing, bandwidth, quality
from reports.style import INK, save


def test_words(tmp_path: Path) -> None:
    """Every word once a layer, in ink as long as it is alive, nothing outside the picture."""
    rows = [{"word": f"word{i}" * (1 + i % 3), "layers": 1 + i % 4} for i in range(40)]
    figure = Drawing().tokens(rows, "Words")
    texts = [t for t in figure.axes[0].texts if t.get_text().startswith("word")]
    assert len(texts) == 40 * 4
    assert sum(t.get_color() == INK for t in texts) == sum(r["layers"] for r in rows)
    paths, svg = save(figure, tmp_path, "words")
    assert all(p.stat().st_size > 1000 for p in paths)
    assert svg.startswith("<svg")
    renderer = FigureCanvasAgg(figure).get_renderer()
    frame = figure.bbox
    for text in texts:
        box = text.get_window_extent(renderer)
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1


@pytest.mark.parametrize("metric", ["cosine", "bits_per_character"])
def test_quality(metric: str) -> None:
    rows = [{"axis": "none", "setting": "nothing pruned", metric: 1.0}]
    for share, value in ((75, 0.9), (50, 0.8)):
        rows += [{"axis": "tokens", "setting": f"{share}% tokens, {c}", metric: value - i / 10}
                 for i, c in enumerate(("importance", "random", "first"))]  # fmt: skip
    lines = quality(rows).axes[0].lines
    assert [line.get_label() for line in lines] == ["importance", "random", "the first ones"]
    assert [list(line.get_xdata()) for line in lines] == [[100.0, 75.0, 50.0]] * 3
    assert list(lines[1].get_ydata()) == pytest.approx([1.0, 0.8, 0.7])


def test_bandwidth() -> None:
    rows = [{"run_bytes": 32 << i, "share_of_peak": 0.1 * i, "row_hits": 0.05 * i} for i in range(5)]
    share, hits = bandwidth(rows, "HBM2").axes[0].lines
    assert list(share.get_ydata()) == pytest.approx([0, 10, 20, 30, 40])
    assert list(hits.get_ydata()) == pytest.approx([0, 5, 10, 15, 20])
