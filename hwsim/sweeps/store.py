# SPDX-License-Identifier: Apache-2.0
"""Where results are kept: a folder of Parquet parts that are only ever added to, and a manifest.

    manifest.json             format, code version, machine, the sweep it was last run for
    parts/part-<digest>.parquet   rows of finished points; the name holds the digest of the file's bytes
    aside/                    parts whose bytes no longer have that digest
    results.parquet           the table of the last sweep, in its order (made at the end)

A part appears whole, by renaming. So whatever ends a run, the folder is sound, and the rows of its parts stand. One run
at a time writes: it holds a lock that ends with its process.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from dataflow.errors import InputError
from dataflow.files import atomic_path, write_text
from hwsim import __version__

from .evaluate import FRONT, Row

STORE_FORMAT = "hwsim-sweep/1"


class Store:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = folder / "parts"
        self._lock = filelock.FileLock(folder / "lock", blocking=False)

    def open(self, machine: str, code: str, sweep: dict[str, Any]) -> None:
        """Begin to write: take the lock, check that what is there is ours, note the sweep.

        Raises:
            InputError: another run writes here; results of another machine, format or code; a folder that cannot be
                written.
        """
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout:
            raise InputError(f"{self.folder}: another run writes here") from None
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror}") from None
        manifest = {"format": STORE_FORMAT, "version": __version__, "code": code, "machine": machine, "sweep": sweep}
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

    def close(self) -> None:
        """Give the lock back."""
        self._lock.release()

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
            InputError: no room, or the folder is gone.
        """
        if not rows:
            return
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(_padded(rows)), buffer, compression="zstd")
        data = buffer.getvalue()
        path = self.parts / f"part-{_digest(data)}.parquet"
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                file.write(data)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}; what was finished before is kept") from None

    def names(self) -> list[Path]:
        """The parts."""
        return sorted(self.parts.glob("part-*.parquet"))

    def check(self) -> list[Path]:
        """Put parts aside whose bytes are not what they were; where they went. Those points run again."""
        moved = []
        for path in self.names():
            try:
                whole = path.stem == f"part-{_digest(path.read_bytes())}"
            except OSError:
                whole = False
            if not whole:
                aside = self.folder / "aside" / path.name
                aside.parent.mkdir(exist_ok=True)
                path.replace(aside)
                moved.append(aside)
        for path in self.parts.glob(".part-*"):  # what a run that was killed had begun
            path.unlink(missing_ok=True)
        return moved

    def finished(self, *, failed: bool = True) -> set[str]:
        """Keys of finished points; without ``failed``: only of those that went well."""
        found: set[str] = set()
        for path in self.names():
            table = pq.read_table(path, columns=["key", "status"])
            keys, states = table["key"].to_pylist(), table["status"].to_pylist()
            found.update(k for k, s in zip(keys, states, strict=True) if failed or s == "ok")
        return found

    def rows(self) -> pa.Table:
        """All rows, each key once (of two, the one that went well)."""
        tables = [pq.read_table(path) for path in self.names()]
        if not tables:
            return pa.table({name: pa.array([], pa.string()) for name in FRONT})
        whole = pa.concat_tables(tables, promote_options="permissive")
        order = whole.append_column("place", pa.array(range(len(whole))))
        first = order.sort_by([("key", "ascending"), ("status", "descending"), ("place", "ascending")])["place"]
        keys = whole["key"].take(first).to_pylist()
        places = first.to_pylist()
        return whole.take([p for i, p in enumerate(places) if i == 0 or keys[i] != keys[i - 1]])


def _padded(rows: Iterable[Row]) -> list[Row]:
    """Rows with the same columns in one order: those every row has, then those of the rows that went well."""
    rows = list(rows)
    names = dict.fromkeys(FRONT)
    for row in rows:
        names.update(dict.fromkeys(row))
    return [{name: row.get(name) for name in names} for row in rows]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]
