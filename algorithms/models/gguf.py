# SPDX-License-Identifier: Apache-2.0
"""GGUF files, the container of llama.cpp: facts by key, and tensors, some of them quantized in blocks of 32.

Layout (version 3, little endian): magic, version, number of tensors and of facts; the facts (key, type, value); a
tensor's name, sizes (innermost first), type and offset; padding; the data. Read here: float32, float16, Q8_0 (a scale
and 32 bytes: w = d q) and Q4_1 (a scale, a minimum and 32 half bytes, the low halves first: w = d q + m).
Source: the format's specification in ggml's documents, ``docs/gguf.md``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataflow.errors import InputError

BLOCK = 32
_SCALARS = {0: "B", 1: "b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9


def _q8_0(raw: np.ndarray) -> np.ndarray:
    blocks = raw.reshape(-1, 2 + BLOCK)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    out: np.ndarray = scale * blocks[:, 2:].view(np.int8)
    return out


def _q4_1(raw: np.ndarray) -> np.ndarray:
    blocks = raw.reshape(-1, 4 + BLOCK // 2)
    scale, least = (blocks[:, i : i + 2].copy().view(np.float16).astype(np.float32) for i in (0, 2))
    halves = blocks[:, 4:]
    out: np.ndarray = scale * np.concatenate([halves & 15, halves >> 4], axis=1) + least
    return out


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    block: int
    """Elements of a block."""
    size: int
    """Bytes of a block."""
    read: Callable[[np.ndarray], np.ndarray]


_KINDS = {
    0: _Kind("F32", 1, 4, lambda raw: raw.view(np.float32)),
    1: _Kind("F16", 1, 2, lambda raw: raw.view(np.float16).astype(np.float32)),
    3: _Kind("Q4_1", BLOCK, 4 + BLOCK // 2, _q4_1),
    8: _Kind("Q8_0", BLOCK, 2 + BLOCK, _q8_0),
}


class Gguf:
    """An opened file.

    Attributes:
        facts: the file's key-value pairs.
        kinds: by tensor, how it is stored.

    Raises:
        InputError: no GGUF file of version 3, one that is cut off, or a type of data that is not read here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._data = np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        self._at = 0
        try:
            self._head()
        except (struct.error, UnicodeDecodeError, IndexError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: truncated or damaged GGUF file") from None

    def _head(self) -> None:
        if bytes(self._data[:4]) != b"GGUF":
            raise InputError(f"{self.path}: no GGUF file")
        self._at = 4
        if (version := self._scalar(4)) != 3:
            raise InputError(f"{self.path}: GGUF version {version}: only 3 is read")
        tensors, facts = self._scalar(10), self._scalar(10)
        self.facts: dict[str, Any] = {}
        for _ in range(facts):
            key = self._text()
            self.facts[key] = self._value(self._scalar(4))
        places: dict[str, tuple[tuple[int, ...], int, int]] = {}
        for _ in range(tensors):
            name = self._text()
            sizes = [self._scalar(10) for _ in range(self._scalar(4))]
            places[name] = (tuple(reversed(sizes)), self._scalar(4), self._scalar(10))
        align = int(self.facts.get("general.alignment", 32))
        self._start = -(-self._at // align) * align
        self._places = places
        for name, (_, kind, _) in places.items():
            if kind not in _KINDS:
                raise InputError(f"{self.path}: tensor {name}: data type {kind} is not read here")
        self.kinds = {name: _KINDS[kind].name for name, (_, kind, _) in places.items()}

    def tensor(self, name: str) -> np.ndarray:
        """A tensor in float32, its outermost size first.

        Raises:
            InputError: it is not in the file, or the file is cut off within it.
        """
        if name not in self._places:
            raise InputError(f"{self.path}: tensor {name} is missing")
        shape, number, offset = self._places[name]
        kind = _KINDS[number]
        size = math.prod(shape) // kind.block * kind.size
        start = self._start + offset
        if math.prod(shape) % kind.block or start + size > len(self._data):
            raise InputError(f"{self.path}: tensor {name}: truncated or damaged")
        return kind.read(np.array(self._data[start : start + size])).reshape(shape)

    def _scalar(self, kind: int) -> Any:
        form = _SCALARS.get(kind, "")
        if not form:
            raise InputError(f"{self.path}: a fact of type {kind} is not read here")
        size = struct.calcsize(form)
        (value,) = struct.unpack(form, bytes(self._data[self._at : self._at + size]))
        self._at += size
        return value

    def _text(self) -> str:
        size = self._scalar(10)
        text = bytes(self._data[self._at : self._at + size])
        if len(text) != size:
            raise IndexError(size)
        self._at += size
        return text.decode()

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            inner, count = self._scalar(4), self._scalar(10)
            return [self._value(inner) for _ in range(count)]
        return self._scalar(kind)
