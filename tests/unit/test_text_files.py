# SPDX-License-Identifier: Apache-2.0
"""Text files of any encoding and any name, and traces that hold nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflow.attention.trace import FORMAT, read_attention_trace
from dataflow.attention.workload import find_workload, read_workload
from dataflow.errors import InputError
from dataflow.files import read_json, read_text, read_yaml
from dataflow.importers import find_network, write_network_yaml
from dataflow.networks.network import Linear, Network
from dataflow.training.trace import Trace, TraceMeta, write_trace
from hwsim.memory.run import read_trace
from tests.support.cli import check_refused, run

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
NAMES = ("a b", "netz.é.v1", "名", "a'b", "..x", "-x", "50%", "x.yaml.bak")
NET = Network(name="one", layers=(Linear(name="é", in_features=2, out_features=3),))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_yaml_and_json_are_read_in_every_unicode_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for mark in ("", "\ufeff"):
        if mark and encoding not in ("utf-16-le", "utf-16-be"):
            continue  # these codecs write the mark themselves, or UTF-8 without it
        path.write_bytes((mark + '{"é": 1}').encode(encoding))
        assert read_text(path) == '{"é": 1}'
        assert read_yaml(path) == read_json(path) == {"é": 1}


def test_what_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes('{"é": 1}'.encode("latin-1"))
    for reader in (read_text, read_yaml, read_json):
        with pytest.raises(InputError, match=r"file: cannot be read: not a UTF-8 text file$"):
            reader(path)
    for text in ('{"a": ', "[" * 100_000, '{"a": ' + "9" * 5000 + "}", ""):
        path.write_text(text)
        with pytest.raises(InputError, match=r"file: (line 1: truncated or )?broken JSON") as error:
            read_json(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_be_called_anything(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_network_yaml(NET, Path(f"{name}.yaml"))
    assert find_network(f"{name}.yaml") == NET
    csv = Path(f"{name}.csv")
    csv.write_text("Layer, M, N, K,\nG, 2, 3, 5,\n")
    assert run(monkeypatch, "networks", "--json", "--out", "o u t", "--", csv) == 0
    assert json.loads(capsys.readouterr().out)["name"] == name
    assert find_network(Path("o u t") / f"{name}.yaml").macs == 30


def test_a_networks_name_leaves_no_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    """The file of a network whose name has a slash is in the folder that was asked for."""
    monkeypatch.chdir(tmp_path)
    write_network_yaml(NET.model_copy(update={"name": "../a/b"}), Path("n.yaml"))
    assert run(monkeypatch, "networks", "n.yaml", "--out", "out") == 0
    assert sorted(p.name for p in tmp_path.rglob("*.yaml")) == [".._a_b.yaml", "n.yaml"]
    capsys.readouterr()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lists_and_workloads_are_read_in_every_unicode_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a b.é"
    path.write_bytes("LD 0x40\nST 0x80\n\n".encode(encoding))
    address, write = read_trace(path)
    assert (address.tolist(), write.tolist()) == ([64, 128], [False, True])
    whole = find_workload("gpt2-small-wikitext2")
    short = type(whole)(whole.name, whole.rows.iloc[:5], authors=True)
    short.write(path)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    found = read_workload(path)
    assert found.authors
    assert found.rows.equals(short.rows)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe", b"\xef\xbb\xbf\n"])
def test_an_empty_list_of_transactions_is_an_error(content: bytes, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "t").write_bytes(content)
    check_refused("dram t", "t: no transactions; expected LD", tmp_path, monkeypatch, capsys)


def test_an_empty_training_trace_is_an_error(tmp_path: Path, monkeypatch, capsys) -> None:
    meta = TraceMeta(origin="test", seed=0, method="bdwp", pattern="2:8", fp16=True, batch=1, samples=1, rates={},
                     momentum=0.9, weight_decay=0.0, versions={}, dense_causes={}, network=NET)  # fmt: skip
    write_trace(tmp_path / "t", meta, {0: {"é": {"weight": np.zeros((3, 2), np.float32)}}})
    path = tmp_path / "t" / "records.parquet"
    assert len(Trace.read(tmp_path / "t").records) == 1
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    check_refused("sat --trace t", "records.parquet: an empty trace: no tensors", tmp_path, monkeypatch, capsys)


def test_an_empty_attention_trace_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text(json.dumps({"format": FORMAT}))
    pq.write_table(pa.table({"file": pa.array([], pa.string())}), tmp_path / "steps.parquet")
    with pytest.raises(InputError, match=r"steps.parquet: an empty trace: no steps$"):
        read_attention_trace(tmp_path)
