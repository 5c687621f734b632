# SPDX-License-Identifier: Apache-2.0
"""Area, access energy and leakage of SRAM macros at 45 nm, 1.1 V: power laws through points that CACTI gave.

The points are of the macros that come with OpenROAD's nangate45 platform (liberty files ``fakeram45_*``, made with
bsg_fakeram, which takes its figures from CACTI). One port, a whole word read or written. Words wider than `WIDEST` bits
are several macros side by side. Left out: a second port (our memories have one to read and one to write), redundancy.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

SOURCE = "OpenROAD flow scripts, platforms/nangate45/lib/fakeram45_*.lib (bsg_fakeram, CACTI; 45 nm, 1.1 V)"
WIDEST = 96


class Macro(NamedTuple):
    """A macro's figures."""

    words: int
    bits: int
    area_um2: float
    access_pj: float
    leakage_uw: float


POINTS = (
    Macro(64, 32, 1240.624, 0.795762, 81.6272),
    Macro(256, 96, 13701.660, 5.75655, 697.753),
    Macro(512, 64, 17301.438, 5.30043, 823.237),
    Macro(1024, 32, 16406.082, 3.5664, 797.666),
    Macro(2048, 39, 45478.818, 6.85519, 1876.6),
)


@cache
def _laws() -> dict[str, np.ndarray]:
    """Logarithms of factor and exponents: area and leakage of the number of bits, energy of a bit of the words."""
    bits = np.log([m.words * m.bits for m in POINTS])
    words = np.log([m.words for m in POINTS])
    ones = np.ones(len(POINTS))

    def fitted(x: np.ndarray, y: list[float]) -> np.ndarray:
        found: np.ndarray = np.linalg.lstsq(np.stack([ones, x], axis=1), np.log(y), rcond=None)[0]
        return found

    return {
        "area_um2": fitted(bits, [m.area_um2 for m in POINTS]),
        "leakage_uw": fitted(bits, [m.leakage_uw for m in POINTS]),
        "access_pj": fitted(words, [m.access_pj / m.bits for m in POINTS]),
    }


def macro(words: int, bits: int) -> Macro:
    """A memory of so many words: one macro, or several side by side; none of no bits."""
    if not words * bits:
        return Macro(words, bits, 0.0, 0.0, 0.0)
    pieces = -(-bits // WIDEST)
    laws = _laws()

    def law(name: str, x: float) -> float:
        factor, exponent = laws[name]
        return float(np.exp(factor) * x**exponent)

    size = words * bits / pieces
    return Macro(words, bits, pieces * law("area_um2", size), bits * law("access_pj", words),
                 pieces * law("leakage_uw", size))  # fmt: skip
