# SPDX-License-Identifier: Apache-2.0
"""Documents: every link to a file or a heading of ours leads somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def documents() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).exists()]


def anchors(text: str) -> set[str]:
    """Names of the headings, as the usual renderers make them."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found = set(re.findall(r'(?:id|name)="([^"]+)"', plain))
    for heading in re.findall(r"^#+ +(.+)$", plain, re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(words.strip().replace(" ", "-"))
    return found


def broken(path: Path) -> list[str]:
    """Links of a document that lead nowhere."""
    text = path.read_text(encoding="utf-8")
    found = []
    for link in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
            found.append(link)
    return found


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_broken_links_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, twice\n[a](#a-heading-twice) [b](#none) [c](none.md) [d](page.md#none) [e](https://x)\n"
    )
    assert broken(page) == ["#none", "none.md", "page.md#none"]
