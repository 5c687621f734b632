# SPDX-License-Identifier: Apache-2.0
"""SCALE-Sim topology CSV files as networks: the convolution form, the GEMM form, and both with a Sparsity column.

Convolution form: layer name, IFMAP height and width, filter height and width, channels, filters, strides (one number,
or two columns). SCALE-Sim has no padding: its output is ceil((H - F + s) / s), which where it does not divide reaches
past the image's edge. ``padding="valid"`` keeps that output (the image grows to what the windows touch);
``padding="same"`` pads (F - 1) // 2 on each side, the geometry of most published networks. A 1 x 1 image with a 1 x 1
filter is read as a linear layer.

GEMM form: layer name, M, N, K: an M x K activation times a K x N weight.

The Sparsity column is N:M along the reduction. A name that appears again gets ``.2``, ``.3``. The first layer's input
is the network's input: it needs no gradient. Pooling and other element-wise work are not in these files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from ..errors import InputError
from ..files import first_problem, read_text
from ..networks.network import Conv, Layer, Linear, Network
from ..pattern import NM

_CONV = {
    "ifmap_height": "ifmapheight",
    "ifmap_width": "ifmapwidth",
    "filter_height": "filterheight",
    "filter_width": "filterwidth",
    "channels": "channels",
    "filters": "numfilter",
}
_GEMM = {"m": "m", "n": "n", "k": "k"}
_STRIDES = ("strides", "stride", "strideheight")
_TITLES = {
    "ifmapheight": "IFMAP Height", "ifmapwidth": "IFMAP Width", "filterheight": "Filter Height",
    "filterwidth": "Filter Width", "channels": "Channels", "numfilter": "Num Filter", "m": "M", "n": "N", "k": "K",
}  # fmt: skip


def read_topology(path: Path, *, padding: str = "valid") -> Network:
    """The network of a topology file.

    Raises:
        InputError: unreadable, a column missing, a cell that is no positive integer or no pattern; with file and line.
    """
    text = read_text(path)
    try:
        rows = [(number, [c.strip() for c in row]) for number, row in _numbered(text) if any(c.strip() for c in row)]
    except csv.Error as error:
        raise InputError(f"{path}: no CSV file: {error}") from None
    if not rows:
        raise InputError(f"{path}: empty; expected a header line and one line a layer")
    header = {_plain(cell): i for i, cell in enumerate(rows[0][1]) if cell}
    gemm = {"m", "n", "k"} <= set(header) or ("ifmapheight" not in header and bool({"m", "n", "k"} & set(header)))
    columns = _GEMM if gemm else _CONV
    for column in columns.values():
        if column not in header:
            raise InputError(f"{path}: column {_TITLES[column]} is missing")
    if not gemm and not set(_STRIDES) & set(header):
        raise InputError(f"{path}: column Strides is missing")
    if len(rows) == 1:
        raise InputError(f"{path}: no layers below the header line")
    layers: list[Layer] = []
    names: dict[str, int] = {}
    for line, cells in rows[1:]:
        where = f"{path}: line {line}"
        cell = _reader(where, header, cells)
        name = _unique(cells[0] or f"layer{len(layers)}", names)
        sparsity = cells[header["sparsity"]] if header.get("sparsity", len(cells)) < len(cells) else ""
        common = {"name": name, "needs_input_grad": bool(layers), "sparsity": _pattern(where, sparsity)}
        try:
            layers.append(_gemm(cell, common) if gemm else _conv(cell, header, common, padding))
        except ValidationError as error:
            raise InputError(f"{where}: {first_problem(error)}") from None
    return Network(name=path.stem, layers=tuple(layers))


def _numbered(text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text))
    return [(reader.line_num, row) for row in reader]


def _plain(title: str) -> str:
    return "".join(c for c in title.lower() if c.isalnum())


def _unique(name: str, names: dict[str, int]) -> str:
    names[name] = names.get(name, 0) + 1
    return name if names[name] == 1 else _unique(f"{name}.{names[name]}", names)


def _reader(where: str, header: dict[str, int], cells: list[str]) -> Callable[[str], int]:
    def read(column: str) -> int:
        title = _TITLES.get(column, column)
        at = header[column]
        text = cells[at] if at < len(cells) else ""
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 2**24):
            raise InputError(f"{where}: column {title}: {text or 'empty'!r}: must be an integer from 1 to {2**24}")
        return int(text)

    return read


def _pattern(where: str, text: str) -> str | None:
    if not text:
        return None
    try:
        return str(NM.parse(text))
    except InputError as error:
        raise InputError(f"{where}: column Sparsity: {error}") from None


def _gemm(cell: Callable[[str], int], common: dict[str, object]) -> Linear:
    return Linear(rows=cell("m"), in_features=cell("k"), out_features=cell("n"), **common)


def _conv(cell: Callable[[str], int], header: dict[str, int], common: dict[str, object], padding: str) -> Layer:
    h, w, fh, fw, channels, filters = (cell(c) for c in _CONV.values())
    stride_h = cell(next(s for s in _STRIDES if s in header))
    stride_w = cell("stridewidth") if "stridewidth" in header else stride_h
    if (h, w, fh, fw) == (1, 1, 1, 1):
        return Linear(in_features=channels, out_features=filters, **common)
    pads = (0, 0)
    if padding == "same":
        pads = ((fh - 1) // 2, (fw - 1) // 2)
    elif fh <= h and fw <= w:  # grow the image to what the last window touches
        h, w = (-(-(size - f) // s) * s + f for size, f, s in ((h, fh, stride_h), (w, fw, stride_w)))
    return Conv(
        in_channels=channels, out_channels=filters, height=h, width=w, kernel=(fh, fw), stride=(stride_h, stride_w),
        padding=pads, **common,
    )  # fmt: skip
