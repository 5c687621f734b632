# SPDX-License-Identifier: Apache-2.0
"""What kernels share; `kernel` itself is `dataflow.kernels`'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from numba.core import config, types
from numba.core.cgutils import create_struct_proxy, true_bit
from numba.extending import intrinsic

from dataflow.kernels import kernel

__all__ = ["first_bit", "kernel", "without_refcount"]

T = TypeVar("T")


def _strip(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """A value of Numba type ``kind`` without owners."""
    if isinstance(kind, types.Array):
        view = create_struct_proxy(kind)(context, builder, value=value)
        view.meminfo = view.meminfo.type(None)
        view.parent = view.parent.type(None)
        return view._getvalue()
    elif isinstance(kind, types.BaseTuple):
        parts: Any = kind
        for i in range(len(parts)):
            part = _strip(context, builder, parts[i], builder.extract_value(value, i))
            value = builder.insert_value(value, part, i)
    return value


@intrinsic
def _without_owner(typing: Any, of: Any) -> Any:
    """The same arrays, with nothing to count references of."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _strip(context, builder, of, arguments[0])

    return of(of), code


@intrinsic
def _trailing_zeros(typing: Any, of: Any) -> Any:
    """One instruction, where Numba has no function for it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], true_bit)

    return of(of), code


if TYPE_CHECKING or config.DISABLE_JIT:

    def first_bit(mask: int) -> int:
        """The place of the lowest one of a mask that is not 0, in a kernel."""
        return (int(mask) & -int(mask)).bit_length() - 1

    def without_refcount(of: T) -> T:
        """An array, or a tuple of them, with nothing to count references of, in a kernel; the data must outlive it.

        Numba counts references atomically wherever an array is handed to a function, which is half of the time of a
        kernel that is made of small ones.
        """
        return of

else:
    first_bit = _trailing_zeros
    without_refcount = _without_owner
