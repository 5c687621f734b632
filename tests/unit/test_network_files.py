# SPDX-License-Identifier: Apache-2.0
"""Networks from files: YAML, SCALE-Sim CSV and ONNX give the same layers where they describe the same network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from algorithms.shapes import network_of
from algorithms.training.vision import MODELS
from dataflow.errors import InputError
from dataflow.importers.network_files import read_network, write_network_yaml
from dataflow.networks.network import Conv, Linear
from dataflow.networks.zoo import NETWORKS, network
from tests.support import tools

SAMPLES = Path(__file__).parents[1] / "data" / "scalesim"


def weighted(net):
    return [x for x in net.layers if isinstance(x, Conv | Linear)]


@pytest.mark.parametrize("name", NETWORKS)
def test_yaml_round_trip(name: str, tmp_path: Path) -> None:
    write_network_yaml(network(name), tmp_path / "n.yaml")
    assert read_network(tmp_path / "n.yaml") == network(name)


def test_yaml_keeps_awkward_names(tmp_path: Path) -> None:
    odd = network("resnet9").model_copy(update={"name": "it's: {2:4}, 'no' # x"})
    write_network_yaml(odd, tmp_path / "n.yaml")
    assert read_network(tmp_path / "n.yaml") == odd


def test_scalesim_resnet18_is_the_torch_module() -> None:
    """With "same" padding the CSV is torch's ResNet-18; only the order of the shortcuts differs. The CSV's Conv2 is
    already behind the pooling."""
    with torch.device("meta"):
        traced = network_of(MODELS["resnet18"][0](), torch.zeros(1, 3, 224, 224), "resnet18")
    csv = read_network(SAMPLES / "resnet18_conv.csv", csv_padding="same")
    assert len(weighted(csv)) == 21
    keys = [sorted(str(x.model_dump(exclude={"name"})) for x in weighted(n)) for n in (csv, traced)]
    assert keys[0] == keys[1]
    assert csv.macs == network("resnet18").macs == traced.macs


def test_scalesim_valid_output_is_its_own_formula() -> None:
    """SCALE-Sim's output is ceil((H - F + s) / s)."""
    net = read_network(SAMPLES / "resnet18_conv.csv")
    first = net.layers[0]
    assert isinstance(first, Conv)
    assert first.out_height == first.out_width == -(-(224 - 7 + 2) // 2)
    assert all(x.needs_input_grad == (i > 0) for i, x in enumerate(weighted(net)))
    assert isinstance(net.layers[-1], Linear)


def test_scalesim_sparsity_and_gemm() -> None:
    conv = read_network(SAMPLES / "sparsity_conv.csv").layers[0]
    assert conv.sparsity == "2:4"
    assert conv.macs == 3 * 3 * 6 * 3 * 3 * 2
    gemm = read_network(SAMPLES / "sparsity_gemm.csv").layers
    assert [x.sparsity for x in gemm] == ["3:4", "1:4"]
    assert [x.name for x in gemm] == ["GEMM_1", "GEMM_1.2"]
    assert [x.macs for x in gemm] == [3 * 5 * 16, 1 * 5 * 16]
    vit = read_network(SAMPLES / "vit_s_gemm.csv").layers
    assert (vit[0].rows, vit[0].out_features, vit[0].in_features) == (196, 192, 384)
    assert len(vit) == 5


@pytest.mark.parametrize("bom", [False, True])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_spelling_does_not_matter(bom: bool, newline: str, tmp_path: Path) -> None:
    text = (SAMPLES / "sparsity_conv.csv").read_text().replace("\n", newline) + newline + ",,,"
    (tmp_path / "sparsity_conv.csv").write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    assert read_network(tmp_path / "sparsity_conv.csv") == read_network(SAMPLES / "sparsity_conv.csv")


HEAD = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
BROKEN = {
    "": "empty",
    HEAD: "no layers",
    HEAD.replace(" Channels,", "") + "C,8,8,3,3,4,1,\n": "column Channels is missing",
    HEAD.replace(" Strides,", "") + "C,8,8,3,3,4,4,\n": "column Strides is missing",
    "Layer, M, N,\nG,1,2,\n": "column K is missing",
    HEAD + "C,8,8,3,3,4,x,1,\n": "line 2: column Num Filter: 'x'",
    HEAD + "C,8,8,3,3,4,-4,1,\n": "line 2: column Num Filter: '-4'",
    HEAD + "C,8,8,3,3,4,0,1,\n": "line 2: column Num Filter: '0'",
    HEAD + "C,8,8,3,3,4,\n": "line 2: column Num Filter: 'empty'",
    HEAD + "C,8,8,9,3,4,4,1,\n": "line 2: kernel",
    "Layer, M, N, K, Sparsity,\nG,1,2,8,5:4,\n": "line 2: column Sparsity: 5:4: N must",
    "Layer, M, N, K, Sparsity,\nG,1,2,8,many,\n": "line 2: column Sparsity: 'many'",
}


@pytest.mark.parametrize("text", BROKEN)
def test_broken_csv_names_file_line_and_column(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="t.csv") as error:
        read_network(path)
    assert BROKEN[text] in str(error.value)
    assert "\n" not in str(error.value)


BROKEN_YAML = {
    "": "expected fields",
    "name: [": "broken YAML",
    "name: n\nname: m\nlayers: []": "broken YAML",
    "name: n\nlayers: []": "layers",
    "format: hwsim-network/9\nname: n\nlayers: []": "format",
    "name: n\nlayers:\n- {kind: linear, name: a, in_features: 0, out_features: 3}": "in_features",
    "name: n\nlayers:\n- {kind: linear, name: a, in_features: 2, out_features: 3, colour: red}": "colour",
    "name: n\nlayers:\n- {kind: lstm, name: a}": "layers[0]",
    "name: n\nlayers:\n- {kind: linear, name: a, in_features: 2, out_features: 3, sparsity: '4:2'}": "4:2",
    "name: n\nlayers:\n- {kind: linear, name: a, in_features: 2, out_features: 3}\n"
    "- {kind: linear, name: a, in_features: 2, out_features: 3}": "appears twice",
}


@pytest.mark.parametrize("text", BROKEN_YAML)
def test_broken_yaml_names_file_and_field(text: str, tmp_path: Path) -> None:
    path = tmp_path / "n.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="n.yaml") as error:
        read_network(path)
    assert BROKEN_YAML[text] in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    for name in ("n.yaml", "n.csv", "n.onnx", "n.txt", "n"):
        with pytest.raises(InputError, match=name):
            read_network(tmp_path / name)


class Small(nn.Module):
    """One of each kind of layer that ONNX can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 4)


def onnx_small(path: Path, batch: int | str) -> None:
    """`Small`, written by hand with onnx's own helpers (torch's exporter would need another package)."""
    onnx = tools.package("onnx")
    helper, numbers = onnx.helper, onnx.numpy_helper
    rng = torch.Generator().manual_seed(0)

    def weight(name: str, *shape: int):
        return numbers.from_array(torch.randn(*shape, generator=rng).numpy(), name)

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Add", ["p", "p"], ["a"], "add"),
        helper.make_node("GlobalAveragePool", ["a"], ["g"], "gap"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "fw", "fb"], ["y"], "fc", transB=1),
    ]
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", float32, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("y", float32, [batch, 4])],
        [weight("w", 8, 3, 3, 3), *(weight(n, 8) for n in "sbmv"), weight("fw", 4, 8), weight("fb", 4)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.mark.parametrize("batch", [1, 4, "N"])
def test_onnx_is_the_torch_module(batch: int | str, tmp_path: Path) -> None:
    onnx_small(tmp_path / "small.onnx", batch)

    class Whole(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = nn.functional.max_pool2d(self.norm(self.conv(x)).relu(), 2)
            x = x + x
            return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))

    traced = network_of(Whole(), torch.zeros(2, 3, 16, 16), "small")
    found = read_network(tmp_path / "small.onnx")
    assert [x.model_dump(exclude={"name"}) for x in found.layers] == [
        x.model_dump(exclude={"name"}) for x in traced.layers
    ]


def test_broken_onnx(tmp_path: Path) -> None:
    tools.package("onnx")
    onnx_small(tmp_path / "small.onnx", 1)
    whole = (tmp_path / "small.onnx").read_bytes()
    for content in (whole[: len(whole) // 2], b"no model", b""):
        (tmp_path / "broken.onnx").write_bytes(content)
        with pytest.raises(InputError, match="broken.onnx"):
            read_network(tmp_path / "broken.onnx")


def test_a_pattern_that_fits_no_layer_is_answered_with_what_fits() -> None:
    from dataflow.mapping.lowering import nothing_sparse, sparse_layers
    from dataflow.pattern import NM
    from dataflow.training.methods import Method

    net = network("resnet18")
    text = nothing_sparse(net, method=Method.BDWP, pattern=NM(2, 7))
    assert text == ("2:7 fits no layer of resnet18: channels must be a multiple of M. M = 4 or 8 fits 20 of 21 layers")
    sparse = sparse_layers(net, method=Method.BDWP, pattern=NM(2, 8))
    assert list(sparse.values()).count(None) == 20
    assert sparse["conv1"] == "dense by rule: 3 input channels, no multiple of 8"
    assert nothing_sparse(net, method=Method.BDWP, pattern=NM(2, 8)) == ""
    assert nothing_sparse(net, method=Method.DENSE, pattern=NM(2, 7)) == ""
    assert nothing_sparse(net, method=Method.BDWP, pattern=NM(200, 211)).startswith("200:211 fits no layer of resnet18")
    skipped = nothing_sparse(net, method=Method.BDWP, pattern=NM(2, 8), skip=[n for n, c in sparse.items() if not c])
    assert skipped == "bdwp 2:8 makes no layer of resnet18 sparse: dense by rule: 3 input channels, no multiple of 8"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8:2", "8:2: N must be at most M"),
        ("0:2", "0:2: N must be at least 1"),
        ("2:999", "2:999: M must be at most 256"),
        ("two", "'two': write N:M"),
    ],
)
def test_a_pattern_that_cannot_be_is_told_without_a_field_of_ours(text: str, reason: str) -> None:
    from dataflow.pattern import NM

    with pytest.raises(InputError, match=f"^{reason}"):
        NM.parse(text)
