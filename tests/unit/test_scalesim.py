# SPDX-License-Identifier: Apache-2.0
"""SCALE-Sim topologies in every spelling that its own files have, with the MACs of its rule; wrong ones by line.

The rule, of SCALE-Sim's topology_utils.py: outputs are ceil((H - F + s) / s) in each direction, MACs are outputs times
filter height, filter width, channels and filters; a layer with DP in its name is one layer a channel, of one channel.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.errors import InputError
from dataflow.importers import read_network
from dataflow.mapping.lowering import lower
from dataflow.networks.network import Conv, Linear
from dataflow.pattern import DENSE
from dataflow.training.methods import Method, Pass
from tests.support.cli import check_refused

HANDED = Path(__file__).parents[1] / "data" / "front_ends" / "topology"
HEAD = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
ROW = "C, 20, 30, 3, 3, 8, 16, 1,\n"
MACS = 18 * 28 * 3 * 3 * 8 * 16


def read(text: str | bytes, folder: Path, name: str = "net.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_network(path)


@pytest.mark.parametrize(
    ("file", "macs"),
    [
        ("two_strides_rowonly", 98 * 50 * 9 * 8 * 16),
        ("width_twice", MACS),
        ("num_filters", MACS),
        ("section_title", MACS),
    ],
)
def test_handed_files_have_the_macs_of_scalesims_rule(file: str, macs: int) -> None:
    assert read_network(HANDED / f"{file}.csv").macs == macs


def test_the_first_of_two_widths_is_the_height() -> None:
    (layer,) = read_network(HANDED / "width_twice.csv").layers
    assert isinstance(layer, Conv)
    assert (layer.height, layer.width, layer.out_height, layer.out_width) == (20, 30, 18, 28)


def test_a_sparsity_ratio_is_a_pattern() -> None:
    (layer,) = read_network(HANDED / "gemm_sparse_ratio.csv").layers
    assert isinstance(layer, Linear)
    assert (layer.sparsity, layer.rows, layer.in_features, layer.out_features) == ("2:4", 64, 128, 128)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ROW,
        "\n\n" + HEAD + "\n" + ROW + ",,,,\n",
        HEAD.rstrip(",\n") + "\n" + ROW.rstrip(",\n"),
        (HEAD + ROW).replace(",", "\t"),
        (HEAD + ROW).replace(",", ";"),
        (HEAD + ROW).replace("\n", "\r\n"),
        (HEAD + ROW).replace(" IFMAP", "\u00a0 IFMAP"),
        HEAD.lower() + ROW,
        HEAD.replace("Num Filter", "num filters").replace("Channels", "channel") + ROW,
        HEAD.replace("IFMAP Height", "rows of the image") + ROW,
        "Layer, IFMAP Width, IFMAP Width, Filter Width, Filter Width, Channels, Num Filter, Strides,\n" + ROW,
        "a, b, c, d, e, f, g, h,\n" + ROW,
        HEAD.replace("Strides,", "Strides, Batch Size,") + ROW,
        HEAD.replace("Strides,", "Strides, Batch Size,") + ROW.replace(" 1,", " 1, 1,"),
        HEAD.replace("Strides,", "Stride Height, Stride Width,") + ROW.replace(" 1,", " 1, 1,"),
        HEAD.replace("Strides,", "Strides, Strides,") + ROW.replace(" 1,", " 1, 1,"),
        HEAD.replace("Strides,", "Strides,,,Eh,Ew,e2") + ROW.replace(" 1,", " 1,,,18,28,504"),
        HEAD + ROW.rstrip(",\n") + ",#dw\n",
        "My net,\n" + HEAD + "Its layers,\n" + ROW,
        HEAD + 'C, "20", 30, 3, 3, 8, 16, 1,\n',
        "Num Filter, Channels".join(HEAD.split("Channels, Num Filter")) + "C, 20, 30, 3, 3, 16, 8, 1,\n",
    ],
)
def test_a_topology_may_be_spelled_in_many_ways(text: str, tmp_path: Path) -> None:
    net = read(text, tmp_path)
    assert (net.macs, net.weights, len(net.layers)) == (MACS, 9 * 8 * 16, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_a_topology_may_have_any_encoding(encoding: str, tmp_path: Path) -> None:
    (layer,) = read((HEAD + ROW.replace("C,", "é,")).encode(encoding), tmp_path, "mein Netz.é.v2.csv").layers
    assert (layer.name, layer.macs) == ("é", MACS)


def test_depthwise_rows_are_one_layer_a_channel(tmp_path: Path) -> None:
    (layer,) = read(HEAD + "DP1, 20, 30, 3, 3, 8, 2, 1,\n", tmp_path).layers
    assert isinstance(layer, Conv)
    assert (layer.groups, layer.out_channels) == (8, 16)
    assert layer.macs == sum(18 * 28 * 3 * 3 * 1 * 2 for channel in range(8))
    assert layer.weights == 8 * 9 * 2


def test_a_batch_column_is_work_and_no_weights(tmp_path: Path) -> None:
    batch = HEAD.replace("Strides,", "Strides, Batch Size,")
    conv, line = read(batch + ROW.replace(" 1,", " 1, 4,") + "F, 1, 1, 1, 1, 8, 16, 1, 4,\n", tmp_path).layers
    assert isinstance(conv, Conv)
    assert isinstance(line, Linear)
    assert (conv.macs, conv.weights, conv.images) == (4 * MACS, 9 * 8 * 16, 4)
    assert (line.macs, line.weights, line.rows) == (4 * 8 * 16, 8 * 16, 4)
    (gemm,) = read("Layer, M, N, K, Batch,\nG, 2, 3, 5, 7,\n", tmp_path).layers
    assert (gemm.macs, gemm.weights) == (7 * 2 * 3 * 5, 15)


def test_images_of_a_sample_are_lowered_as_samples_are(tmp_path: Path) -> None:
    batch = HEAD.replace("Strides,", "Strides, Batch Size,")
    four = read(batch + ROW.replace(" 1,", " 1, 4,"), tmp_path)
    one = read(HEAD + ROW, tmp_path)
    found = [lower(net, batch=b, method=Method.DENSE, pattern=DENSE).work for net, b in ((four, 3), (one, 12))]
    assert found[0] == found[1]


def test_a_second_stride_and_a_pattern_may_stand_without_a_title(tmp_path: Path) -> None:
    (layer,) = read(HEAD + "C, 100, 101, 3, 3, 8, 16, 1, 2, 2:4,\n", tmp_path).layers
    assert isinstance(layer, Conv)
    assert (layer.stride, layer.sparsity, layer.out_height, layer.out_width) == ((1, 2), "2:4", 98, 50)
    swapped = HEAD.replace("Strides,", "Stride Width, Stride Height, Sparsity,")
    (layer,) = read(swapped + "C, 100, 101, 3, 3, 8, 16, 2, 1, 1:1,\n", tmp_path).layers
    assert isinstance(layer, Conv)
    assert (layer.stride, layer.sparsity) == ((1, 2), "dense")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD.replace("Strides,", "Strides, Dilation,") + ROW.replace(" 1,", " 1, 2,"), "line 2: column 'Dilation'"),
        (HEAD + ROW + "D, 20, 30, 3, 3, 8, 16, 1, 2, 3,\n", "line 3: column 10: '3': no title says what it is"),
        (HEAD + ROW.rstrip(",\n") + ",dw\n", "line 2: column 9: 'dw': no title"),
        (HEAD + "FC, 1, 1, 1, ,1 2, 2, 1,\n", "line 2: column Filter Width: 'empty'"),
        (HEAD + "L, 1, B, 1, 1, H, H, 1,\n", "line 2: column IFMAP Width: 'B'"),
        (HEAD + "C, 20, 30, 3, 3, 8, 16, " + "9" * 5000 + ",\n", "line 2: column Strides: '999"),
        (HEAD.replace("IFMAP Height", "Channels") + ROW, "line 1: column IFMAP Height is missing"),
        (HEAD.replace("Strides,", "Strides, Channels,") + ROW, "line 1: column Channels appears twice"),
        (ROW + ROW, "line 1: numbers where the titles"),
        ("Layer, M, N, K, Strides,\nG, 1, 2, 3, 2,\n", "line 1: column IFMAP Height is missing"),
        ("Layer, M, N, K, Stride Width,\nG, 1, 2, 3, 2,\n", "line 2: column 'Stride Width' is not known"),
        ("IFMAP Height, IFMAP Width, Filter Height,\n1, 2, 3,\n", "line 1: column IFMAP Height stands first"),
        ("MyNet,\n", "empty"),
    ],
)
def test_what_has_no_meaning_is_refused_by_line_and_column(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="net.csv") as error:
        read(text, tmp_path)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_reads_and_refuses_them(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "bad.csv").write_text(HEAD.replace("Strides,", "Strides, Groups,") + ROW.replace(" 1,", " 1, 2,"))
    check_refused(
        "sat --topology bad.csv", "bad.csv: line 2: column 'Groups' is not known", tmp_path, monkeypatch, capsys
    )


def test_a_second_stride_is_simulated() -> None:
    """The products of the machine have 98 x 50 rows."""
    work = lower(
        read_network(HANDED / "two_strides_rowonly.csv"), batch=1, method=Method.DENSE, pattern=DENSE, passes=(Pass.FF,)
    )
    assert [p.rows for p in work.products] == [98 * 50]
