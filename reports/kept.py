# SPDX-License-Identifier: Apache-2.0
"""A part of the validation from the kept run of ``make reproduce``, which takes longer than all other parts "
"together."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd

from hwsim.core.validation import Check, Part

from .published import published

KEPT = Path(__file__).with_name("reproduction") / "study" / "claims.parquet"
UNITS = r"\b(?:area|power)\b.*?(%|$)|, (mm2|W|ms)\b"
"""Of a published figure's words: that it is an area, a power or a time, and its unit where it is said."""


def claims() -> Part:
    """Areas, powers and milliseconds that the page of claims has, ours beside the published figure."""
    told, checks = published(), []
    for row in pd.read_parquet(KEPT).to_dict("records"):
        figure = told.get(str(row["key"]))
        if figure is None or figure.value is None or row["against"] != row["key"] or math.isnan(row["value"]):
            continue
        if re.search(UNITS, figure.what):
            what, _, unit = figure.what.partition(" (")[0].rpartition(", ")
            checks.append(Check(what, float(row["value"]), figure.value, unit, figure.source, str(row["command"]),
                                str(row["why"])))  # fmt: skip
    return Part("Areas, powers and times of the papers", "Of the kept run of make reproduce, where each block is "
                                                         "listed; not "
                "computed again here.", tuple(checks))  # fmt: skip
