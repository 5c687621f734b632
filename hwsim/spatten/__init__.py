# SPDX-License-Identifier: Apache-2.0
"""SpAtten: sparse attention with cascade pruning and progressive quantization."""
