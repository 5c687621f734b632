# SPDX-License-Identifier: Apache-2.0
"""Tables for a server's simulator: what its loader asks for is there, and every cell is its simulation."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hwsim.core.machine import find
from hwsim.serving import bundle
from hwsim.serving.bundle import falling, step_rows, timed
from hwsim.serving.cells import Cell, attention_rows, cells
from hwsim.serving.settings import ServeProfile
from tests.support.cli import run

SMALL = {"chunks": [16], "prefixes": [0, 32], "decodes": [1, 3], "contexts": [8, 64], "tokens": [1, 16, 64],
         "sequences": [1, 4]}  # fmt: skip
LLAMA = ("embedding", "layernorm", "qkv_proj", "rotary_emb", "o_proj", "gate_up_proj", "act_fn", "down_proj",
         "final_layernorm")  # fmt: skip


def written(folder: Path, **more: object) -> Path:
    path = folder / "profile.yaml"
    with path.open("w") as file:
        YAML().dump({"model": "smollm2-135m", **SMALL, **more}, file)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    settings = ServeProfile(model="smollm2-135m", **SMALL)
    bundle.write_bundle(settings, timed(settings, folder), folder)
    return folder


def test_what_the_loader_reads(made: Path) -> None:
    """Folders, columns, layers, the whole product, no time of nothing: as its documentation has them."""
    (cluster,) = (made / "configs" / "cluster").glob("*.json")
    (instance,) = json.loads(cluster.read_text())["nodes"][0]["instances"]
    assert cluster.stem == instance["hardware"] == "spatten-tensor24"
    assert instance["npu_mem"] == {"mem_size": 16, "mem_bw": 512, "mem_latency": 0}
    model = json.loads((made / "configs" / "model" / f"{instance['model_name']}.json").read_text())
    assert model["max_position_embeddings"] == 8192
    assert model["torch_dtype"] == "float16"
    folder = made / "profiler" / "perf" / instance["hardware"] / instance["model_name"] / "fp16"
    meta = YAML(typ="safe").load((folder / "meta.yaml").read_text())
    assert meta["engine_effective"] == {"max_num_batched_tokens": 64, "max_num_seqs": 4}
    assert meta["skew_fit"] == {"enabled": False}
    dense = rows(folder / "tp1" / "dense.csv")
    assert list(dense[0]) == ["layer", "tokens", "time_us"]
    assert sorted((r["layer"], int(r["tokens"])) for r in dense) == sorted(itertools.product(LLAMA, [1, 16, 64]))
    last = rows(folder / "tp1" / "per_sequence.csv")
    assert list(last[0]) == ["layer", "sequences", "time_us"]
    assert [(r["layer"], int(r["sequences"])) for r in last] == [
        *itertools.product(["lm_head"], [1, 4]), *itertools.product(["sampler"], [1, 4])
    ]  # fmt: skip
    attention = rows(folder / "tp1" / "attention.csv")
    assert list(attention[0]) == [*Cell._fields, "time_us"]
    found = [tuple(int(r[name]) for name in Cell._fields) for r in attention]
    assert len(set(found)) == len(found)
    pairs = {(c, n) for c, _, n, _ in found}
    assert pairs == set(itertools.product([0, 16], [0, 1, 3]))
    for chunk, count in pairs - {(0, 0)}:
        axes = ([0, 32] if chunk else [0], [8, 64] if count else [0])
        mine = {(p, k) for c, p, n, k in found if (c, n) == (chunk, count)}
        assert mine == set(itertools.product(*axes))
    assert found[0] == (0, 0, 0, 0)
    assert all(round(1000 * float(r["time_us"])) >= 1 for r in (*dense, *last, *attention))


def test_every_cell_is_its_simulation(made: Path) -> None:
    settings = ServeProfile(model="smollm2-135m", **SMALL)
    _, model = settings.config()
    machine = find("spatten")
    table = {
        tuple(int(r[name]) for name in Cell._fields): float(r["time_us"])
        for r in rows(next(made.glob("profiler/perf/*/*/*/fp16/tp1/attention.csv")))
    }
    for cell in cells(settings)[1:]:
        work = attention_rows(model, cell, None)
        keys = cell.n_decode * cell.kv_decode + (cell.prefill_chunk > 0) * (cell.kv_prefill + cell.prefill_chunk)
        result = machine.simulate(machine.settings({}), workload=work)
        assert table[cell] == pytest.approx(1e6 * result.seconds, abs=1e-6)
        assert sum(r["key_bytes"] for r in result.records) == 3 * keys * 96
    times = timed(settings, made)
    block, ends = 0.0, 0.0
    cycles = {}
    products = find("tensor24")
    for name in ("norm1", "q", "k", "v", "rope", "o", "add1", "norm2", "gate", "up", "product", "down", "add2"):
        cycles[f"layers.0.{name}"] = 0
    run_ = products.settings({"network": "smollm2-135m", "phase": "decode", "batch": 3, "context": 1})
    # 3 sequences lie between 1 and 16 tokens, on a straight line as the reader has it
    for count, share in ((1, 13 / 15), (16, 2 / 15)):
        result = products.simulate(run_.model_copy(update={"batch": count}))
        for row in result.records:
            part = share * row["cycles"] / result.frequency_hz
            name = str(row["layer"]).rsplit(".", 1)[-1]
            if str(row["layer"]).startswith("layers.") and name not in ("qk", "softmax", "pv"):
                block += part
            elif row["layer"] in ("embedding", "norm"):
                ends += part
    (step,) = [r for r in step_rows(settings, model, times) if (r["sequences"], r["context"]) == (3, 64)]
    head = {n: times["per_sequence"][n]["lm_head"] for n in ("1", "4")}
    assert step["products_ms"] == pytest.approx(
        1e3 * (block + ends) + (head["1"] + (head["4"] - head["1"]) * 2 / 3) / 1e3, rel=1e-6
    )
    assert step["attention_ms"] == pytest.approx(30 * table[0, 0, 3, 64] / 1e3, rel=1e-6)


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, out = written(tmp_path), tmp_path / "out"
    first = bundle.attention_us
    asked: list[Cell] = []

    def counted(settings, model, cell: Cell) -> float:
        asked.append(cell)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return first(settings, model, cell)

    monkeypatch.setattr(bundle, "attention_us", counted)
    with pytest.raises(KeyboardInterrupt):
        timed(ServeProfile(model="smollm2-135m", **SMALL), out)
    assert run(monkeypatch, "serve-profile", "--config", config, "--out", out) == 0
    assert len(asked) == 1 + len(cells(ServeProfile(model="smollm2-135m", **SMALL)))
    assert len(list(out.rglob("*.csv"))) == 3


def test_a_budget_caps_what_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "serve-profile", "--config", written(tmp_path), "--budget", 16, "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert "choosing the 16 keys that a query sees" in told["not_timed"]
    settings = ServeProfile(model="smollm2-135m", budget=16, **SMALL)
    _, model = settings.config()
    for cell in cells(settings)[1:]:
        frame = attention_rows(model, cell, 16).rows
        assert (frame.key_fetch_num <= 16).all()
        assert (frame.query_num <= frame.key_fetch_num).all()
    times = timed(settings, out)
    assert falling(settings, {"attention": {**times["attention"], "0,0,1,64": 0.0}})


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"model": "llama-9"}, "model: llama-9: no config.json, and none of llama-3-8b"),
        ({"model": "mixtral-8x7b"}, "model: mixtral-8x7b: model_type mixtral needs tables that are not written"),
        ({"attention": {"machine": "sat"}}, "attention.machine: sat runs no attention; one of spatten does"),
        ({"products": {"machine": "spatten"}}, "products.machine: spatten runs no products; one of sat, systolic"),
        ({"products": {"machine": "sta"}}, "did you mean sat"),
        ({"products": {"machine": "sat", "settings": {"batch": 3}}}, "products.settings.batch: is set for each cell"),
        ({"attention": {"machine": "spatten", "settings": {"machine": {"designs": 1}}}}, "machine.designs"),
        ({"contexts": [0, 8]}, "contexts: each must be 1 or more"),
        ({"tokens": [1]}, "tokens: "),
        ({"name": "llama"}, "name: "),
    ],
)
def test_wrong_settings(more: dict, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "serve-profile", "--config", written(tmp_path, **more), "--out", out) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert what in error
    assert not out.exists()


def test_another_profiles_folder_is_kept(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    before = (made / "cells.json").read_text()
    assert run(monkeypatch, "serve-profile", "--config", written(tmp_path), "--budget", 9, "--out", made) == 2
    assert "holds times of other settings or another version; write into another folder" in capsys.readouterr().err
    assert (made / "cells.json").read_text() == before
