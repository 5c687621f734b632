# SPDX-License-Identifier: Apache-2.0
"""A sweep of a small network that every engine can run."""

from __future__ import annotations

from typing import Any

from hwsim.sweeps.space import Space
from hwsim.sweeps.spec import Spec

SMALL: dict[str, Any] = {
    "machine": "sat",
    "axes": {
        "machine.rows": {"from": 2, "to": 16, "powers_of": 2},
        "machine.cols": {"from": 2, "to": 16, "powers_of": 2},
        "pattern": ["dense", "2:4", "2:8", "1:64"],  # no machine here can hold the last one
    },
    "where": ["machine.rows * machine.cols <= 64"],
}


def space(network: str, **more: Any) -> Space:
    return Space(Spec.model_validate(SMALL | {"base": {"network": network, "batch": 4}} | more))
