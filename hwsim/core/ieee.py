# SPDX-License-Identifier: Apache-2.0
"""IEEE 754 values as every machine's RTL has them: one canonical NaN, round to nearest even, subnormals kept."""

from __future__ import annotations

import numpy as np

CANONICAL_NAN32 = np.uint32(0x7FC00000)
CANONICAL_NAN16 = np.uint16(0x7E00)


def canonical(x: np.ndarray) -> np.ndarray:
    """``x`` (float32 or float16) with each NaN replaced by the canonical one, in place."""
    bits = CANONICAL_NAN32.view(np.float32) if x.dtype == np.float32 else CANONICAL_NAN16.view(np.float16)
    x[np.isnan(x)] = bits
    return x


def to_fp16(x: np.ndarray) -> np.ndarray:
    """float32 to float16, round to nearest even, subnormals kept, canonical NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return canonical(np.asarray(x, np.float32).astype(np.float16))
