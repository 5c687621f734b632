# SPDX-License-Identifier: Apache-2.0
"""Registries: objects by name, filled inside the process and by other installed packages.

A registry is one kind of thing that others may add: a machine, a training method, an importer of network files. It is
filled in two ways, and what comes in by either is found the same way:

- in the process: ``@REGISTRY.register("mine")`` above a class or function, or ``REGISTRY.add("mine", thing)``;
- by an entry point (`importlib.metadata`) of an installed package, in the registry's group::

      [project.entry-points."hwsim.training_methods"]
      mine = "my_package.methods:MINE"

Names of entry points are known without importing anything; the import happens when the object is first asked for. A
package may do both for one object. Two different objects of one name are refused when that name is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from .errors import InputError, unknown

T = TypeVar("T")
Thing = TypeVar("Thing")


class Registry(Generic[T]):
    """Objects of one kind by name.

    Args:
        kind: what one is called in messages, as in "training method".
        group: the group of entry points that add more.
        convert: makes the stored object of what was registered (a class may become an instance) and checks it; it
            raises TypeError, ValueError or AttributeError for what is none of the kind. Called once a name.
        normal: the form in which names are compared, as in ``str.lower``.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        *,
        convert: Callable[[str, Any], T] | None = None,
        normal: Callable[[str], str] = str,
    ) -> None:
        self.kind, self.group = kind, group
        self._convert, self._normal = convert, normal
        self._added: dict[str, Any] = {}
        self._ready: dict[str, tuple[Any, T]] = {}

    def register(self, name: str) -> Callable[[Thing], Thing]:
        """A decorator that adds a class or function under ``name`` and returns it unchanged."""

        def decorate(thing: Thing) -> Thing:
            self.add(name, thing)
            return thing

        return decorate

    def add(self, name: str, thing: Any, *, replace: bool = False) -> None:
        """Add an object. A class or function that is defined anew (a notebook's cell run twice) replaces itself.

        Args:
            replace: take the place of another object that was added under this name.

        Raises:
            InputError: the name is empty, or taken by another object or by another installed package.
        """
        key = self._normal(name)
        if not key:
            raise InputError(f"{self.kind}: a name is needed")
        before = self._added.get(key)
        if before is not None and not replace and not _same(before, thing):
            raise InputError(f"{self.kind} {key!r}: registered twice, by {_where(before)} and by {_where(thing)}")
        for point in self._points().get(key, ()):
            if hasattr(thing, "__qualname__") and _package(thing.__module__) != _package(point.module):
                raise InputError(f"{self.kind} {key!r}: {_where(thing)} takes the name of {_offer(point)}")
        self._added[key] = thing
        self._ready.pop(key, None)

    def remove(self, name: str) -> None:
        """Forget an object added in the process; no error if there is none."""
        self._added.pop(self._normal(name), None)
        self._ready.pop(self._normal(name), None)

    def names(self) -> tuple[str, ...]:
        """All names, those of the process first; nothing is imported."""
        return tuple(dict.fromkeys((*self._added, *self._points())))

    def get(self, name: str) -> T:
        """The object of a name; the first call may import the package that offers it.

        Raises:
            InputError: no such name (with the closest, and all there are); two objects of this name; a package that
                cannot be imported, or whose object is none of the kind (names the distribution).
        """
        key = self._normal(name)
        points = self._points().get(key, ())
        if len(points) > 1:
            raise InputError(f"{self.kind} {key!r}: offered twice, by {' and by '.join(map(_offer, points))}")
        if key not in self._added and not points:
            raise unknown(self.kind, name, self.names())
        thing = self._load(key, points[0]) if points else self._added[key]
        if self._added.get(key, thing) is not thing:
            raise InputError(
                f"{self.kind} {key!r}: offered by {_offer(points[0])} and registered by {_where(self._added[key])}"
            )
        if key not in self._ready or self._ready[key][0] is not thing:
            self._ready[key] = thing, self._converted(key, thing, points[0] if points else None)
        return self._ready[key][1]

    def source(self, name: str) -> str:
        """Who offers a name, for a list: a distribution and its version, or the module that registered it."""
        key = self._normal(name)
        points = self._points().get(key, ())
        return _distribution(points[0]) if points else _where(self._added[key])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._normal(name) in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def _points(self) -> dict[str, tuple[EntryPoint, ...]]:
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for point in _points_of(self.group, tuple(sys.path)):
            key = self._normal(point.name)
            found[key] = (*found.get(key, ()), point)
        return found

    def _load(self, key: str, point: EntryPoint) -> Any:
        return load(point.value, f"{self.kind} {key!r}: {_offer(point)}")

    def _converted(self, key: str, thing: Any, point: EntryPoint | None) -> T:
        if self._convert is None:
            return thing  # type: ignore[no-any-return]  # the caller's type
        try:
            return self._convert(key, thing)
        except (TypeError, ValueError, AttributeError) as error:
            who = _offer(point) if point else _where(thing)
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{self.kind} {key!r}: {who} is none: {reason}") from error


def load(reference: str, where: str) -> Any:
    """The object of ``"module:attribute"``.

    Args:
        where: how the error begins.

    Raises:
        InputError: whatever went wrong in the import, on one line.
    """
    try:
        return EntryPoint(reference, reference, "").load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InputError(f"{where} cannot be loaded: {reason}") from error


def sources_from_outside(groups: Iterable[str]) -> list[Path]:
    """Python and YAML files of the installed packages that offer something in these groups; nothing is imported.

    What depends on code, as the key of a stored result does, depends on theirs too.
    """
    names = {p.module.partition(".")[0] for group in groups for p in _points_of(group, tuple(sys.path))}
    found: list[Path] = []
    for name in sorted(names - {"algorithms", "dataflow", "hwsim", "reports"}):
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            for folder in spec.submodule_search_locations:
                found += sorted(p for p in Path(folder).rglob("*") if p.suffix in (".py", ".yaml"))
        elif spec is not None and spec.origin:
            found.append(Path(spec.origin))
    return found


@lru_cache(maxsize=64)
def _points_of(group: str, path: tuple[str, ...]) -> EntryPoints:
    """A group's entry points of all packages on ``path`` (sys.path); read once, in milliseconds."""
    return entry_points(group=group)


def _origin(thing: Any) -> tuple[str, str]:
    """Module and name where an object, or its class, was defined."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return getattr(named, "__module__", "") or "", named.__qualname__


def _same(before: Any, after: Any) -> bool:
    """Whether an object is one already known: itself, equal to it, or a class or function of the same place."""
    if before is after or (type(before) is type(after) and bool(before == after)):
        return True
    return hasattr(before, "__qualname__") and hasattr(after, "__qualname__") and _origin(before) == _origin(after)


def _package(module: str) -> str:
    return module.partition(".")[0]


def _where(thing: Any) -> str:
    return ".".join(part for part in _origin(thing) if part)


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"


def _offer(point: EntryPoint) -> str:
    return f"package {_distribution(point)} ({point.value})"


def method_class(base: Any, what: str) -> Callable[[str, Any], Any]:
    """`Registry` ``convert`` of methods that are classes: subclasses of ``base`` with a title, a source and no method
    left to define; ``what``: one of them in words."""

    def checked(name: str, thing: Any) -> Any:
        if not (isinstance(thing, type) and issubclass(thing, base)):
            raise TypeError(f"a {what} is a subclass of {base.__module__}.{base.__qualname__}")
        for wanted in ("title", "source"):
            if not isinstance(getattr(thing, wanted, None), str):
                raise TypeError(f"{thing.__name__} has no {wanted}")
        if left := getattr(thing, "__abstractmethods__", None):
            raise TypeError(f"{thing.__name__} does not define {', '.join(sorted(left))}")
        return thing

    return checked
