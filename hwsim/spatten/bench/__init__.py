# SPDX-License-Identifier: Apache-2.0
"""SpAtten's RTL beside the simulator: random cases of each block, traced queries through the core."""
