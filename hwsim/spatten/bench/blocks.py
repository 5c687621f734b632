# SPDX-License-Identifier: Apache-2.0
"""The blocks of SpAtten's RTL."""

from __future__ import annotations

from functools import partial

from hwsim.spatten.config import SpattenConfig
from hwsim.verification.case import Block
from hwsim.verification.units import fp32_div, fp32_to_int, int_to_fp32

from .attention import spatten_core, spatten_full
from .descriptors import EACH, head_check, query_check
from .exponential import fp32_exp
from .selection import importance_topk, prob_histogram, topk, topk_histogram, value_select, zero_eliminator
from .softmax import softmax

BLOCKS = {
    "fp32_div": Block(partial(fp32_div, latency=SpattenConfig().divide_cycles), 1000, 7000),
    "fp32_exp": Block(fp32_exp, 1000, 7000),
    "int_to_fp32": Block(int_to_fp32, 1000, 7000),
    "fp32_to_int": Block(fp32_to_int, 1000, 7000),
    "head_check": Block(head_check, EACH, 200),
    "query_check": Block(query_check, EACH, 200),
    "zero_eliminator": Block(zero_eliminator, 1, 50_000),
    "topk": Block(topk, 1, 50_000),
    "topk_histogram": Block(topk_histogram, 1, 50_000),
    "prob_histogram": Block(prob_histogram, 1, 20_000),
    "value_select": Block(value_select, 1, 10_000),
    "importance_topk": Block(importance_topk, 1, 10_000),
    "softmax": Block(softmax, 1, 10_000),
    "spatten_core": Block(spatten_core, 1, 2000),
    "spatten_full": Block(spatten_full, 1, 40),
}
