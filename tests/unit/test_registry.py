# SPDX-License-Identifier: Apache-2.0
"""Registries: names from the process and from installed packages, and every way in which one is refused."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dataflow.errors import InputError
from dataflow.registry import Registry, sources_from_outside
from tests.support.plugin import installed

GROUP = "hwsim.test_things"


def _registry() -> Registry[int]:
    return Registry("thing", GROUP, normal=str.lower)


def test_what_is_registered_is_found_by_name_in_any_case() -> None:
    things = _registry()
    things.add("One", 1)
    assert things.get("ONE") == 1
    assert list(things) == ["one"]
    assert "oNe" in things
    assert "two" not in things


def test_a_decorator_gives_back_what_it_registers() -> None:
    things: Registry[Any] = _registry()

    @things.register("mine")
    class Mine:
        pass

    assert things.get("mine") is Mine


def test_an_unknown_name_is_told_with_the_closest_and_all() -> None:
    things = _registry()
    things.add("resnet18", 1)
    things.add("vgg19", 2)
    with pytest.raises(InputError, match=r"^thing 'Resnt18': did you mean resnet18\? Known: resnet18, vgg19$"):
        things.get("Resnt18")
    with pytest.raises(InputError, match=r"^thing 'zzz': Known: resnet18, vgg19$"):
        things.get("zzz")


def test_two_objects_of_one_name_are_refused_and_one_defined_anew_replaces_itself() -> None:
    things: Registry[Any] = _registry()
    things.add("a", 1)
    things.add("a", 1)
    with pytest.raises(InputError, match="thing 'a': registered twice"):
        things.add("a", 2)
    things.add("a", 2, replace=True)
    assert things.get("a") == 2

    def make(value: int) -> type:
        class Again:
            number = value

        return Again

    for value in (1, 2):
        things.add("again", make(value))
        assert things.get("again").number == value

    class Other:
        pass

    with pytest.raises(InputError, match=r"registered twice, by .*Again and by .*Other"):
        things.add("again", Other)


def test_removed_names_are_gone() -> None:
    things = _registry()
    things.add("a", 1)
    things.remove("a")
    assert "a" not in things


def test_convert_is_called_once_and_its_refusal_names_the_object() -> None:
    calls = []

    def convert(name: str, thing: Any) -> int:
        calls.append(name)
        if not isinstance(thing, int):
            raise TypeError(f"expected a number, found {type(thing).__name__}")
        return thing * 10

    things = Registry("thing", GROUP, convert=convert)
    things.add("a", 1)
    things.add("b", "text")
    assert things.get("a") == things.get("a") == 10
    assert calls == ["a"]
    with pytest.raises(InputError, match="thing 'b': builtins.str is none: expected a number, found str"):
        things.get("b")


def test_an_entry_point_is_a_name_without_import_and_imported_at_first_use(tmp_path: Path) -> None:
    things = _registry()
    source = "VALUE = 7"
    with installed(tmp_path, "some-things", {"some_things": source}, {GROUP: {"seven": "some_things:VALUE"}}):
        assert "seven" in things
        assert things.names() == ("seven",)
        assert things.source("seven") == "some-things 1.0"
        assert "some_things" not in sys.modules
        assert things.get("SEVEN") == 7
        assert "some_things" in sys.modules
    assert "seven" not in things


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no luck\\nat all')", "RuntimeError: no luck at all"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("OTHER = 1", "AttributeError: module 'broken_things' has no attribute 'VALUE'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_broken_package_is_one_line_that_names_it_and_spoils_no_other_name(
    tmp_path: Path, source: str, reason: str
) -> None:
    things = _registry()
    things.add("good", 1)
    with installed(tmp_path, "broken-things", {"broken_things": source}, {GROUP: {"bad": "broken_things:VALUE"}}):
        assert set(things.names()) == {"good", "bad"}
        assert things.get("good") == 1
        with pytest.raises(InputError) as error:
            things.get("bad")
    text = str(error.value)
    assert text.startswith("thing 'bad': package broken-things 1.0 (broken_things:VALUE) cannot be loaded: " + reason)
    assert "\n" not in text


def test_a_name_offered_by_two_packages_is_refused_with_both(tmp_path: Path) -> None:
    things = _registry()
    a = installed(tmp_path, "pack-a", {"pack_a": "V = 1"}, {GROUP: {"x": "pack_a:V", "y": "pack_a:V"}})
    b = installed(tmp_path, "pack-b", {"pack_b": "V = 2"}, {GROUP: {"x": "pack_b:V"}})
    with a, b:
        assert sorted(things.names()) == ["x", "y"]
        assert things.get("y") == 1
        with pytest.raises(InputError, match=r"thing 'x': offered twice, by package pack-[ab] 1.0 .* and by package"):
            things.get("x")


def test_a_package_may_register_and_offer_the_same_object(tmp_path: Path) -> None:
    things: Registry[Any] = _registry()
    source = "import registry_holder as h\n@h.things.register('mine')\nclass Mine: pass\n"
    module = types.ModuleType("registry_holder")
    module.things = things  # type: ignore[attr-defined]
    sys.modules["registry_holder"] = module
    try:
        with installed(tmp_path, "both-ways", {"both_ways": source}, {GROUP: {"mine": "both_ways:Mine"}}):
            assert things.get("mine").__name__ == "Mine"
            assert things.get("mine") is sys.modules["both_ways"].Mine
    finally:
        del sys.modules["registry_holder"]


def test_the_name_of_an_installed_package_cannot_be_taken(tmp_path: Path) -> None:
    things: Registry[Any] = _registry()
    with installed(tmp_path, "some-things", {"some_things": "VALUE = 7"}, {GROUP: {"seven": "some_things:VALUE"}}):

        class Seven:
            pass

        with pytest.raises(InputError, match=r"thing 'seven': .*Seven takes the name of package some-things 1.0"):
            things.add("seven", Seven)
        things.add("seven", 8)  # a plain value says not whose it is: refused when asked for
        with pytest.raises(InputError, match=r"offered by package some-things 1.0 .* and registered by builtins.int"):
            things.get("seven")


def test_sources_of_packages_from_outside_are_known_without_import(tmp_path: Path) -> None:
    before = sources_from_outside([GROUP])
    with installed(tmp_path, "some-things", {"some_things": "VALUE = 7"}, {GROUP: {"seven": "some_things:VALUE"}}):
        assert set(sources_from_outside([GROUP])) - set(before) == {tmp_path / "some-things" / "some_things.py"}
        assert "some_things" not in sys.modules
    with installed(tmp_path, "other", {"other_things": ""}, {"other.group": {"seven": "other_things:VALUE"}}):
        assert sources_from_outside([GROUP]) == before
