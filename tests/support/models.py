# SPDX-License-Identifier: Apache-2.0
"""Models with real weights that a test needs."""

from __future__ import annotations

from algorithms.models.catalog import weights
from dataflow.errors import InputError
from tests.support.tools import lacks


def needed(name: str) -> None:
    """Skip (or fail, see `lacks`) where the weights of a model are not installed."""
    try:
        weights(name).path()
    except InputError as error:
        lacks(str(error))
