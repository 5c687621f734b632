# SPDX-License-Identifier: Apache-2.0
"""Networks from files, by suffix."""
