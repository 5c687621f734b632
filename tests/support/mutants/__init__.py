# SPDX-License-Identifier: Apache-2.0
"""Generated faults of the RTL, and how many of them the benches notice (`make mutants`)."""
