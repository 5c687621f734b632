# SPDX-License-Identifier: Apache-2.0
"""The training method ``masked`` in torch: there is nothing to choose in a step, so it converts no layer."""

from __future__ import annotations

from algorithms.training.nm_training import NMRule
from dataflow.errors import InputError


class HeldMask(NMRule):
    """Refuses to choose masks while a model trains: they were chosen before, and `Masks.held` keeps them."""

    def __post_init__(self) -> None:
        raise InputError(
            f"method {self.method}: its masks are those of a model that was pruned before (hwsim prune); "
            "algorithms.pruning.mask.Masks.held keeps them through an optimizer's steps"
        )
