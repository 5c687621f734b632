# SPDX-License-Identifier: Apache-2.0
"""What the RTL costs: synthesis with Yosys, hierarchy kept, results kept by content."""
