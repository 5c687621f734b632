# SPDX-License-Identifier: Apache-2.0
"""Figures of one technology node taken to another: assumptions, each with its source.

Logic area and switching energy: A. Stillmaker, B. Baas, "Scaling equations for the accurate prediction of CMOS device
performance from 180 nm to 7 nm", Integration 58 (2017): its table of area ratios, and its polynomials of energy in the
supply voltage, as wromaszkan/nodeScale (commit 0676b74, MIT) restates them; two of them also stand in the authors'
corrected example (`EXAMPLE`). Below 65 nm the source has transistors for high performance and for low power: the first
throughout, which is an assumption (low power throughout: 0.035 from 45 to 7 nm, not 0.046). So are the supply
voltages, the nodes' usual ones. Nodes between theirs (40, 28 nm) are interpolated in the logarithm of the node and of
the figure. Figures that were published at another voltage than a node's usual one (our table of energies: 45 nm, 0.9 V)
are scaled as if they were at it. Memory is scaled as logic is; leakage keeps its share of the energy (no source; it is
small at 45 nm). DRAM is not scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log

SOURCE = "A. Stillmaker, B. Baas, Integration, the VLSI Journal 58 (2017), 74-81"
NODES = (130, 90, 65, 45, 40, 32, 28, 20, 16, 14, 10, 7)
"""Technology nodes that figures can be scaled to, nm."""
SUPPLY = {130: 1.3, 90: 1.2, 65: 1.1, 45: 1.1, 32: 1.0, 20: 0.9, 16: 0.8, 14: 0.8, 10: 0.75, 7: 0.7}
"""Supply voltage of a node, V (our choice: usual for its products)."""
_AREA = {130: 6.4, 90: 2.8, 65: 1.5, 45: 1.0, 32: 0.46, 20: 0.21, 16: 0.19, 14: 0.17, 10: 0.1, 7: 0.059}
"""Of the same logic, 45 nm = 1. The row of 45 nm in their table."""
_ENERGY = {
    130: (7.171, -6.709, 2.904), 90: (4.762, -4.781, 2.092), 65: (3.755, -4.398, 1.975), 45: (1.018, -0.3107, 0.1539),
    32: (0.8367, -0.4341, 0.1701), 20: (0.373, -0.1582, 0.04104), 16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239), 10: (0.2068, -0.09311, 0.02375), 7: (0.1776, -0.09097, 0.02447),
}  # fmt: skip
"""Energy polynomial of a node: coefficients of V^2, V and 1; below 65 nm of high-performance transistors."""
EXAMPLE = ((65, 1.3), (32, 0.9), 0.1755)
"""The authors' own: from a node and voltage, V, to another, and the factor of energy (corrigendum of their section
4.2.1, on the page of the paper at the first author's university)."""


def _between(table: Mapping[int, float], node: float) -> float:
    known = sorted(table)
    if node in table:
        return table[int(node)]
    low = max(n for n in known if n < node)
    high = min(n for n in known if n > node)
    share = (log(node) - log(low)) / (log(high) - log(low))
    return exp(log(table[low]) + share * (log(table[high]) - log(table[low])))


def area_factor(node: int) -> float:
    """Area at a node over the area at 45 nm."""
    return _between(_AREA, node)


def switching(node: float, volts: float) -> float:
    """The source's energy of a switching at a node and supply voltage; only ratios of it mean something."""
    return _between({n: a * volts**2 + b * volts + c for n, (a, b, c) in _ENERGY.items()}, node)


def energy_factor(node: int) -> float:
    """Switching energy at a node and its supply over that at 45 nm and 1.1 V."""
    return switching(node, _between(SUPPLY, node)) / switching(45, SUPPLY[45])
