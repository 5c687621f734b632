# SPDX-License-Identifier: Apache-2.0
"""Where results are stored: a folder of Parquet parts that are only ever added to, and a manifest.

    manifest.json             format, code version, machine, the sweep it was last run for
    parts/part-<digest>.parquet   rows of finished points; the name holds the digest of the file's bytes
    aside/                    damaged parts: their bytes no longer have that digest
    results.parquet           the table of the last sweep, in its order (made at the end)

A part appears whole, by renaming. So whatever ends a run, the folder is sound, and the rows of its parts stand. One run
at a time writes: it holds a lock that ends with its process. A part that is damaged is set aside by whoever meets it, a
sweep or a reader, and its points run again in the next sweep.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from dataflow.errors import InputError
from dataflow.files import atomic_path, make_folder, write_text
from hwsim.core.version import VERSION

from .errors import SweepStopped
from .evaluate import FRONT, Row

STORE_FORMAT = "hwsim-sweep/1"


class Store:
    """A folder of results.

    Attributes:
        damaged: parts that were found damaged: where they are now.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = folder / "parts"
        self.damaged: list[Path] = []
        self._lock = filelock.FileLock(folder / "lock", blocking=False)
        self._opened: int | None = None
        """Descriptor of ``parts`` while this store is open: as long as it is held, no other folder is taken for it."""

    def open(self, machine: str, code: str, sweep: dict[str, Any]) -> None:
        """Begin to write: take the lock, check that what is there is ours, note the sweep.

        Raises:
            InputError: another run writes here; results of another machine, format or code; a folder that cannot be
                written.
        """
        make_folder(self.parts)
        try:
            self._lock.acquire()
            self._opened = os.open(self.parts, os.O_RDONLY)
        except filelock.Timeout:
            raise InputError(f"{self.folder}: another run writes here") from None
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror}") from None
        manifest = {"format": STORE_FORMAT, "version": VERSION, "code": code, "machine": machine, "sweep": sweep}
        if (self.folder / "manifest.json").exists():
            found = self.manifest()
            for name, text in (("machine", "of the machine"), ("code", "of code version")):
                if found.get(name) != manifest[name]:
                    raise InputError(
                        f"{self.folder}: holds results {text} {found.get(name)}, this is {manifest[name]}: "
                        "give another --out"
                    )
            if found == manifest:
                return
            (self.folder / "results.parquet").unlink(missing_ok=True)  # it is another sweep's
        write_text(self.folder / "manifest.json", json.dumps(manifest, indent=1, default=str) + "\n")
        for path in self.parts.glob(".part-*"):  # what a run that was killed had begun
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the lock back."""
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None
        self._lock.release()

    def check(self) -> None:
        """Whether the folder that was opened is still there.

        Raises:
            SweepStopped: it was removed, moved or replaced.
        """
        assert self._opened is not None
        try:
            there = os.path.samestat(os.fstat(self._opened), self.parts.stat())
        except OSError:
            there = False
        if not there or not (self.folder / "manifest.json").exists():
            raise SweepStopped(f"{self.folder}: was removed, moved or emptied while the sweep ran", stored=False)

    def manifest(self) -> dict[str, Any]:
        """What the folder says of itself.

        Raises:
            InputError: no store, a broken manifest, another format.
        """
        path = self.folder / "manifest.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "broken JSON"
            raise InputError(f"{path}: not a folder of results: {reason}") from None
        if not isinstance(found, dict) or found.get("format") != STORE_FORMAT:
            version = found.get("format") if isinstance(found, dict) else None
            raise InputError(f"{path}: field format: {version!r} is not this version's {STORE_FORMAT!r}")
        return found

    def append(self, rows: list[Row]) -> None:
        """Add rows as a part.

        Raises:
            SweepStopped: no room; the folder is gone; a column with values of different kinds.
        """
        if not rows:
            return
        self.check()
        buffer = io.BytesIO()
        try:
            pq.write_table(pa.Table.from_pylist(_padded(rows)), buffer, compression="zstd")
        except (pa.ArrowException, OverflowError) as error:
            reason = " ".join(str(error).split())[:200]
            raise SweepStopped(f"{self.parts}: results of different kinds in one column: {reason}") from None
        data = buffer.getvalue()
        path = self.parts / f"part-{_digest(data)}.parquet"
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                file.write(data)
        except InputError as error:
            raise SweepStopped(str(error)) from None

    def names(self) -> list[Path]:
        """The parts."""
        return sorted(self.parts.glob("part-*.parquet"))

    def finished(self, *, failed: bool = True) -> set[str]:
        """Keys of finished points; without ``failed``: only of those that went well."""
        found: set[str] = set()
        for table in self._tables(["key", "status"]):
            keys, states = table["key"].to_pylist(), table["status"].to_pylist()
            found.update(k for k, s in zip(keys, states, strict=True) if failed or s == "ok")
        return found

    def rows(self) -> pa.Table:
        """All rows, each key once (of two, the one that went well).

        Raises:
            InputError: parts that do not fit together.
        """
        tables = list(self._tables())
        if not tables:
            return pa.table({name: pa.array([], pa.string()) for name in FRONT})
        try:
            whole = pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(f"{self.parts}: parts of different kinds: {' '.join(str(error).split())[:200]}") from None
        order = whole.append_column("place", pa.array(range(len(whole))))
        first = order.sort_by([("key", "ascending"), ("status", "descending"), ("place", "ascending")])["place"]
        keys = whole["key"].take(first).to_pylist()
        places = first.to_pylist()
        return whole.take([p for i, p in enumerate(places) if i == 0 or keys[i] != keys[i - 1]])

    def _tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The tables of all sound parts; the others are set aside.

        Raises:
            InputError: a part that must not be read.
        """
        for path in self.names():
            try:
                data = path.read_bytes()
                if path.stem != f"part-{_digest(data)}":
                    raise pa.ArrowInvalid("other bytes")
                table = pq.read_table(pa.BufferReader(data), columns=columns)
                if not set(columns or FRONT) <= set(table.column_names):
                    raise pa.ArrowInvalid("other columns")
            except FileNotFoundError:  # a reader set it aside just now
                continue
            except PermissionError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}") from None
            except (OSError, pa.ArrowException):
                self.set_aside(path)
                continue
            yield table

    def set_aside(self, path: Path) -> None:
        """Move a damaged file out of the way, where the folder can be written."""
        aside = self.folder / "aside" / path.name
        try:
            aside.parent.mkdir(exist_ok=True)
            path.replace(aside)
            self.damaged.append(aside)
        except OSError:
            if path not in self.damaged:
                self.damaged.append(path)


def _padded(rows: Iterable[Row]) -> list[Row]:
    """Rows with the same columns in one order: those every row has, then those of the rows that went well."""
    rows = list(rows)
    names = dict.fromkeys(FRONT)
    for row in rows:
        names.update(dict.fromkeys(row))
    return [{name: row.get(name) for name in names} for row in rows]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]
