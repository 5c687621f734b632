# SPDX-License-Identifier: Apache-2.0
"""What is computed and how it is mapped: networks as shapes, N:M patterns, lowering, schedules, traces."""
