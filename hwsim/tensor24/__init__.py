# SPDX-License-Identifier: Apache-2.0
"""A GPU's tensor cores with 2:4 weights: dense tiles, half the cycles where the weights are 2:4."""
