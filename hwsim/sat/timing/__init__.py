# SPDX-License-Identifier: Apache-2.0
"""SAT's levels: functional, clock, tile; and a training step made of jobs."""
