# SPDX-License-Identifier: Apache-2.0
"""SAT, the N:M sparse-training accelerator: configuration, functional, clock and tile level, whole step, energy."""
