# SPDX-License-Identifier: Apache-2.0
"""RTL against the simulator: every bit and every cycle, on random cases, with Verilator."""
