# SPDX-License-Identifier: Apache-2.0
"""Training methods from outside: one object, from the process or from an installed package, used by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow.errors import InputError
from dataflow.mapping.lowering import lower
from dataflow.networks.network import Linear, Network
from dataflow.pattern import NM
from dataflow.training.methods import METHODS, PAPER_METHODS, Method, Pass
from tests.support.plugin import installed

NET = Network(
    name="two",
    layers=(
        Linear(name="a", in_features=64, out_features=32, needs_input_grad=False),
        Linear(name="b", in_features=32, out_features=64),
    ),
)
SOURCE = """
from dataflow.training.methods import Method, Pass
MINE = Method("from-outside", "prunes weights in FF alone", frozenset({Pass.FF}), source="here")
"""


@pytest.fixture
def mine() -> Iterator[Method]:
    method = Method("mine", "prunes output gradients in BP", frozenset({Pass.BP}), bp_operand="gradients")
    METHODS.add("mine", method)
    yield method
    METHODS.remove("mine")


def test_the_five_of_the_paper_are_what_they_were() -> None:
    found = {m.name: (set(m.sparse_passes), m.prunes_gradients, m.bp_uses_ff_mask) for m in PAPER_METHODS}
    assert found == {
        "dense": (set(), False, False),
        "srste": ({Pass.FF}, False, True),
        "sdgp": ({Pass.BP}, True, False),
        "sdwp": ({Pass.BP}, False, False),
        "bdwp": ({Pass.FF, Pass.BP}, False, False),
    }
    assert [METHODS.get(m.name) for m in PAPER_METHODS] == list(PAPER_METHODS)
    assert [m.pruned_weight_decay for m in PAPER_METHODS] == [0, 2e-4, 0, 0, 0]
    assert all(m.source for m in PAPER_METHODS)


@pytest.mark.parametrize("text", ["SR-STE", "srste", " sr_ste "])
def test_a_name_is_read_in_every_spelling(text: str) -> None:
    assert Method.parse(text) is Method.SRSTE


def test_an_unknown_name_is_told_with_the_closest() -> None:
    with pytest.raises(InputError, match="method 'bdpw': did you mean bdwp\\? Known: dense, srste, sdgp, sdwp, bdwp"):
        Method.parse("bdpw")


def test_a_method_of_the_process_is_lowered_by_its_fields(mine: Method) -> None:
    work = lower(NET, batch=4, method=Method.parse("mine"), pattern=NM(2, 8))
    known = lower(NET, batch=4, method=Method.SDGP, pattern=NM(2, 8))
    assert work.work == known.work
    assert any(p.pattern == NM(2, 8) for p in work.products)


def test_a_method_of_an_installed_package_is_simulated(tmp_path: Path) -> None:
    from hwsim.sat.run import SatRun

    points = {"hwsim.training_methods": {"from-outside": "outside_methods:MINE"}}
    with installed(tmp_path, "outside-methods", {"outside_methods": SOURCE}, points):
        run = SatRun(method="From-Outside", batch=4, pattern="2:4")
        assert run.method == "from-outside"
        passes = {(p.pass_, str(p.pattern)) for p in run.workload(NET).products}
        assert passes == {(Pass.FF, "2:4"), (Pass.BP, "dense"), (Pass.WU, "dense")}
    with pytest.raises(ValueError, match="Known: dense"):
        SatRun(method="from-outside")


def test_a_package_that_offers_something_else_is_named(tmp_path: Path) -> None:
    points = {"hwsim.training_methods": {"wrong": "outside_methods:MINE"}}
    with (
        installed(tmp_path, "outside-methods", {"outside_methods": "MINE = 3"}, points),
        pytest.raises(InputError, match="'wrong': package outside-methods 1.0 .* expected a .*Method, found int"),
    ):
        Method.parse("wrong")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"sparse_passes": frozenset({Pass.WU})}, "sparse_passes: WU is dense"),
        ({"sparse_passes": frozenset({Pass.FF}), "bp_operand": "gradients"}, "bp_operand: gradients, but BP is"),
    ],
)
def test_a_method_that_cannot_be_is_refused(fields: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        Method("odd", "odd", **fields)


def test_the_library_simulates_a_method_by_its_name(mine: Method) -> None:
    import hwsim

    design = hwsim.machine("sat", rows=4, cols=4)
    cycles = {m: hwsim.simulate(design, NET, batch=4, method=m, pattern="2:8").cycles for m in ("mine", "sdgp")}
    assert cycles["mine"] == cycles["sdgp"]


def test_a_sweep_runs_over_a_method_of_the_process(mine: Method, tmp_path: Path) -> None:
    import hwsim

    design = hwsim.machine("sat", rows=4, cols=4)
    swept = hwsim.sweep(design, NET, over={"method": ["mine", "sdgp"]}, store=tmp_path / "s", batch=4, pattern="2:8")
    table = swept.table() if callable(getattr(swept, "table", None)) else swept.table
    assert table.sort_values("method").cycles.nunique() == 1
    assert set(table.method) == {"mine", "sdgp"}
