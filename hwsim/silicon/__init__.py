# SPDX-License-Identifier: Apache-2.0
"""Area and energy of RTL: Yosys' netlists, cells, SRAM, switching activity, technology scaling."""
