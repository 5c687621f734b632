# SPDX-License-Identifier: Apache-2.0
"""The glossary on a page: the first use of a term leads to its meaning, which stands at the page's end.

The terms are those of ``docs/glossary.md`` (in an installed package a copy of it), so that there is one glossary.
Linked are abbreviations and terms of several words; plain words are not.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path

_CHECKOUT = Path(__file__).parents[1] / "docs" / "glossary.md"
GLOSSARY = _CHECKOUT if _CHECKOUT.is_file() else Path(__file__).with_name("glossary.md")
CLOSED = ("a", "code", "pre", "h1", "h2", "h3", "h4", "figure", "svg", "script", "style", "nav", "summary")
"""Elements whose text has no links."""


@cache
def glossary() -> dict[str, str]:
    """Meanings in Markdown by term, in the file's order; terms that share a heading share the meaning."""
    if not GLOSSARY.is_file():
        return {}
    entries = re.findall(r"^### ([^\n]+)\n(.+?)(?=^#|\Z)", GLOSSARY.read_text(encoding="utf-8"), re.M | re.S)
    found: dict[str, str] = {}
    for heading, meaning in entries:
        for term in heading.split(", "):
            found.setdefault(term.strip(), " ".join(meaning.split()))
    return found


def _pattern(term: str) -> str:
    """What a term looks like in a text: abbreviations as they stand, words in any case; empty: it is not linked."""
    if re.search(r"[A-Z]{2}|[A-Z]\d|:", term):
        return re.escape(term)
    return f"(?i:{re.escape(term)})" if re.search(r"[ -]", term) else ""


def with_words(body: str) -> str:
    """A page's HTML with its first uses of terms linked, and their meanings at the end."""
    wanted = {term: pattern for term in glossary() if (pattern := _pattern(term))}
    parts = re.split(r"(<[^>]*>)", body)
    used: dict[str, str] = {}
    inside = 0
    for i, part in enumerate(parts):
        if part.startswith("<"):
            name = re.match(r"</?(\w*)", part)
            if name and name[1] in CLOSED and not part.endswith("/>"):
                inside += -1 if part.startswith("</") else 1
        elif not inside and part.strip():
            parts[i] = _linked(part, wanted, used)
    if not used:
        return body
    rows = [
        f'<dt id="{place}">{html.escape(term)}</dt><dd>{_plain(glossary()[term])}</dd>'
        for term, place in sorted(used.items(), key=lambda item: item[0].lower())
    ]
    words = f'<section class="words"><p><b>Words of this page</b></p><dl>{"".join(rows)}</dl></section>'
    return "".join(parts) + words


def _linked(text: str, wanted: dict[str, str], used: dict[str, str]) -> str:
    """A text with links at terms that are not ``used`` yet; longer terms go first."""
    left = sorted((t for t in wanted if t not in used), key=len, reverse=True)
    if not left:
        return text
    pattern = "|".join(f"(?P<t{i}>{wanted[t]})" for i, t in enumerate(left))

    def link(match: re.Match[str]) -> str:
        term = left[int(str(match.lastgroup)[1:])]
        if term in used:
            return match[0]
        used[term] = "word-" + re.sub(r"\W+", "-", term.lower()).strip("-")
        return f'<a class="word" href="#{used[term]}">{match[0]}</a>'

    return re.sub(rf"(?<![\w-])(?:{pattern})(?![\w-])", link, text)


def _plain(meaning: str) -> str:
    """A meaning as HTML: bold stays; of links the words, as a page leads nowhere else."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", html.escape(meaning, quote=False))
    return re.sub(r"\*\*?([^*]+)\*\*?", r"<b>\1</b>", text)
