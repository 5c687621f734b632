# SPDX-License-Identifier: Apache-2.0
"""Attention workloads: sizes, pruning settings, traces."""
