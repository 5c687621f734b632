# SPDX-License-Identifier: Apache-2.0
"""hwsim: cycle-level models of sparse-training and sparse-attention accelerators."""

__version__ = "0.1.0"
