# SPDX-License-Identifier: Apache-2.0
"""Why a sweep ends before its last point."""

from __future__ import annotations

from dataflow.errors import InputError


class SweepStopped(InputError):
    """A run of a sweep cannot go on.

    Attributes:
        stored: whether finished points are in the store; then the same command runs only the others.
    """

    def __init__(self, reason: str, *, stored: bool = True) -> None:
        super().__init__(reason)
        self.stored = stored
