# SPDX-License-Identifier: Apache-2.0
"""How many cases of each block `make test-rtl` runs, and from which seed."""

SEED = 2
CASES = {"sore": 1000, "wuve": 1000, "stce": 1000, "stce_masked": 500, "stce_32x32": 4, "sat_check": 160,
         "sat_core": 1000, "head_check": 100, "query_check": 100,
         "zero_eliminator": 5000, "topk": 5000, "topk_histogram": 5000, "prob_histogram": 1000, "value_select": 1000,
         "importance_topk": 1000, "softmax": 1000, "spatten_core": 240, "spatten_full": 4}  # fmt: skip
"""Random cases of each block; 400 of the others. A case of an arithmetic unit is a thousand operands, one of the three
checks a hundred commands or descriptors."""
