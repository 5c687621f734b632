# SPDX-License-Identifier: Apache-2.0
"""Kernels: functions of numbers and arrays that Numba compiles, once for each type of arguments, and keeps on disk.

With ``NUMBA_DISABLE_JIT=1`` they are the plain Python functions that they are written as. A process that finds nothing
on disk and has to compile says so on stderr, once. Where there is no place on disk, as in a read-only installation of a
user without a home, every process compiles.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, overload

import numba
from numba.core import event, types
from numba.core.dispatcher import Dispatcher

P = ParamSpec("P")
R = TypeVar("R")


_kernels: set[Any] = set()


class _FirstUse(event.Listener):
    """Says it when a kernel is compiled; Numba tells of it only after it found nothing on disk."""

    said = False

    def on_start(self, found: Any) -> None:
        # of the worker processes of a sweep, which all compile at the same time, the first one speaks
        speaks = multiprocessing.current_process().name in ("MainProcess", "SpawnProcess-1")
        if speaks and not self.said and found.data["dispatcher"] in _kernels:
            self.said = True
            dispatcher = found.data["dispatcher"]
            kept = "for a first use: up to 20 s; later runs find them on disk"
            if _file_of(dispatcher) is None:
                kept = "in every run: no folder to keep them can be written; name one in NUMBA_CACHE_DIR"
            sys.stderr.write(f"hwsim: compiling kernels ({dispatcher.__name__.strip('_')}, ...) {kept}\n")
            sys.stderr.flush()

    def on_end(self, found: Any) -> None:
        pass


event.register("numba:compile", _FirstUse())


def _file_of(dispatcher: Any) -> Any:
    """Numba's file of a compiled kernel; None where there is no place on disk."""
    return getattr(dispatcher._cache, "_cache_file", None)


def _any_constant(dispatcher: Any) -> None:
    """Let calls from kernels with different constants share one compiled function, as calls from Python do."""
    resolve = dispatcher.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        return resolve([types.unliteral(a) for a in args], {name: types.unliteral(a) for name, a in kws.items()})

    dispatcher.get_call_template = get_call_template


def _old_cache_is_no_cache(dispatcher: Any) -> None:
    """Compile anew where the index on disk cannot be read, as after a class in a kernel's arguments has got another
    name; Numba would end with the error."""
    file = _file_of(dispatcher)
    if file is None:
        return
    read = file._load_index

    def load_index() -> Any:
        try:
            return read()
        except (AttributeError, ImportError, pickle.UnpicklingError, EOFError):
            return {}

    file._load_index = load_index


def _stamp_of_callees(dispatcher: Any) -> None:
    """Compile anew also where the file of a kernel that this one calls has changed: its code is part of this one's on
    disk, and Numba looks at this one's file alone."""
    plain, file = dispatcher.py_func, _file_of(dispatcher)
    if file is None:
        return
    stamps = {file._source_stamp}
    for name in plain.__code__.co_names:
        called = plain.__globals__.get(name)
        if isinstance(called, Dispatcher) and called in _kernels:
            callee = _file_of(called)
            stamps |= callee._source_stamp if callee is not None else frozenset()
    file._source_stamp = frozenset(stamps)


@overload
def kernel(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def kernel(
    *, inline: Literal["never", "always", "late"] = ..., inner: bool = ...
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def kernel(
    function: Callable[P, R] | None = None,
    /,
    *,
    inline: Literal["never", "always", "late"] = "never",
    inner: bool = False,
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function at its first call, as ``@kernel`` or ``@kernel(inline="always")``.

    Args:
        inline: "always" puts the function's statements where it is called, before types are known: for functions of a
            line or two in an inner loop. "late" compiles the function and puts its machine code where it is called: for
            longer ones, or ones called in many places, which "always" compiles again for each.
        inner: only other kernels call it: no entry from Python is compiled.

    Returns:
        The function with its own signature.
    """

    def compiled(plain: Callable[P, R]) -> Callable[P, R]:
        options: dict[str, Any] = {
            "cache": True,
            "inline": "always" if inline == "always" else "never",
            "forceinline": inline == "late",
            "no_cfunc_wrapper": True,
            "no_cpython_wrapper": inner,
        }
        try:
            found: Any = numba.njit(**options)(plain)
        except RuntimeError:  # no place for its file; what else could be wrong is so without one too
            found = numba.njit(**options | {"cache": False})(plain)
        if isinstance(found, Dispatcher):
            _any_constant(found)
            _old_cache_is_no_cache(found)
            _stamp_of_callees(found)
            _kernels.add(found)
        result: Callable[P, R] = found
        return result

    return compiled if function is None else compiled(function)
