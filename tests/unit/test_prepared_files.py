# SPDX-License-Identifier: Apache-2.0
"""No file that hwsim reads can run code: files prepared by a stranger are fed to every reader.

Each payload would make a file of its own name, the mark; a test that its reader runs no code fails where the mark is
there afterwards. That the payloads work is shown first, with readers that are not ours.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflow.errors import InputError
from tests.support import tools


class Payload:
    """Its pickle makes the file ``mark`` when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def pickled(mark: Path) -> bytes:
    return pickle.dumps(Payload(mark))


def npy(mark: Path) -> bytes:
    """A .npy file whose array holds the payload."""
    file = io.BytesIO()
    np.save(file, np.array([Payload(mark)], dtype=object), allow_pickle=True)
    return file.getvalue()


def npz(mark: Path, names: tuple[str, ...] = ("meta", "a", "model/x", "stdin")) -> bytes:
    """A .npz of such arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(f"{name}.npy", npy(mark))
    return file.getvalue()


def torch_file(mark: Path) -> bytes:
    torch = tools.package("torch")
    file = io.BytesIO()
    torch.save({"config": Payload(mark), "state": Payload(mark)}, file)
    return file.getvalue()


def parquet(mark: Path) -> bytes:
    """A table with a column of the extension type whose description used to be unpickled."""
    extension = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickled(mark)}
    fields = [pa.field("file", pa.string(), metadata=extension), pa.field("step", pa.int64(), metadata=extension)]
    meta = {b"hwsim": pickled(mark), b"pandas": pickled(mark)}
    table = pa.Table.from_arrays([pa.array(["x.npz"]), pa.array([0])], schema=pa.schema(fields, metadata=meta))
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def yaml(mark: Path) -> bytes:
    return f"name: !!python/object/apply:os.mkdir ['{mark}']\nlayers: []\n".encode()


def yaml_in_a_value(mark: Path) -> bytes:
    return f"steps: !!python/object/apply:os.mkdir ['{mark}']\n".encode()


def expression(mark: Path) -> str:
    return f"().__class__.__base__.__subclasses__() or __import__('os').mkdir('{mark}')"


TEXTS: dict[str, Callable[[Path], bytes]] = {
    "pickle": pickled, "npy": npy, "npz": npz, "torch": torch_file, "parquet": parquet, "yaml": yaml,
    "yaml value": yaml_in_a_value, "expression": lambda mark: f"where: \"{expression(mark)}\"\n".encode(),
    "json": lambda mark: json.dumps({"py/object/apply": "os.mkdir", "args": [str(mark)]}).encode(),
    "csv": lambda mark: f"Layer, M, N, K,\n\"=cmd|'mkdir {mark}'!A1\", 1, 1, 1,\n".encode(),
}  # fmt: skip


def _trace(path: Path) -> object:
    from dataflow.training.trace import Trace

    return Trace.read(path.parent)


def _whole_trace(path: Path) -> None:
    """A trace that is sound but for its tensors."""
    from dataflow.networks.network import Linear, Network
    from dataflow.training.trace import Trace, TraceMeta, write_trace

    network = Network(name="n", layers=(Linear(name="fc", in_features=8, out_features=8),))
    meta = TraceMeta(
        origin="", seed=0, method="dense", pattern="dense", fp16=False, batch=1, samples=1, rates={0: 0.1},
        momentum=0, weight_decay=0, versions={}, dense_causes={"fc": None}, network=network,
    )  # fmt: skip
    write_trace(path.parent, meta, {0: {"fc": {"a": np.zeros(3, np.float32)}}})
    (path.parent / "step-000000.npz").write_bytes(path.read_bytes())
    Trace.read(path.parent).check()


def _attention(path: Path) -> object:
    from dataflow.attention.trace import FORMAT, read_attention_trace

    (path.parent / "meta.json").write_text(json.dumps({"format": FORMAT}))
    table = pa.table({"iteration": [0], "layer": [0], "file": [path.name]})
    pq.write_table(table, path.parent / "steps.parquet")
    return read_attention_trace(path.parent)


def _attention_table(path: Path) -> object:
    from dataflow.attention.trace import FORMAT, read_attention_trace

    (path.parent / "meta.json").write_text(json.dumps({"format": FORMAT}))
    return read_attention_trace(path.parent)


def _workload(path: Path) -> object:
    from dataflow.attention.workload import read_workload

    return read_workload(path)


def _network(path: Path) -> object:
    from dataflow.importers import read_network

    return read_network(path)


def _standard(path: Path) -> object:
    from hwsim.memory.standards import read_standard

    return read_standard(path)


def _dram(path: Path) -> object:
    from hwsim.memory.run import read_trace

    return read_trace(path)


def _load(path: Path | None, sets: list[str] | None) -> object:
    try:
        from hwsim.core.command import load
    except ImportError:
        from hwsim.cli.common import load
    from hwsim.memory.config import DramConfig

    return load(DramConfig, path, sets)


def _settings(path: Path) -> object:
    return _load(path, None)


def _set(path: Path) -> object:
    text = path.read_bytes().decode("utf-8", "replace").partition(":")[2].strip()
    return _load(None, [f"queue={text}"])


def _case(path: Path) -> object:
    from hwsim.verification.case import VerifyOptions, rerun

    return rerun(path, VerifyOptions())


def _result(path: Path) -> object:
    from hwsim.core import result

    if not hasattr(result, "read_result"):
        raise InputError("of the machine's own reader")
    return result.read_result(path, result.SimpleResult)


def _study(path: Path) -> object:
    from hwsim.core.study import StudyTables

    return StudyTables.read(path.parent)


def _store(path: Path) -> object:
    from hwsim.sweeps.table import read_results

    return read_results(path.parent)


def _sweep(path: Path) -> object:
    from dataflow.files import read_yaml, validated
    from hwsim.sweeps.spec import Spec

    return validated(Spec, read_yaml(path), str(path))


def _expression(path: Path) -> object:
    from hwsim.sweeps.expression import Expression

    return Expression(expression(path.parent / "mark"), "where")({})


def _checkpoint(path: Path) -> object:
    from algorithms.training.config import TrainConfig
    from algorithms.training.train import train

    return train(TrainConfig(task="digits-mlp", steps=1, batch=2), path.parent)


def _weights(path: Path) -> object:
    from algorithms.training.config import TrainConfig
    from algorithms.training.train import trained

    return trained(TrainConfig(task="digits-mlp", steps=1, batch=2), path.parent)


def _activity(path: Path) -> object:
    from hwsim.silicon.activity import Activity

    return Activity.read(path)


def _schedule(path: Path) -> object:
    from dataflow.mapping.schedule import Schedule

    return Schedule.read(path)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "trace: meta.json": ("meta.json", _trace),
    "trace: tensors": ("prepared.npz", _whole_trace),
    "attention trace: arrays": ("step.npz", _attention),
    "attention trace: steps": ("steps.parquet", _attention_table),
    "attention workload": ("workload.csv", _workload),
    "network YAML": ("n.yaml", _network),
    "network CSV": ("n.csv", _network),
    "network ONNX": ("n.onnx", _network),
    "DRAM standard": ("d.yaml", _standard),
    "DRAM trace": ("d.trace", _dram),
    "settings": ("s.yaml", _settings),
    "--set": ("s.txt", _set),
    "case": ("sore.case.npz", _case),
    "result": ("r.parquet", _result),
    "study": ("meta.json", _study),
    "sweep file": ("s.yaml", _sweep),
    "sweep results": ("manifest.json", _store),
    "expression": ("none", _expression),
    "schedule": ("s.yaml", _schedule),
    "activity": ("a.json", _activity),
    "training: checkpoint": ("checkpoint.npz", _checkpoint),
    "training: old checkpoint": ("checkpoint.pt", _checkpoint),
    "training: result": ("training.json", _checkpoint),
    "training: weights": ("weights.pt", _weights),
}


@pytest.mark.parametrize("name", READERS)
def test_no_reader_runs_what_a_file_holds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, read = READERS[name]
    if name.startswith("training"):
        tools.package("torch")
    for kind, payload in TEXTS.items():
        folder = tmp_path / kind.replace(" ", "-")
        folder.mkdir()
        mark = folder / "mark"
        (folder / file).write_bytes(payload(mark))
        said = None
        try:
            read(folder / file)
        except InputError as error:
            said = str(error)
        assert not mark.exists(), f"{name} ran what a {kind} file holds"
        assert said is None or "\n" not in said, f"{name}, {kind}"
        if kind == "pickle":
            assert said, f"{name} took a pickle for a file of its own"


def test_the_payloads_do_run_where_they_are_trusted(tmp_path: Path) -> None:
    """What the other test shows would be worth nothing if these did nothing."""
    pickle.loads(pickled(tmp_path / "a"))
    np.load(io.BytesIO(npy(tmp_path / "b")), allow_pickle=True)
    np.load(io.BytesIO(npz(tmp_path / "c")), allow_pickle=True)["meta"]
    made = {"a", "b", "c"}
    torch = tools.package("torch")
    with pytest.raises(FileExistsError):  # twice in one file
        torch.load(io.BytesIO(torch_file(tmp_path / "d")), weights_only=False)
    assert {path.name for path in tmp_path.iterdir()} == made | {"d"}


def _kept_case(path: Path, **changes: Any) -> Path:
    bench = {"top": "sore", "main": "hwsim.sat.bench:engine_main.cpp", "parameters": {"LANES": 4},
             "defines": {"HAS_CLOCK": 1, "CFG(t,a,b,c)": "t.s_cmd_rows=a,t.s_cmd_x=b"}}  # fmt: skip
    meta = {"format": "hwsim-rtl-case/1", "block": "sore", "label": "l", "timed": True, "arrays": [], "bench": bench}
    for key, value in changes.items():
        (bench if key in bench else meta)[key] = value
    np.savez(path, meta=np.array(json.dumps(meta)), stdin=np.zeros(0, np.uint8))
    return path


@pytest.mark.parametrize(
    "change",
    [
        {"main": "os.path:../../evil.cpp"},
        {"main": "evil.inner:main.cpp"},
        {"main": "hwsim.sat.bench:../evil.cpp"},
        {"top": "--exe"},
        {"block": "../../elsewhere"},
        {"defines": {"HAS_CLOCK": '1\nstatic int x = system("mkdir mark");'}},
        {"defines": {"CFG(t,a,b,c)": "system(0)"}},
        {"defines": {"CFG(t,a,b,c)": "t.x=a,std::system(0)"}},
        {"defines": {"fopen": "system"}},
        {"defines": {"TOP_HEADER": "1"}},
        {"parameters": {"LANES": "4 --exe evil.cpp"}},
        {"parameters": {"LANES=4 -x": 4}},
    ],
)
def test_a_kept_case_builds_only_benches_of_ours(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwsim.verification import case
    from hwsim.verification.case import VerifyOptions, rerun

    def build(*_: object, **__: object) -> Path:
        raise AssertionError("was built")

    monkeypatch.setattr(case, "build", build)
    with pytest.raises(InputError, match="not a file of a failing case"):
        rerun(_kept_case(tmp_path / "sore.case.npz", **change), VerifyOptions())
    with pytest.raises(AssertionError, match="was built"):  # as it is without the change
        rerun(_kept_case(tmp_path / "sore.case.npz"), VerifyOptions())


def test_every_bench_of_ours_is_one_that_a_kept_case_may_name() -> None:
    from hwsim.sat.bench import array, core, engines
    from hwsim.sat.config import SatConfig
    from hwsim.spatten.bench import attention
    from hwsim.spatten.config import SpattenConfig
    from hwsim.verification.case import _checked

    benches = [array.bench_of(SatConfig()), core.bench_of(SatConfig()), attention.bench_of(SpattenConfig()),
               engines._bench("sore", {"LANES": 4}, engines.SORE_FIELDS, 8, 12),
               engines._bench("wuve", {"LANES": 4}, engines.WUVE_FIELDS, 8, 12)]  # fmt: skip
    for bench in benches:
        assert _checked(bench) == bench


RISKY = re.compile(
    r"allow_pickle=True|pickle\.loads?\(|weights_only=False|read_pickle|joblib|shelve|marshal|yaml\.(unsafe|full)_load"
    r"|YAML\(typ=.unsafe|(?<![\w.])eval\(|(?<![\w.])exec\(|np\.load\((?![^)]*allow_pickle=False)"
    r"|torch\.load\((?![^)]*weights_only=True)"
)


def test_no_source_of_ours_reads_in_a_way_that_can_run_code() -> None:
    root = Path(__file__).parents[2]
    found = []
    for package in ("dataflow", "algorithms", "hwsim", "reports"):
        for path in (root / package).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").splitlines()
            found += [f"{path.relative_to(root)}:{i}: {line}" for i, line in enumerate(lines, 1) if RISKY.search(line)]
    assert not found
