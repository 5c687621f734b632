# SPDX-License-Identifier: Apache-2.0
"""hwsim: cycle-level models of accelerators for sparse training and sparse attention, and what is built on them.

The library's names are loaded at first use, so that ``import hwsim`` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim._moved import install as _answer_for_old_names
from hwsim.core.version import VERSION as __version__

if TYPE_CHECKING:
    from hwsim.api import (
        InputError,
        Machine,
        compare,
        load,
        machine,
        network,
        register_machine,
        simulate,
        sweep,
        verify,
        workload,
    )

__all__ = [
    "InputError",
    "Machine",
    "__version__",
    "compare",
    "load",
    "machine",
    "network",
    "register_machine",
    "simulate",
    "sweep",
    "verify",
    "workload",
]

_answer_for_old_names()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
    from hwsim.core.packages import hidden

    if problem := hidden():
        raise ImportError(problem)
    from hwsim import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
