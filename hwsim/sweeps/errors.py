# SPDX-License-Identifier: Apache-2.0
"""Why a sweep ends before its last point."""

from __future__ import annotations

from dataflow.errors import InputError


class SweepStopped(InputError):
    """A run of a sweep cannot go on.

    Attributes:
        kept: whether the points that were stored are still there; then the same command runs the rest only.
    """

    def __init__(self, reason: str, *, kept: bool = True) -> None:
        super().__init__(reason)
        self.kept = kept
