# SPDX-License-Identifier: Apache-2.0
"""Figures of one technology node taken to another: assumptions, each with its source.

Logic area and switching energy: A. Stillmaker, B. Baas, "Scaling equations for the accurate prediction of CMOS device
performance from 180 nm to 7 nm", Integration 58 (2017): its table of area ratios, and its polynomials of energy in the
supply voltage. Nodes between theirs (40, 28 nm) are interpolated in the logarithm of the node and of the figure.
Supply voltages are the nodes' usual ones (ours). Memory is scaled as logic is; leakage keeps its share of the energy
(no source; it is small at 45 nm). DRAM is not scaled.
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
    130: (7.171, -6.709, 2.904), 90: (4.762, -4.781, 2.092), 65: (3.755, -4.398, 1.975), 45: (1.103, -0.362, 0.2767),
    32: (0.9559, -0.7823, 0.471), 20: (0.373, -0.1582, 0.04104), 16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239), 10: (0.2068, -0.09311, 0.02375), 7: (0.1776, -0.09097, 0.02447),
}  # fmt: skip
"""Energy polynomial of a node: coefficients of V^2, V and 1."""


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


def energy_factor(node: int) -> float:
    """Switching energy at a node and its supply over that at 45 nm and 1.1 V."""
    v = _between(SUPPLY, node)

    def at(voltage: float, coefficients: tuple[float, float, float]) -> float:
        a, b, c = coefficients
        return a * voltage**2 + b * voltage + c

    found = {n: at(v, c) for n, c in _ENERGY.items()}
    return _between(found, node) / at(SUPPLY[45], _ENERGY[45])
