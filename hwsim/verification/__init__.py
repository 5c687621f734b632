# SPDX-License-Identifier: Apache-2.0
"""RTL against the simulator: cases, comparison, coverage, arithmetic units."""
