# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them: three digits and the unit that fits."""

from __future__ import annotations

_SMALL = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def _scaled(value: float, unit: str, prefixes: tuple[tuple[float, str], ...], digits: int) -> str:
    if not value:
        return f"0 {unit}"
    size = abs(value) * (1 + 0.5 * 10**-digits)  # what rounds up to 1000 has the next unit
    factor, prefix = next(((f, p) for f, p in prefixes if size >= f), prefixes[-1])
    scaled = value / factor
    if round(abs(scaled)) >= 10**digits:
        return f"{scaled:,.0f} {prefix}{unit}"
    return f"{scaled:#.{digits}g}".rstrip(".") + f" {prefix}{unit}"


def time_text(seconds: float, digits: int = 3) -> str:
    """17.4 -> "17.4 s", 2.5e-4 -> "250 us"."""
    return _scaled(seconds, "s", _SMALL, digits)


def energy_text(joules: float, digits: int = 3) -> str:
    """0.0123 -> "12.3 mJ"."""
    return _scaled(joules, "J", _SMALL, digits)


def bytes_text(count: float, digits: int = 3) -> str:
    """2.5e9 -> "2.50 GB" (decimal)."""
    return _scaled(count, "B", (*_LARGE, (1.0, "")), digits) if abs(count) >= 1000 else f"{count:,.0f} B"


def count_text(count: float, digits: int = 3) -> str:
    """1234567 -> "1.23 M"."""
    return _scaled(count, "", (*_LARGE, (1.0, "")), digits).strip() if abs(count) >= 1000 else f"{count:g}"
