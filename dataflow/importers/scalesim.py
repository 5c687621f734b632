# SPDX-License-Identifier: Apache-2.0
"""SCALE-Sim topology files as networks: the convolution form and the GEMM form, with the columns that some files add.

Convolution form: layer name, IFMAP height and width, filter height and width, channels, filters, strides. SCALE-Sim has
no padding: its output is ceil((H - F + s) / s), which where it does not divide reaches past the image's edge.
``padding="valid"`` keeps that output (the image grows to what the windows touch); ``padding="same"`` pads (F - 1) // 2
on each side, the geometry of most published networks. A 1 x 1 image with a 1 x 1 filter is read as a linear layer. A
layer with DP in its name is depthwise, each channel with its own ``Num Filter`` filters, as SCALE-Sim has it.

GEMM form: layer name, M, N, K: an M x K activation times a K x N weight.

Further columns: a stride for the width, a batch size (images of the layer, or a factor of M), a sparsity (N:M along the
reduction). Columns are found by their titles. Where a title is unknown or stands twice they are found by place, as
SCALE-Sim finds all, unless a known title of something else stands in that place (a height may be titled as the width).
A column that nothing here knows is refused where a layer has a value in it. Behind a column without a title stand
notes, which are not read; a row may have a second stride and an N:M there, and a comment that begins with #.

A line with one cell is the title of a section. A name that appears again gets ``.2``, ``.3``. The first layer's input
is the network's input: it needs no gradient. Pooling and other element-wise work are not in these files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ..errors import InputError
from ..files import first_problem, read_text
from ..networks.network import Conv, Layer, Linear, Network
from ..pattern import NM

CONV = ("IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
GEMM = ("M", "N", "K")
STRIDE_WIDTH, BATCH, SPARSITY = "Stride Width", "Batch Size", "Sparsity"
SPELLINGS = {
    "IFMAP Height": ("ifmapheight", "ifmaph", "inputheight"),
    "IFMAP Width": ("ifmapwidth", "ifmapw", "inputwidth"),
    "Filter Height": ("filterheight", "filterh", "kernelheight"),
    "Filter Width": ("filterwidth", "filterw", "kernelwidth"),
    "Channels": ("channels", "channel", "numchannels", "inputchannels"),
    "Num Filter": ("numfilter", "numfilters", "filters", "filter", "outputchannels"),
    "Strides": ("strides", "stride", "strideheight", "strideh"),
    STRIDE_WIDTH: ("stridewidth", "stridew"),
    BATCH: ("batchsize", "batch"),
    SPARSITY: ("sparsity", "sparsityratio", "sparsityratios"),
    **{title: (title.lower(),) for title in GEMM},
}
"""How a column's title may be written, in small letters and digits alone."""
_TITLES = {spelling: title for title, spellings in SPELLINGS.items() for spelling in spellings}
_LARGEST = 1 << 24


class _Table(NamedTuple):
    """What the header line says: the form, where its columns are, titles that are not known by place, and the place
    behind the last column that has a title."""

    gemm: bool
    at: dict[str, int]
    unknown: dict[int, str]
    end: int


class Row(NamedTuple):
    """A layer as its line has it; the GEMM form's M, N, K are a height, filters and a filter's width here."""

    name: str
    height: int
    width: int
    filter_height: int
    filter_width: int
    channels: int
    filters: int
    strides: tuple[int, int]
    batch: int
    sparsity: str | None
    gemm: bool


def read_rows(path: Path, *, in_order: bool = False) -> list[Row]:
    """The layers of a topology file as its lines have them.

    Raises:
        InputError: as `read_topology`; with ``in_order`` also for a title that stands where SCALE-Sim, which goes by
            place alone, would take it for another.
    """
    found: list[Row] = []
    names: dict[str, int] = {}

    def take(table: _Table, cells: list[str]) -> None:
        for place, title in enumerate(GEMM if table.gemm else CONV, 1):
            if in_order and table.at[title] != place:
                raise InputError(f"column {title} is number {table.at[title] + 1}, SCALE-Sim takes number {place + 1}")
        found.append(_row(table, cells, names))

    _each_row(path, take)
    return found


def read_topology(path: Path, *, padding: str = "valid") -> Network:
    """The network of a topology file: text of any encoding, with commas, semicolons or tabs.

    Raises:
        InputError: unreadable, a column missing, a cell that is no positive integer or no pattern; with file and line.
    """
    layers: list[Layer] = []
    names: dict[str, int] = {}

    def take(table: _Table, cells: list[str]) -> None:
        layers.append(_layer(_row(table, cells, names), bool(layers), padding))

    _each_row(path, take)
    return Network(name=path.stem, layers=tuple(layers))


def _each_row(path: Path, take: Callable[[_Table, list[str]], None]) -> None:
    """Hand each layer's line to ``take``; its errors get file and line."""
    rows = _rows(path, read_text(path, otherwise="latin-1"))
    if not rows:
        raise InputError(f"{path}: empty; expected a header line and one line a layer")
    (line, titles), *rest = rows
    try:
        table = _table(titles)
    except InputError as error:
        raise InputError(f"{path}: line {line}: {error}") from None
    if not rest:
        raise InputError(f"{path}: no layers below the header line")
    for line, cells in rest:
        try:
            take(table, cells)
        except InputError as error:
            raise InputError(f"{path}: line {line}: {error}") from None
        except ValidationError as error:
            raise InputError(f"{path}: line {line}: {first_problem(error)}") from None


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """Lines of more than one cell, each with its number; lines of one cell are titles of sections, unless there is no
    other line."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",\t;", key=first.count)
    if not first.count(separator):  # a title of the whole file
        separator = max(",\t;", key=text.count)
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: no CSV file: {error}") from None
    return [(line, cells) for line, cells in rows if any(cells[1:])]


def _table(titles: Sequence[str]) -> _Table:
    """The columns of a header line.

    Raises:
        InputError: no header line; a column that is needed has no place, or two.
    """
    if all(cell.isdigit() for cell in titles[1:] if cell):
        raise InputError("numbers where the titles of the columns are expected")
    known = [_TITLES.get("".join(c for c in cell.lower() if c.isalnum())) for cell in titles]
    if known[0] is not None:
        raise InputError(f"column {known[0]} stands first, where the layers' names are expected")
    gemm = bool(set(GEMM) & set(known)) and not set(CONV) & set(known)
    needed = GEMM if gemm else CONV
    if all(known.count(title) == 1 for title in needed):
        at = {title: known.index(title) for title in needed}
    else:
        at = {title: place for place, title in enumerate(needed, 1)}
        for title, place in at.items():
            found = known[place] if place < len(known) else None
            twin = found is not None and known.count(found) > 1 and found.split()[0] == title.split()[0]
            if place >= len(known) or not titles[place] or (found not in (title, None) and not twin):
                raise InputError(f"column {next((t for t in needed if t not in known), title)} is missing")
    end = next((i for i, cell in enumerate(titles) if not cell and i > max(at.values())), len(titles))
    unknown = {}
    for place in set(range(1, end)) - set(at.values()):
        more = known[place]
        if more == "Strides":  # twice: one a direction
            more = STRIDE_WIDTH
        if more in at:
            raise InputError(f"column {more} appears twice")
        if more is None or (more == STRIDE_WIDTH and gemm):
            unknown[place] = titles[place]
        else:
            at[more] = place
    return _Table(gemm, at, unknown, end)


def _row(table: _Table, cells: list[str], names: dict[str, int]) -> Row:
    """What a line says.

    Raises:
        InputError: a cell that cannot be; names its column.
    """
    for place, title in table.unknown.items():
        if place < len(cells) and cells[place]:
            raise InputError(f"column {title!r} is not known; known: {', '.join(SPELLINGS)}")

    def cell(title: str) -> str:
        place = table.at.get(title, len(cells))
        return cells[place] if place < len(cells) else ""

    stride_width, sparsity = _untitled(table, cells)
    name = _unique(cells[0] or f"layer{sum(names.values())}", names)
    pattern = _pattern(cell(SPARSITY) or sparsity)
    batch = _number(BATCH, cell(BATCH) or "1")
    if table.gemm:
        m, n, k = (_number(title, cell(title)) for title in GEMM)
        return Row(name, m, k, 1, k, 1, n, (1, 1), batch, pattern, True)
    h, w, fh, fw, channels, filters, stride = (_number(title, cell(title)) for title in CONV)
    strides = (stride, _number(STRIDE_WIDTH, cell(STRIDE_WIDTH) or stride_width or str(stride)))
    return Row(name, h, w, fh, fw, channels, filters, strides, batch, pattern, False)


def _layer(row: Row, needs_grad: bool, padding: str) -> Layer:
    """The layer of a row."""
    common = {"name": row.name, "needs_input_grad": needs_grad, "sparsity": row.sparsity}
    if row.gemm:
        return Linear(rows=row.height * row.batch, in_features=row.width, out_features=row.filters, **common)
    h, w, fh, fw = row.height, row.width, row.filter_height, row.filter_width
    groups = row.channels if "DP" in row.name else 1
    if (h, w, fh, fw, groups) == (1, 1, 1, 1, 1):
        return Linear(rows=row.batch, in_features=row.channels, out_features=row.filters, **common)
    pads = (0, 0)
    if padding == "same":
        pads = ((fh - 1) // 2, (fw - 1) // 2)
    elif fh <= h and fw <= w:  # grow the image to what the last window touches
        h, w = (-(-(size - f) // s) * s + f for size, f, s in zip((h, w), (fh, fw), row.strides, strict=True))
    return Conv(
        in_channels=row.channels, out_channels=row.filters * groups, height=h, width=w, kernel=(fh, fw),
        stride=row.strides, padding=pads, groups=groups, images=row.batch, **common,
    )  # fmt: skip


def _untitled(table: _Table, cells: list[str]) -> tuple[str, str]:
    """A row's stride of the width and its N:M, where they stand behind the columns that have a title."""
    stride_width = sparsity = ""
    for place in range(table.end, len(cells)):
        text = cells[place]
        if not text or text.startswith("#"):
            break
        if ":" in text and not sparsity and SPARSITY not in table.at:
            sparsity = text
        elif text.isdigit() and not (table.gemm or stride_width or sparsity) and len(table.at) == len(CONV):
            stride_width = text
        else:
            raise InputError(f"column {place + 1}: {text!r}: no title says what it is")
    return stride_width, sparsity


def _unique(name: str, names: dict[str, int]) -> str:
    names[name] = names.get(name, 0) + 1
    return name if names[name] == 1 else _unique(f"{name}.{names[name]}", names)


def _number(title: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= _LARGEST):
        raise InputError(f"column {title}: {text or 'empty'!r:.40}: must be an integer from 1 to {_LARGEST}")
    return int(text)


def _pattern(text: str) -> str | None:
    if not text:
        return None
    try:
        return str(NM.parse(text))
    except InputError as error:
        raise InputError(f"column {SPARSITY}: {error}") from None
