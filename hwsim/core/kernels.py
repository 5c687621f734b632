# SPDX-License-Identifier: Apache-2.0
"""What kernels share; `kernel` itself is `dataflow.kernels`'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core import config
from numba.core.cgutils import create_struct_proxy
from numba.extending import intrinsic

from dataflow.kernels import kernel

__all__ = ["kernel", "without_refcount"]


@intrinsic
def _without_owner(typing: Any, array: Any) -> Any:
    """The same array, with nothing to count references of."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = create_struct_proxy(array)(context, builder, value=arguments[0])
        view.meminfo = view.meminfo.type(None)
        view.parent = view.parent.type(None)
        return view._getvalue()

    return array(array), code


if TYPE_CHECKING or config.DISABLE_JIT:

    def without_refcount(array: np.ndarray) -> np.ndarray:
        """An array's data as an array that is not reference counted, in a kernel; the array must outlive it.

        Numba counts references atomically wherever an array is handed to a function, which is half of the time of a
        kernel that is made of small ones.
        """
        return array

else:
    without_refcount = _without_owner
