# SPDX-License-Identifier: Apache-2.0
"""Hypothesis: same cases on every run, no deadline (the first call of a kernel compiles it)."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest runs a process a core

from hypothesis import settings

settings.register_profile("hwsim", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("hwsim")
