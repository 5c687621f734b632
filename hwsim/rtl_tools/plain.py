# SPDX-License-Identifier: Apache-2.0
"""Paths that make, Yosys and abc take whole: they split their command lines at blanks.

A path with a blank, or another character of theirs, is reached through a link among the temporary files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataflow.errors import InputError


def is_plain(path: Path) -> bool:
    """Whether a path has no character that these tools read as something else."""
    return re.fullmatch(r"[\w./+,@=-]+", str(path)) is not None


def temporary() -> Path:
    """A plain folder of temporary files.

    Raises:
        InputError: there is none that can be written.
    """
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for place in places:
        if is_plain(place) and os.access(place, os.W_OK | os.X_OK):
            return place
    raise InputError(f"TMPDIR {places[0]}: name a folder that can be written and whose path has no blank")


def room(mib: int) -> None:
    """See that temporary files have room.

    Raises:
        InputError: less than so many MiB.
    """
    place = temporary()
    free = shutil.disk_usage(place).free >> 20
    if free < mib:
        raise InputError(
            f"{place}: {free} MiB free, at least {mib} are needed for temporary files: make room, or set TMPDIR to "
            "another folder"
        )


@contextmanager
def plain_folder(wanted: Path | None = None) -> Iterator[Path]:
    """An empty plain folder, removed in the end: in ``wanted`` where that is plain, else among temporary files."""
    place = wanted if wanted is not None and is_plain(wanted) else temporary()
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


def plain_path(path: Path) -> Path:
    """A path, or where it is not plain a link to it that stays: always the same one for the same path.

    Raises:
        InputError: the folder of links is another user's.
    """
    if is_plain(path):
        return path
    target = path.absolute()
    links = temporary() / f"hwsim-links-{os.getuid()}"
    links.mkdir(mode=0o700, exist_ok=True)
    if links.is_symlink() or links.stat().st_uid != os.getuid():
        raise InputError(f"{links}: is another user's; remove it, or set TMPDIR to a folder of your own")
    suffix = target.suffix if is_plain(Path(target.suffix)) else ""
    link = links / (hashlib.sha256(os.fsencode(target)).hexdigest()[:24] + suffix)
    if not link.is_symlink():
        with plain_folder(links) as folder:  # whole or not at all, where several processes make it
            (folder / "link").symlink_to(target)
            (folder / "link").replace(link)
    return link
