# SPDX-License-Identifier: Apache-2.0
"""DRAM, command by command, for both machines."""
