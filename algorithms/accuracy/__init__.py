# SPDX-License-Identifier: Apache-2.0
"""What pruning costs in quality."""
