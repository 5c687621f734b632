# SPDX-License-Identifier: Apache-2.0
"""SAT's RTL beside the simulator: random cases of each block, traced steps through the core."""
