# SPDX-License-Identifier: Apache-2.0
"""The blocks of SAT's RTL."""

from __future__ import annotations

from hwsim.verification.case import Block
from hwsim.verification.units import fp16_mul, fp16_to_fp32, fp32_add, fp32_mul, fp32_to_fp16, int8_mul

from .array import stce, stce_32x32
from .commands import EACH, sat_check
from .core import sat_core
from .engines import sore, wuve
from .masked import stce_masked

BLOCKS = {
    "fp16_mul": Block(fp16_mul, 1000, 7000),
    "fp32_add": Block(fp32_add, 1000, 7000),
    "fp32_mul": Block(fp32_mul, 1000, 7000),
    "fp16_to_fp32": Block(fp16_to_fp32, 0, 7000),
    "fp32_to_fp16": Block(fp32_to_fp16, 1000, 7000),
    "int8_mul": Block(int8_mul, 0, 7000),
    "sore": Block(sore, 1, 7000),
    "wuve": Block(wuve, 1, 7000),
    "stce": Block(stce, 1, 7000),
    "stce_masked": Block(stce_masked, 1, 7000),
    "stce_32x32": Block(stce_32x32, 0, 7000),
    "sat_check": Block(sat_check, EACH, 200),
    "sat_core": Block(sat_core, 1, 7000),
}
