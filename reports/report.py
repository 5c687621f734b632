# SPDX-License-Identifier: Apache-2.0
"""Writes a report of a study: one self-contained HTML page, the same in Markdown, CSV tables, PNG and SVG figures.

Nothing is computed here: what a table or figure shows is in the study, or among the published figures.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import markdown
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dataflow.files import write_text
from hwsim.core.study import StudyTables

from .figures import figures, layer_figures, networks
from .published import published
from .spatten import spatten_figures
from .style import save

Row = Mapping[str, Any]
Column = tuple[str, str, str]
"""Key, header, format (a `format` specification; ``s`` is text)."""


def write_report(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/`` (tables as CSV); returns the files."""
    paths: list[Path] = []
    drawings: dict[str, str] = {}
    for name, figure in chain(figures(study), spatten_figures(study)):
        files, drawings[name] = save(figure, out / "figures", name)
        paths += files
    study.write(out / "study")
    text = template("report.md.j2").render(
        meta=study.meta,
        tables=study.tables,
        published=published(),
        figure=lambda name, alt: f"\n![{alt}](figures/{name}.svg)\n" if name in drawings else "",
        networks=networks(study),
        layer_figures=layer_figures(study),
        table=markdown_table,
        headlines=_headlines(study),
        sensitivity_table=_sensitivity,
    )
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    write_text(out / "report.md", text)
    write_text(out / "report.html", page(text, str(study.meta.get("title", "Report")), drawings))
    return [out / "report.html", out / "report.md", *paths]


def _headlines(study: StudyTables) -> list[Row]:
    """SpAtten's published figures beside the study's."""
    told = published()
    return [
        {**row, "what": told[row["key"]].what, "published": told[row["key"]].text, "source": told[row["key"]].source}
        for row in study.tables.get("attention_headlines", [])
    ]


def _sensitivity(rows: Sequence[Row], networks: Sequence[str]) -> str:
    columns = [("variant", "variant", "s"), *((n, _cell(n, "s"), ".3f") for n in networks), ("mean", "mean", ".3f")]
    return markdown_table(rows, columns)


def markdown_table(rows: Iterable[Row], columns: Sequence[Column]) -> str:
    """A Markdown table; numbers right-aligned, a missing value is a dash."""
    lines = [
        "| " + " | ".join(header for _, header, _ in columns) + " |",
        "| " + " | ".join("---" if spec == "s" else "---:" for _, _, spec in columns) + " |",
    ]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(key), spec) for key, _, spec in columns) + " |")
    return "\n".join(lines)


def _cell(value: Any, spec: str) -> str:
    if value is None:
        return "–"
    text = str(value) if spec == "s" or isinstance(value, str) else format(value, spec)
    return html.escape(text, quote=False).replace("|", "&#124;").replace("\n", " ")


def template(name: str) -> Any:
    """A template of this folder."""
    folder = Path(__file__).with_name("templates")
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters["safe_text"] = lambda value: _cell(value, "s")
    return environment.get_template(name)


def page(text: str, title: str, drawings: dict[str, str]) -> str:
    """The Markdown as one page, its figures inline."""
    body = markdown.markdown(text, extensions=["tables", "md_in_html", "toc"])
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")

    def inline(match: re.Match[str]) -> str:
        alt = match[1]
        svg = drawings[match[2]].replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
        return f'<figure class="wide">{svg}</figure>'

    body = re.sub(r'<img alt="([^"]*)" src="figures/([^"]*)\.svg" ?/?>', inline, body)
    body = re.sub(r"<p>(<figure.*?</figure>)</p>", r"\1", body, flags=re.DOTALL)
    return str(template("page.html.j2").render(title=html.escape(title), body=body))
