# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a settings file is one line: the field, the reason, and the closest thing that would be right."""

from __future__ import annotations

import io
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field

from dataflow.errors import InputError
from dataflow.files import read_arrays, validated


class Colour(StrEnum):
    GREEN = "green"
    BLUE = "blue"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Inner(Strict):
    rows: int = 1
    colour: Colour = Colour.GREEN


class Circle(Strict):
    kind: Literal["circle"] = "circle"
    radius: int = 1


class Square(Strict):
    kind: Literal["square"] = "square"
    side: int = 1


class Outer(Strict):
    mode: Literal["fast", "exact"] = "fast"
    machine: Inner = Inner()
    parts: tuple[Inner, ...] = ()
    named: dict[str, Inner] = Field({})
    maybe: Inner | None = None
    shapes: tuple[Annotated[Circle | Square, Field(discriminator="kind")], ...] = ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mod": "fast"}, "f: mod: unknown key; did you mean mode?"),
        ({"zzz": 1}, "f: zzz: unknown key"),
        ({"machine": {"rwos": 1}}, "f: machine.rwos: unknown key; did you mean rows?"),
        ({"parts": [{}, {"rwos": 1}]}, "f: parts[1].rwos: unknown key; did you mean rows?"),
        ({"named": {"a": {"rwos": 1}}}, "f: named.a.rwos: unknown key; did you mean rows?"),
        ({"maybe": {"rwos": 1}}, "f: maybe.rwos: unknown key; did you mean rows?"),
        ({"shapes": [{"kind": "square", "sid": 1}]}, "f: shapes[0].square.sid: unknown key; did you mean side?"),
        ({"shapes": [{"kind": "circle", "sid": 1}]}, "f: shapes[0].circle.sid: unknown key"),
        (
            {"shapes": [{"kind": "sqare"}]},
            "f: shapes[0]: kind 'sqare': one of 'circle', 'square'; did you mean square?",
        ),
        ({"mode": "fats"}, "f: mode: Input should be 'fast' or 'exact'; did you mean fast? (got 'fats')"),
        (
            {"machine": {"colour": "gren"}},
            "f: machine.colour: Input should be 'green' or 'blue'; did you mean green? (got 'gren')",
        ),
        ({"machine": {"colour": 3}}, "f: machine.colour: Input should be 'green' or 'blue' (got 3)"),
    ],
)
def test_a_wrong_field_or_value_is_answered_with_the_closest(data: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        validated(Outer, data, "f")
    assert str(error.value) == message


def test_arrays_are_read_and_objects_are_not(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    assert list(read_arrays(tmp_path / "a.npz")["x"]) == [0, 1, 2]
    np.savez(tmp_path / "b.npz", x=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="b.npz: broken; expected a .npz of plain arrays"):
        read_arrays(tmp_path / "b.npz")
    with pytest.raises(InputError, match="none.npz: missing"):
        read_arrays(tmp_path / "none.npz")
    file = io.BytesIO()
    np.save(file, np.arange(3))
    whole = (tmp_path / "a.npz").read_bytes()
    for content in (b"", b"PK", whole[:100], whole[:-30], file.getvalue()):
        (tmp_path / "c.npz").write_bytes(content)
        with pytest.raises(InputError, match="c.npz: broken; expected"):
            read_arrays(tmp_path / "c.npz")
