# SPDX-License-Identifier: Apache-2.0
"""Files as accidents leave them: bytes changed, lost, added, doubled, and the end cut off."""

from __future__ import annotations

import numpy as np

_TOKENS = (
    b"-1",
    b"0",
    b"1e400",
    b"nan",
    b"\xff\xfe",
    b"\x00",
    b'"',
    b"{",
    b"[",
    b": ",
    b"\n",
    b",",
    b"99999999999999999999",
)


def mutated(rng: np.random.Generator, whole: bytes) -> bytes:
    """One to five accidents."""
    data = bytearray(whole)
    for _ in range(int(rng.integers(1, 6))):
        kind, at = rng.integers(6), int(rng.integers(max(len(data), 1)))
        if kind == 0 and data:
            data[at % len(data)] = int(rng.integers(256))
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 20))]
        elif kind == 2:
            data[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 8))).tolist())
        elif kind == 3:
            data[at:at] = _TOKENS[int(rng.integers(len(_TOKENS)))]
        elif kind == 4:
            data[at:at] = data[at : at + int(rng.integers(1, 60))]
        else:
            data = data[: max(at, 1)]
    return bytes(data)
