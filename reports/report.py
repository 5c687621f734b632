# SPDX-License-Identifier: Apache-2.0
"""Writes a report of a study: one self-contained HTML page, the same in Markdown, CSV tables, PNG and SVG figures.

Nothing is computed here: what a table or figure shows is in the study, or among the published figures. What a page says
is in the sections (`hwsim.core.report`) whose tables the study has; tables of no section are shown as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsim.core.report import STUDY, Section, sections
from hwsim.core.study import StudyTables

from .figures import Drawing
from .page import Page, deeper, template
from .plain import plain_part
from .published import published, published_of


def write_report(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/`` (tables as CSV); returns the files."""
    page = Page(out)
    chosen = [s for s in sections() if s.page == STUDY and s.applies(study)]
    parts = [section_part(s, study, page, more=len(chosen) > 1) for s in chosen] or [plain_part(study, page)]
    text = page.render(template("report.md.j2"), meta=study.meta, parts=parts)
    return page.write(text, study, str(study.meta.get("title", "Report")))


def section_part(section: Section, study: StudyTables, page: Page, more: bool) -> dict[str, Any]:
    """A section's title and text, its figures drawn; ``more``: below a heading of its own."""
    page.draw(section.figures(study, Drawing(published())))
    text = page.render(
        template(section.template), meta=study.meta, tables=study.tables, published=published_of(section.key),
        **section.facts(study),
    )  # fmt: skip
    return {"key": section.key, "title": section.title, "text": deeper(text) if more else text}
