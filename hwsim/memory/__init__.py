# SPDX-License-Identifier: Apache-2.0
"""DRAM: standards, controller, address mapping, energy; driven alone or by a machine."""
