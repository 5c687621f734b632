# SPDX-License-Identifier: Apache-2.0
"""SpAtten's pruning of attention, attached to transformers without editing them."""
