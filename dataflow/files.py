# SPDX-License-Identifier: Apache-2.0
"""Reading YAML and writing files: wrong input becomes one line, and a file appears whole or not at all."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from .errors import InputError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T", bound=BaseModel)


def read_yaml(path: Path) -> Any:
    """The contents of a YAML file; duplicate keys are errors.

    Raises:
        InputError: missing, unreadable, not text, or broken YAML; one line with file and line number.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = read_text(path)
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = " ".join(str(error.problem or error.context or "broken YAML").split())
        raise InputError(f"{path}:{line} broken YAML: {problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: broken YAML: {' '.join(str(error).split())[:120]}") from None


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks and the codecs that leave them out; UTF-32's before UTF-16's, which begins alike."""
_UTF8 = "utf-8-sig"


def text_encoding(path: Path) -> str:
    """The encoding of a text file by its byte order mark, else by where its first characters have zero bytes, else
    UTF-8, by the codec that leaves its mark out where there is one.

    Raises:
        InputError: missing or unreadable.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {_why(error)}") from None
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    by_zeros = {"1010": "utf-16-le", "0101": "utf-16-be"}
    return by_zeros.get("".join("01"[byte != 0] for byte in head), _UTF8)


def read_text(path: Path, *, otherwise: str | None = None) -> str:
    """A text file in UTF-8, UTF-16 or UTF-32, with or without byte order mark; without the mark.

    Args:
        otherwise: encoding of a file that is none of these.

    Raises:
        InputError: missing, unreadable or not text.
    """
    encoding = text_encoding(path)
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError:
        if otherwise is not None and encoding == _UTF8:
            return path.read_text(encoding=otherwise)
        raise InputError(f"{path}: cannot be read: not a UTF-8 text file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {_why(error)}") from None


def read_json(path: Path) -> Any:
    """The contents of a JSON file.

    Raises:
        InputError: missing, unreadable, not text, or broken JSON; one line with file and line number.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}: truncated or broken JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of too many digits, too deep
        raise InputError(f"{path}: broken JSON: {' '.join(str(error).split())[:120]}") from None


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file; nothing in it can run code (no pickled objects).

    Raises:
        InputError: missing, truncated, or holding anything but plain arrays.
    """
    import zipfile
    import zlib

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise InputError(f"{path}: missing") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise InputError(f"{path}: broken; expected a .npz of plain arrays") from None


def validated(model: type[T], data: object, where: str) -> T:
    """``data`` as ``model``; what is wrong becomes one line: ``where: field: reason (got value)``.

    Raises:
        InputError: the first field that is wrong.
    """
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected fields of {model.__name__}, found {type(data).__name__}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error, model)}") from None


def put(data: dict[str, Any], path: str, value: Any) -> None:
    """Set ``data["a"]["b"]`` for the path ``a.b``; sections on the way are made.

    Raises:
        InputError: a part of the way is a value.
    """
    *parts, last = path.split(".")
    for part in parts:
        if data.get(part) is None:
            data[part] = {}
        data = data[part]
        if not isinstance(data, dict):
            raise InputError(f"{path}: {part} is a value, not a section")
    data[last] = value


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first problem of a pydantic error as ``field: reason (got value)``, on one line.

    An unknown field, and a value that is none of a few, are answered with the closest one that there is.
    """
    first = error.errors(include_url=False)[0]
    kind, value = first["type"], first.get("input")
    loc = first["loc"]
    field = ""
    for part in loc:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    reason = first["msg"].removeprefix("Value error, ")
    got = "" if kind in ("missing", "extra_forbidden") or isinstance(value, dict) else f" (got {value!r:.60})"
    if kind == "value_error" and str(value) in reason:
        got = ""
    if kind == "extra_forbidden":
        owner = _model_at(model, loc[:-1])
        inside = _path_below(owner, str(loc[-1])) if owner else ""
        hint = f"; did you mean {inside}?" if inside else _hint(str(loc[-1]), owner.model_fields if owner else ())
        reason = "unknown key" + hint
    elif kind == "string_type" and isinstance(value, int | float | date):  # YAML reads 7_1 as 71
        reason += "; text that reads as a number, a date or true goes in quotes"
    elif kind in ("literal_error", "enum") and isinstance(value, str):
        expected = re.findall(r"'([^']*)'", first.get("ctx", {}).get("expected", ""))
        reason += _hint(value, expected)
    elif kind == "union_tag_invalid":
        tag, expected = str(first["ctx"]["tag"]), first["ctx"]["expected_tags"]
        reason = f"{first['ctx']['discriminator'].strip(chr(39))} {tag!r}: one of {expected}"
        reason, got = reason + _hint(tag, re.findall(r"'([^']*)'", expected)), ""
    return " ".join(f"{field + ': ' if field else ''}{reason}{got}".split())


def _path_below(model: type[BaseModel], key: str) -> str:
    """The path of a field of this name in a section of the model; empty: none has one."""
    for name, field in model.model_fields.items():
        if any(key in one.model_fields for one in _models_in(field.annotation)):
            return f"{name}.{key}"
    return ""


def _model_at(model: type[BaseModel] | None, loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model of the section at ``loc``: sections, lists of sections, and one of several kinds by its tag."""
    found: set[Any] = {model} if model else set()
    for part in loc:
        inner: set[Any] = set()
        for one in found:
            if isinstance(part, str) and part in one.model_fields:
                inner |= _models_in(one.model_fields[part].annotation)
        if inner:
            found = inner
        elif isinstance(part, str):  # the tag of one of several kinds
            found = {
                m for m in found if part in (getattr(f, "default", None) for f in m.model_fields.values())
            } or found
    return next(iter(found)) if len(found) == 1 else None


def _models_in(annotation: Any) -> set[Any]:
    """All models in a type: itself, or inside Union, list, tuple, dict, Annotated."""
    if isinstance(annotation, type) and not get_args(annotation):
        return {annotation} if issubclass(annotation, BaseModel) else set()
    return {model for part in get_args(annotation) for model in _models_in(part)}


def _hint(word: str, known: Iterable[str]) -> str:
    hint = did_you_mean(word, known)
    return f"; {hint}" if hint else ""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; it takes ``path``'s place when the block ends well, and is removed if not.

    Raises:
        InputError: the folder cannot be made or written; the file cannot be written whole, as on a full disk.
    """
    try:
        make_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, name):  # of another file, which the block reads
            raise
        # libraries (Arrow) put sentences where the system's word belongs
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise InputError(f"{path}: cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError):  # its folder may be gone
            temporary.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        InputError: it cannot be made; says why in words that fit a folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = next((p for p in (path, *path.parents) if (p.exists() or p.is_symlink()) and not p.is_dir()), None)
        if found is None:
            raise InputError(f"{path}: the folder cannot be made: {error.strerror}") from None
        kind = "a file" if found.exists() else f"a link to {os.readlink(found)}, which does not exist"
        raise InputError(f"{path}: the folder cannot be made: {found} is {kind}") from None


def cache_folder(kind: str) -> Path:
    """The user's folder of what can be made again: under ``XDG_CACHE_HOME``, else ``~/.cache``, else, of a user the
    system does not know, in the folder of temporary files."""
    if place := os.environ.get("XDG_CACHE_HOME"):
        return Path(place) / "hwsim" / kind
    try:
        return Path.home() / ".cache" / "hwsim" / kind
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"hwsim-{os.getuid()}" / kind


def file_name(name: str) -> str:
    """A name, of a network or whatever a user called something, as that of a file in a folder."""
    return re.sub(r"[/\\\0]", "_", name)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
