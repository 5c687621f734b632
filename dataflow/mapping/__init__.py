# SPDX-License-Identifier: Apache-2.0
"""From layers to matrix products, tiles and a schedule."""
