# SPDX-License-Identifier: Apache-2.0
"""GPUs as they are measured: times of dense and 2:4 products on cards, from a model with fitted numbers."""
