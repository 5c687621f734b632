# SPDX-License-Identifier: Apache-2.0
"""A page: Markdown with figures and tables, and the same as one self-contained HTML file with a table of contents."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import markdown
import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from matplotlib.figure import Figure

from dataflow.files import write_text
from hwsim.core.report import Column, Row
from hwsim.core.study import StudyTables
from hwsim.core.units import bytes_text, energy_text, time_text

from .style import RC, save
from .words import with_words

UNITS = {
    "@s": (time_text, 1.0), "@ms": (time_text, 1e-3), "@us": (time_text, 1e-6),
    "@J": (energy_text, 1.0), "@mJ": (energy_text, 1e-3), "@uJ": (energy_text, 1e-6),
    "@B": (bytes_text, 1.0), "@MB": (bytes_text, 1e6), "@GB": (bytes_text, 1e9),
}  # fmt: skip
"""Formats of a column: what writes it, and how much one of its numbers is."""
TEMPLATES = Path(__file__).with_name("templates")
CONTENTS = 4
"""From so many headings on a page has a table of contents."""


class Page:
    """A page that is being made in a folder: its figures are drawn, its text is rendered, it is written."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.files: list[Path] = []
        self.drawings: dict[str, str] = {}

    def draw(self, figures: Iterable[tuple[str, Figure]]) -> None:
        """Save figures (PNG, SVG); those not named in the text are only saved."""
        with mpl.rc_context(RC):
            for name, figure in figures:
                files, self.drawings[name] = save(figure, self.out / "figures", name)
                self.files += files

    def figure(self, name: str, alt: str) -> str:
        """The Markdown of a figure; none where it was not drawn."""
        return f"\n![{alt}](figures/{name}.svg)\n" if name in self.drawings else ""

    def render(self, source: Template, **names: Any) -> str:
        """A template's text."""
        return str(source.render(table=markdown_table, figure=self.figure, **names))

    def write(self, text: str, study: StudyTables, title: str) -> list[Path]:
        """Write ``report.html``, ``report.md``, and the tables as CSV into ``study/``; returns the files."""
        text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
        study.write(self.out / "study")
        write_text(self.out / "report.md", text)
        write_text(self.out / "report.html", html_page(text, title, self.drawings))
        return [self.out / "report.html", self.out / "report.md", *self.files]


def markdown_table(rows: Iterable[Row], columns: Sequence[Column]) -> str:
    """A Markdown table; numbers right-aligned, a missing value is a dash."""
    lines = [
        "| " + " | ".join(_cell(header, "s") for _, header, _ in columns) + " |",
        "| " + " | ".join("---" if spec == "s" else "---:" for _, _, spec in columns) + " |",
    ]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(key), spec) for key, _, spec in columns) + " |")
    return "\n".join(lines)


def _cell(value: Any, spec: str) -> str:
    if value is None or value != value:
        return "–"
    if spec == "s" or isinstance(value, str):
        text = str(value)
    elif spec in UNITS:
        write, each = UNITS[spec]
        text = write(value * each)
    else:
        text = format(value, spec)
    return html.escape(text, quote=False).replace("|", "&#124;").replace("\n", " ")


def template(path: str | Path) -> Template:
    """A template: a name of this package's folder, or a file."""
    path = TEMPLATES / path
    environment = Environment(
        loader=FileSystemLoader([path.parent, TEMPLATES]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters["safe_text"] = lambda value: _cell(value, "s")
    return environment.get_template(path.name)


def deeper(text: str) -> str:
    """Markdown with its headings one level down."""
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE)


def html_page(text: str, title: str, drawings: Mapping[str, str], more: str = "") -> str:
    """The Markdown as one page, its figures inline; ``more``: HTML at its end."""
    made = markdown.Markdown(
        extensions=["tables", "md_in_html", "toc"], extension_configs={"toc": {"toc_depth": "2-3", "marker": ""}}
    )
    body = made.convert(text)
    body = body.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")

    def inline(match: re.Match[str]) -> str:
        alt = match[1]
        svg = drawings[match[2]].replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
        return f'<figure tabindex="0">{svg}</figure>'

    body = re.sub(r'<img alt="([^"]*)" src="figures/([^"]*)\.(?:svg|png)" ?/?>', inline, body)
    body = re.sub(r"<p>(<figure.*?</figure>)</p>", r"\1", body, flags=re.DOTALL)
    if len(re.findall(r"<h[23] ", body)) >= CONTENTS:  # below the first paragraph, which says what the page is
        contents = f'</p><nav class="contents" aria-label="Contents">{made.toc}</nav>'
        body = body.replace("</p>", contents, 1)
    return str(template("page.html.j2").render(title=html.escape(title), body=with_words(body) + more))
