# SPDX-License-Identifier: Apache-2.0
"""Exact sums of products of two binary16 numbers, rounded once: ``accumulate: exact``.

A product is a multiple of 2^-48 below 2^32, so an integer of 105 bits holds 2^24 of them, whatever they are; their
order does not matter. What is rounded, to nearest even, is the whole sum, to binary32: always a normal number or +0. A
NaN, an infinity times zero, or both infinities among the products give NaN; one infinity gives that infinity.

Twice, so that one is held against the other: the functional level (`exact_sums`) adds integers of two words; the
clock level (`product`, `added`, `rounded`) carries a sum through its registers as a complex number, the real part a
multiple of 16, the imaginary part at most 8 in magnitude, both without any rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from hwsim.core.kernels import kernel

_SIXTEENS = 1.5 * 2.0**56
"""Added and taken away again, it rounds a float64 to a multiple of 16."""


def _product(like: Any, x: Any, w: Any) -> Any:
    return np.float32(x * w)


def _exact_product(like: Any, x: Any, w: Any) -> Any:
    whole = np.float64(x) * np.float64(w)
    if not np.isfinite(whole):
        return complex(whole, 0.0)
    high = (whole + _SIXTEENS) - _SIXTEENS
    return complex(high, whole - high)


def product(like: Any, x: Any, w: Any) -> Any:
    """``x w`` of float32 values that are binary16 numbers, in the form of a sum ``like``: float32, or exact."""
    return _exact_product(like, x, w) if isinstance(like, complex) else _product(like, x, w)


def _added(a: Any, b: Any) -> Any:
    return np.float32(a + b)


def _exact_added(a: Any, b: Any) -> Any:
    low = a.imag + b.imag
    carry = (low + _SIXTEENS) - _SIXTEENS
    return complex(a.real + b.real + carry, low - carry)


def added(a: Any, b: Any) -> Any:
    """Sum of two float32 numbers, or of two exact sums."""
    return _exact_added(a, b) if isinstance(a, complex) else _added(a, b)


@overload(product)
def _product_of(like: Any, x: Any, w: Any) -> Any:
    return _exact_product if isinstance(like, types.Complex) else _product


@overload(added)
def _added_of(a: Any, b: Any) -> Any:
    return _exact_added if isinstance(a, types.Complex) else _added


def rounded(sums: np.ndarray) -> np.ndarray:
    """float32 of exact sums (complex128), round to nearest even: first to an odd float64, so that the second rounding
    sees what the first one lost (Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008)."""
    with np.errstate(invalid="ignore"):
        high, low = sums.real, sums.imag
        near = high + low
        part = near - high
        lost = (high - (near - part)) + (low - part)
        bits = np.ascontiguousarray(near).view(np.int64)
        step = np.where((lost > 0) == (near > 0), 1, -1)
        odd = np.where(np.isfinite(near) & (lost != 0) & (bits & 1 == 0), bits + step, bits)
        found: np.ndarray = odd.view(np.float64).astype(np.float32)
    return found


_WORD = 60
"""Bits of a sum's lower word; a product takes 80."""
_MASK = (1 << _WORD) - 1


@kernel
def exact_sums(x: np.ndarray, w: np.ndarray, position: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out``, float32[a, b], with the sums over s of ``x[a, position[s, b]] w[s, b]``, rounded once.

    Args:
        x, w: uint16 bits of binary16 numbers, [a, k] and [s, b].
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            high, low = np.int64(0), np.int64(0)
            nan, plus, minus = False, False, False
            for s in range(w.shape[0]):
                p, q = np.int64(x[i, position[s, j]]), np.int64(w[s, j])
                p_exp, q_exp = (p >> 10) & 31, (q >> 10) & 31
                negative = ((p ^ q) >> 15) & 1 == 1
                if p_exp == 31 or q_exp == 31:
                    wrong = (p_exp == 31 and p & 1023 != 0) or (q_exp == 31 and q & 1023 != 0)
                    if wrong or p & 0x7FFF == 0 or q & 0x7FFF == 0:
                        nan = True
                    elif negative:
                        minus = True
                    else:
                        plus = True
                    continue
                significand = ((p & 1023) | (1024 if p_exp else 0)) * ((q & 1023) | (1024 if q_exp else 0))
                place = p_exp + q_exp - (1 if p_exp else 0) - (1 if q_exp else 0)  # significand * 2^(place - 48)
                if place <= _WORD - 22:
                    term_high, term_low = np.int64(0), significand << place
                else:
                    term_high = significand >> (_WORD - place)
                    term_low = (significand & ((np.int64(1) << (_WORD - place)) - 1)) << place
                if negative:
                    term_high, term_low = -term_high, -term_low
                low += term_low
                high += term_high + (low >> _WORD)
                low &= _MASK
            if nan or (plus and minus):
                out[i, j] = np.nan
            elif plus or minus:
                out[i, j] = np.inf if plus else -np.inf
            else:
                out[i, j] = _nearest(high, low)  # type: ignore[arg-type]  # int64


@kernel(inner=True)
def _nearest(high: int, low: int) -> float:
    """The binary32 number nearest to (high 2^60 + low) 2^-48, ties to even; low is not negative."""
    sign = 1.0
    if high < 0:
        sign = -1.0
        high, low = (-high, low) if low == 0 else (-high - 1, (1 << _WORD) - low)
    top = 0
    while (high >> top if top < 62 else 0) != 0:
        top += 1
    if top:
        top += _WORD
    else:
        while low >> top != 0:
            top += 1
    shift = top - 24  # bits below the significand
    if shift <= 0:
        return sign * low * 2.0**-48
    if shift >= _WORD:
        kept = high >> (shift - _WORD)
    else:
        kept = high << (_WORD - shift) | low >> shift
    half = shift - 1
    if half >= _WORD:
        guard = (high >> (half - _WORD)) & 1
        rest = low != 0 or high & ((1 << (half - _WORD)) - 1) != 0
    else:
        guard = (low >> half) & 1
        rest = low & ((1 << half) - 1) != 0
    if guard and (rest or kept & 1):
        kept += 1
    return sign * kept * 2.0 ** (shift - 48)
