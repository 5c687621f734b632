# SPDX-License-Identifier: Apache-2.0
"""Modules that were renamed: importing an old name is an error that says the new one.

``python -m hwsim.sweep.cluster`` ends with one line that names ``hwsim.sweeps.cluster``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

MOVED = {
    "hwsim.sweep": "hwsim.sweeps",
    "hwsim.verify": "hwsim.verification",
    "hwsim.synth": "hwsim.silicon",
    "hwsim.dram": "hwsim.memory",
}


class _Moved:
    """The last finder that is asked: for modules that nobody has."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        for old, new in MOVED.items():
            if name == old or name.startswith(old + "."):
                raise ModuleNotFoundError(f"{old} is now {new}", name=name)


def install() -> None:
    """Answer for old names in this process, once."""
    if not any(type(finder).__name__ == "_Moved" for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
