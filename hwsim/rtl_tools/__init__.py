# SPDX-License-Identifier: Apache-2.0
"""Verilator and Yosys: finding them, building with them."""
