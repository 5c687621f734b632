# SPDX-License-Identifier: Apache-2.0
"""A machine's part of a page: what it says and draws; the helpers that draw are given by the page's maker.

A machine gives `Section`s (`hwsim.core.machine.Machine.report_sections`); a page shows those whose tables a study has,
in their order. Others are found by entry point (group ``hwsim.report_sections``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dataflow.registry import Registry

from .machine import every
from .study import StudyTables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STUDY, CLAIMS = "study", "claims"
"""Pages that a section can be of: of a study, or of published claims beside ours."""

Row = Mapping[str, Any]
Column = tuple[str, str, str]
"""Key, header, format: a `format` specification; ``s``: text; ``@ms``: milliseconds, with the unit that fits (also
``@s @us @J @mJ @uJ @B @MB @GB``)."""


class Reference(Protocol):
    """A published figure."""

    @property
    def what(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def value(self) -> float | None: ...
    @property
    def source(self) -> str: ...


class Draw(Protocol):
    """Kinds of figures, and what one needs to draw another kind in the same style. Sizes are inches."""

    @property
    def palette(self) -> Sequence[str]:
        """Colours that differ with any colour vision."""

    @property
    def ink(self) -> str:
        """The page's text colour."""

    @property
    def muted(self) -> str:
        """Colour of the baseline that others are compared with."""

    @property
    def published(self) -> Mapping[str, Reference]:
        """Published figures by key."""

    def figure(self, height: float, *, rows: int = 1, columns: int = 1, **shared: Any) -> tuple[Figure, list[Axes]]:
        """An empty figure of the page's width."""

    def legend(self, axes: Axes, *, columns: int = 0, handles: Sequence[Any] | None = None) -> None:
        """A legend above the axes, in as many columns as fit."""

    def bars(
        self, names: Sequence[str], series: Mapping[str, Sequence[float | None]], label: str, *, digits: int = 2,
        ideal: Mapping[str, Sequence[float]] | None = None, marks: Sequence[tuple[int, int | None, float]] = (),
        mark_text: str = "", level: float | None = None,
    ) -> Figure:  # fmt: skip
        """Bars from 0, one a series beside each name.

        Args:
            ideal: a dotted line over each bar.
            marks: published values: index of the name, index of the series (none: amid the name's bars), value.
            level: a dotted line across.
        """

    def stacked(
        self, panels: Mapping[str, tuple[Sequence[str], Mapping[str, Sequence[float]]]], label: str, *,
        colours: Mapping[str, str] | None = None, unit: float = 1.0,
    ) -> Figure:  # fmt: skip
        """Horizontal bars of stacked parts: for each panel's title its names and, by part, a value a name."""

    def steps(
        self, panels: Mapping[str, Sequence[tuple[str, float]]], label: str, *, level: float | None = None
    ) -> Figure:
        """Horizontal bars with their values written beside them; the first of a panel is what others are over."""

    def waterfall(self, steps: Sequence[tuple[str, float, float]], label: str) -> Figure:
        """From the first value to the last: name, value reached, change."""

    def curves(
        self, panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], x: str, y: str, *,
        log: str = "", binary: bool = False, level: tuple[float, str] | None = None,
        dotted: Mapping[str, str] | None = None, markers: bool = True,
    ) -> Figure:  # fmt: skip
        """Lines: for each panel's title, by name, x and y.

        Args:
            log: axes with a logarithmic scale, as in "xy".
            binary: powers of two along x.
            level: where on x a dotted line stands, and its text.
            dotted: names of lines that are dotted in the colour of another one.
        """

    def roofline(
        self, panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], peak: float, bandwidth: float, x: str,
        y: str, *, colours: Mapping[str, str] | None = None,
    ) -> Figure:  # fmt: skip
        """Points under a roof: for each panel's title, by name, (intensity, rate)."""

    def tokens(self, rows: Sequence[Row], title: str) -> Figure:
        """A sentence once for each layer; a word is grey from the layer on before which it left (word, layers)."""


Drawn = Iterable[tuple[str, "Figure"]]


def _nothing(study: StudyTables, draw: Draw) -> Drawn:
    return ()


def _no_facts(study: StudyTables) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page.

    The template (Jinja to Markdown, headings from ``##`` on) sees ``meta``, ``tables``, ``published`` (this key's
    published figures), ``table(rows, columns)``, ``figure(name, text)`` and what `facts` gives.
    """

    key: str
    """The machine's name, as its published figures have it."""
    title: str
    needs: str
    """The table without which the section is left out."""
    template: Path
    figures: Callable[[StudyTables, Draw], Drawn] = _nothing
    facts: Callable[[StudyTables], Mapping[str, Any]] = _no_facts
    order: int = 100
    """Lower ones come first; equal ones by key."""
    page: str = STUDY

    def applies(self, study: StudyTables) -> bool:
        """Whether the study has this section's table."""
        return bool(study.tables.get(self.needs))


def _sections(name: str, thing: Any) -> tuple[Section, ...]:
    made = thing if isinstance(thing, Section) or not callable(thing) else thing()
    many = (made,) if isinstance(made, Section) else tuple(made)
    for section in many:
        if not isinstance(section, Section):
            raise TypeError(f"{type(section).__name__} is no Section")
    return many


SECTIONS: Registry[tuple[Section, ...]] = Registry("report section", "hwsim.report_sections", convert=_sections)
"""Sections from elsewhere: a `Section`, several, or a function that gives them."""


def sections() -> tuple[Section, ...]:
    """Every section, in order: of the machines, and those from elsewhere.

    Raises:
        InputError: a machine or a section that cannot be loaded.
    """
    found = [s for kind in every() for s in _sections(kind.name, kind.report_sections())]
    found += [s for name in SECTIONS for s in SECTIONS.get(name)]
    return tuple(sorted(found, key=lambda s: (s.order, s.key)))
