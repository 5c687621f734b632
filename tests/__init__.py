# SPDX-License-Identifier: Apache-2.0
"""Tests: `unit` builds nothing, `model` is Python, `rtl` needs tools, `system` is the whole; helpers in `support`."""
