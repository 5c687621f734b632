# SPDX-License-Identifier: Apache-2.0
"""Trace folders: what is written is read back; whatever is damaged is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dataflow.errors import InputError
from dataflow.networks.network import Linear, Network
from dataflow.training.trace import Trace, TraceMeta, write_trace


def tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    mask = np.zeros((8, 16), bool)
    mask[:, ::4] = True  # 2 of 8 along the inputs
    bp = np.zeros((8, 16), bool)
    bp[:2] = True
    return {"weight": rng.standard_normal((8, 16)).astype(np.float32), "ff_mask": mask, "bp_mask": bp}


def write(folder: Path, **changed: np.ndarray) -> Trace:
    network = Network(name="n", layers=(Linear(name="fc", in_features=16, out_features=8),))
    meta = TraceMeta(
        origin="a test", seed=3, method="bdwp", pattern="2:8", fp16=True, batch=4, samples=2, rates={0: 0.1},
        momentum=0.9, weight_decay=0.0, versions={"numpy": np.__version__}, dense_causes={"fc": None}, network=network,
    )  # fmt: skip
    return write_trace(folder, meta, {0: {"fc": tensors(np.random.default_rng(0)) | changed}})


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path)
    trace = Trace.read(tmp_path)
    trace.check()
    assert trace.steps == [0]
    assert trace.layers(0) == ["fc"]
    for name, array in tensors(np.random.default_rng(0)).items():
        np.testing.assert_array_equal(trace.tensors(0, "fc")[name], array)
    assert trace.meta.network.layers[0].name == "fc"
    assert str(trace.pattern) == "2:8"
    density = {r.tensor: r.density for r in trace.records}
    assert density["ff_mask"] == density["bp_mask"] == 0.25


def nan_weight() -> dict[str, np.ndarray]:
    weight = np.ones((8, 16), np.float32)
    weight[2, 3] = np.nan
    return {"weight": weight}


def test_nan_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"step-000000.npz: fc/weight: NaN at \(2, 3\)"):
        write(tmp_path, **nan_weight()).check()


@pytest.mark.parametrize(("name", "axis"), [("ff_mask", 1), ("bp_mask", 0)])
def test_a_mask_that_keeps_too_many_is_named(name: str, axis: int, tmp_path: Path) -> None:
    mask = tensors(np.random.default_rng(0))[name]
    index = [0, 0]
    index[axis] = 7
    mask[tuple(index)] = True
    with pytest.raises(InputError, match=f"fc/{name}: a group keeps 3 of 8, the pattern 2:8 allows 2"):
        write(tmp_path, **{name: mask}).check()


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("file", ["meta.json", "records.parquet", "step-000000.npz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.98])
def test_truncated_files_are_named(file: str, share: float, tmp_path: Path) -> None:
    write(tmp_path)
    cut(tmp_path / file, share)
    with pytest.raises(InputError, match=file) as error:
        Trace.read(tmp_path).check()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["meta.json", "records.parquet", "step-000000.npz"])
def test_missing_files_are_named(file: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(InputError, match=file):
        Trace.read(tmp_path).check()


def test_any_flipped_byte_of_a_tensor_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "t")
    path = tmp_path / "t" / "step-000000.npz"
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    wrong = {r.tensor: t for r, t in zip(Trace.read(tmp_path / "t").records, range(3), strict=True)}
    assert len(wrong) == 3
    for place in rng.integers(60, len(whole) // 2, 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(InputError, match="step-000000.npz"):
            Trace.read(tmp_path / "t").check()


def test_swapped_tensors_are_noticed(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", weight=np.zeros((8, 16), np.float32))
    shutil.copy(tmp_path / "b" / "step-000000.npz", tmp_path / "a" / "step-000000.npz")
    with pytest.raises(InputError, match="fc/weight: field crc32"):
        Trace.read(tmp_path / "a").check()


@pytest.mark.parametrize(
    ("field", "value"),
    [("format", "hwsim-trace/9"), ("pattern", "8:2"), ("method", "magic"), ("batch", 0), ("network", {}), ("extra", 1)],
)
def test_wrong_meta_names_the_field(field: str, value: object, tmp_path: Path) -> None:
    write(tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text()) | {field: value}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="meta.json|pattern|method") as error:
        Trace.read(tmp_path)
    assert str(value) in str(error.value) or field in str(error.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "records.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["crc32"]), path)
    with pytest.raises(InputError, match="records.parquet: column crc32 is missing"):
        Trace.read(tmp_path)
