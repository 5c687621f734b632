# SPDX-License-Identifier: Apache-2.0
"""Which elements of which parameters a tensor holds, and which of them earlier layers had already.

A parameter is its storage. A view of it holds the elements that its offset and strides reach. What operations make of
parameters alone (casts, copies, pieces put together, element-wise functions such as a mask or a norm) holds their
elements in another order; where that is needed, the operations are done again on the elements' numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from dataflow.errors import InputError

from .trace import Call, Ref, Trace

MOST = 1 << 31
"""Elements of a parameter of which parts can be told apart."""
INDEXED = frozenset({"aten.index", "aten.index_select", "aten.gather", "aten.take"})
NOTHING = -1
"""In the place of a parameter's element: a constant."""


@dataclass(frozen=True, slots=True)
class Made:
    """A storage that was made of parameters: by ``call``, whose result ``out`` is; ``like``: the operand whose elements
    it has one by one (None: the operation moves elements)."""

    call: Call
    out: int
    like: int | None = None


class _UnknownError(Exception):
    """Which elements lie where depends on values that are not known."""


@dataclass
class Elements:
    """The parameters' elements in the tensors of a trace."""

    trace: Trace
    made: dict[int, Made] = field(default_factory=dict)
    """By storage."""
    poured: dict[int, set[int]] = field(default_factory=dict)
    """Storages that hold elements of parameters in places that are not known -> tensors that they come from."""
    constants: dict[int, tuple[Call, int]] = field(default_factory=dict)
    """Storages of constants that an operation makes, and its result's number."""
    _used: dict[int, Tensor | None] = field(default_factory=dict)
    """Elements of a parameter that layers have had, bool [elements]; None: all of them."""
    _sizes: dict[int, int] = field(default_factory=dict)

    def has(self, number: int) -> bool:
        """Whether a tensor is made of parameters."""
        storage = self.trace.storages[number]
        return storage in self.trace.parameters or storage in self.made or storage in self.poured

    def pour(self, storage: int, sources: Iterable[int]) -> None:
        """A storage holds elements of these tensors, in places that are not known."""
        self.poured.setdefault(storage, set()).update(n for n in sources if self.trace.storages[n] != storage)

    def take(self, number: int) -> tuple[int, int]:
        """A layer uses the tensor as its weights: how many elements of parameters it holds, and how many of them no
        earlier layer had."""
        whole = self.whole(number)
        if whole is not None:
            return sum(map(self._size, whole)), sum(self._take_all(s) for s in whole)
        if self.trace.storages[number] in self.trace.parameters:
            places = _places(self.trace.tensors[number])
            return places.numel(), self._take_some(self.trace.storages[number], places)
        try:
            ids = self._ids(number).flatten().unique()
        except _UnknownError:
            bases = self._bases(number)
            most = min(self.trace.tensors[number].numel(), sum(map(self._size, bases)))
            return most, min(most, sum(self._take_all(s) for s in bases))
        held = new = 0
        ids = ids[ids != NOTHING]
        for i in (ids >> 40).unique().tolist():
            mine = ids[(ids >> 40) == i] & ((1 << 40) - 1)
            held, new = held + len(mine), new + self._take_some(self._order()[i], mine)
        return held, new

    def whole(self, number: int) -> frozenset[int] | None:
        """The parameters that a tensor holds every element of just once; None: it is otherwise, or not known."""
        x, storage = self.trace.tensors[number], self.trace.storages[number]
        if storage in self.trace.parameters:
            return frozenset({storage}) if x.numel() == self._size(storage) and _dense(x) else None
        made = self.made.get(storage)
        if (
            made is None
            or storage in self.poured
            or _indexed(made.call)
            or not _dense(x)
            or x.numel() != self.trace.tensors[made.out].numel()
        ):
            return None
        parts = [made.like] if made.like is not None else [r.number for r in made.call.inputs]
        found: frozenset[int] = frozenset()
        for part in parts:
            piece = self.whole(part) if self.has(part) else None
            if piece is None or piece & found:
                return None
            found |= piece
        return found if x.numel() == sum(map(self._size, found)) else None

    def _size(self, storage: int) -> int:
        """Elements of a storage."""
        if storage not in self._sizes:
            for x, s in zip(self.trace.tensors, self.trace.storages, strict=True):
                if s in self.trace.parameters or s in self.made or s in self.constants:
                    self._sizes.setdefault(s, x.untyped_storage().nbytes() // max(x.element_size(), 1))
        return self._sizes[storage]

    def _order(self) -> list[int]:
        return sorted(self.trace.parameters)

    def _bases(self, number: int) -> frozenset[int]:
        """Parameters that a tensor is made of."""
        storage = self.trace.storages[number]
        if storage in self.trace.parameters:
            return frozenset({storage})
        inputs = set(self.poured.get(storage, ()))
        if storage in self.made:
            inputs |= {r.number for r in self.made[storage].call.inputs if self.has(r.number)}
        return frozenset().union(*(self._bases(n) for n in inputs))

    def _take_all(self, storage: int) -> int:
        used = self._used.get(storage, ...)
        self._used[storage] = None
        if used is ...:
            return self._size(storage)
        return 0 if used is None else int((~used).sum())

    def _take_some(self, storage: int, places: Tensor) -> int:
        self._check_size(storage)
        used = self._used.setdefault(storage, torch.zeros(self._size(storage), dtype=torch.bool))
        if used is None:
            return 0
        new = int((~used[places]).sum())
        used[places] = True
        return new

    def _check_size(self, storage: int) -> None:
        if self._size(storage) > MOST:
            raise InputError(f"parts of a parameter of {self._size(storage):,} elements: {MOST:,} can be told apart")

    def _ids(self, number: int) -> Tensor:
        """Numbers of a tensor's elements: the parameter's above bit 40, the place in it below; or `NOTHING`."""
        x, storage = self.trace.tensors[number], self.trace.storages[number]
        if storage in self.trace.parameters:
            self._check_size(storage)
            base = self._order().index(storage) << 40
            flat = torch.arange(base, base + self._size(storage))
        elif storage in self.poured:
            raise _UnknownError
        elif storage in self.made:
            made = self.made[storage]
            out = self.trace.tensors[made.out]
            found = self._replayed(made)
            flat = torch.full((self._size(storage),), NOTHING)
            torch.as_strided(flat, out.shape, out.stride(), out.storage_offset()).copy_(found)
        else:
            return torch.full(x.shape, NOTHING)
        return torch.as_strided(flat, x.shape, x.stride(), x.storage_offset())

    def _replayed(self, made: Made) -> Tensor:
        if made.like is not None:
            return self._ids(made.like).expand(self.trace.tensors[made.out].shape)
        first = made.call.inputs[0]

        def given(a: Any) -> Any:
            if not isinstance(a, Ref):
                return a
            return self._constant(a.number) if _indexed(made.call) and a != first else self._ids(a.number)

        return self._again(made.call, given)

    def _again(self, call: Call, given: Callable[[Any], Any]) -> Tensor:
        """An operation done again on other tensors."""
        args, kwargs = tree_map(given, (call.args, call.kwargs))
        kwargs = {k: v for k, v in kwargs.items() if k not in ("dtype", "layout", "device", "pin_memory")}
        result: Tensor = call.func(*args, **kwargs)
        return result

    def _constant(self, number: int) -> Tensor:
        """The values of a constant, as indices are.

        Raises:
            _UnknownError: they are not known.
        """
        x, storage = self.trace.tensors[number], self.trace.storages[number]
        if storage in self.trace.real:
            flat = self.trace.real[storage]
        elif storage in self.constants:
            call, made = self.constants[storage]
            out = self.trace.tensors[made]
            flat = torch.zeros(self._size(storage), dtype=out.dtype)
            found = self._again(call, lambda a: self._constant(a.number) if isinstance(a, Ref) else a)
            torch.as_strided(flat, out.shape, out.stride(), out.storage_offset()).copy_(found)
        else:
            raise _UnknownError
        return torch.as_strided(flat, x.shape, x.stride(), x.storage_offset())


def _indexed(call: Call) -> bool:
    """Whether an operation's tensors besides the first are indices."""
    return call.op in INDEXED


def _dense(x: Tensor) -> bool:
    """Whether a tensor's elements lie one behind the other, each in a place of its own."""
    step = 1
    for stride, size in sorted((st, n) for n, st in zip(x.shape, x.stride(), strict=True) if n > 1):
        if stride != step:
            return False
        step *= size
    return True


def _places(x: Tensor) -> Tensor:
    """Distinct places in its storage that a view reaches, int64."""
    dims = sorted((st, n) for n, st in zip(x.shape, x.stride(), strict=True) if n > 1 and st)
    places, reach, apart = torch.tensor([x.storage_offset()]), 0, True
    for stride, size in dims:
        apart &= stride > reach
        reach += stride * (size - 1)
        places = (places[:, None] + torch.arange(size) * stride).flatten()
    return places if apart else places.unique()
