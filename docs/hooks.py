# SPDX-License-Identifier: Apache-2.0
"""What the site has besides the files of ``docs/``: the README and the machines' documents, and the command reference.

Documents that lie elsewhere are pages of their own under their path; links to files that are no page become plain text.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md", "rtl/README.md",
           "hwsim/sweeps/README.md", "hwsim/sat/README.md", "hwsim/spatten/README.md", "hwsim/systolic/README.md",
           "hwsim/tensor24/README.md", "hwsim/tensor24/gpu/README.md", "hwsim/tensor24/gpu/measured/README.md",
           "tests/system/third_machine/README.md"]  # fmt: skip
"""Documents that are pages too; the README is the first page."""
LINK = re.compile(r"(!?)\[((?:!\[[^\]]*\]\([^)]*\)|[^\[\]])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents from elsewhere, and the pictures that they show."""
    for name in OUTSIDE:
        here = "index.md" if name == "README.md" else name
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, here, content=_linked(text, posixpath.dirname(name), here)))
        for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), picture))
            if files.get_file_from_path(path) is None:
                files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    for path in sorted((ROOT / "examples/notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=_notebook(path)))
    return files


def _notebook(path: Path) -> str:
    """A notebook as a page: its text and code, without output."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(c["source"]) if c["cell_type"] == "markdown" else _code("".join(c["source"])) for c in cells]
    return "\n\n".join([*texts, f"To run it: `{path.relative_to(ROOT)}` (extras `notebooks`, `sweep`, `report`)."])


def _code(source: str) -> str:
    return f"```python\n{source}\n```"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of the pages in ``docs/``, which are written as they lead in the repository; the command reference."""
    name = page.file.src_uri
    if page.file.generated_by is None:
        markdown = _linked(markdown, "docs", name)
    return markdown.replace("<!-- commands -->", commands()) if name == "commands.md" else markdown


def _linked(text: str, folder: str, page: str) -> str:
    """A document's links as they lead from its page.

    Args:
        folder: where the document lies in the repository.
        page: where it is in the site.
    """

    def leads(match: re.Match[str]) -> str:
        bang, words, link = match.groups()
        if re.match(r"\w+:|#", link):
            return match[0]
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(folder, path))
        if target == "README.md":
            target = "index.md"
        elif target.startswith("docs/"):
            target = target.removeprefix("docs/")
        elif not bang and target not in OUTSIDE:
            return words if words.startswith("`") else f"{words} (`{target}`)"
        there = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f"{bang}[{words}]({there}{'#' * bool(anchor)}{anchor})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(leads, part) for part in parts)


def commands() -> str:
    """Every command's help: what it does, its arguments and options with their defaults."""
    import typer.main

    from hwsim import cli

    cli.add_commands(None)
    program = typer.main.get_command(cli.app)
    return "\n".join(_command(name, found) for name, found in sorted(program.commands.items()))  # type: ignore[attr-defined]


def _command(name: str, command: Any) -> str:
    lines = [f"## {name}", "", _text(command.help), ""]
    lines += ["| argument or option | is | default |", "| --- | --- | --- |"]
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        option = parameter.param_type_name == "option"
        names = (
            ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts))
            if option
            else f"`{parameter.name}`"
        )
        default = parameter.default
        plain = isinstance(default, str | int | float) and not isinstance(default, bool) and default != ""
        shown = f"`{getattr(default, 'value', default)}`" if plain else "needed" if parameter.required else ""
        text = getattr(parameter, "help", "") or ""
        lines.append(f"| {names} | {_text(text).replace('|', '&#124;')} | {shown} |")
    return "\n".join([*lines, ""])


def _text(text: str | None) -> str:
    """Help as Markdown: backticks stay, what looks like HTML does not become it."""
    return re.sub(r"\[/?\w*\]", "", (text or "").strip()).replace("<", "&lt;").replace("\f", "")
