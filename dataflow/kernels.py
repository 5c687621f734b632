# SPDX-License-Identifier: Apache-2.0
"""Kernels: functions of numbers and arrays that Numba compiles, once for each type of arguments, and keeps on disk.

With ``NUMBA_DISABLE_JIT=1`` they are the plain Python functions that they are written as.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, ParamSpec, TypeVar, overload

import numba

P = ParamSpec("P")
R = TypeVar("R")


@overload
def kernel(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def kernel(*, inline: Literal["never", "always"] = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def kernel(
    function: Callable[P, R] | None = None, /, *, inline: Literal["never", "always"] = "never"
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function at its first call, as ``@kernel`` or ``@kernel(inline="always")``.

    Args:
        inline: "always" puts the function's statements where it is called, before types are known: for functions of a
            line or two in an inner loop.

    Returns:
        The function with its own signature.
    """

    def compiled(plain: Callable[P, R]) -> Callable[P, R]:
        found: Callable[P, R] = numba.njit(cache=True, inline=inline)(plain)
        return found

    return compiled if function is None else compiled(function)
