# SPDX-License-Identifier: Apache-2.0
"""What kernels share."""

from __future__ import annotations

from typing import Any

from numba import carray, njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """An address as a pointer."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), code


def _unowned(a):  # type: ignore[no-untyped-def]
    return carray(_pointer(a.ctypes.data), a.shape, a.dtype)  # type: ignore[call-arg]


unowned = (lambda a: a) if config.DISABLE_JIT else njit(cache=True, inline="always")(_unowned)  # type: ignore[attr-defined]
"""A C-contiguous array's data as an array that is not reference counted; the array must outlive it.

Numba counts references atomically wherever an array is handed to a function, which is half of the time of a kernel that
is made of small ones.
"""
