# SPDX-License-Identifier: Apache-2.0
"""Importers and networks from outside, and what `find_network` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.errors import InputError
from dataflow.importers import IMPORTERS, find_network, read_network, write_network_yaml
from dataflow.networks.network import Linear, Network
from dataflow.networks.zoo import NETWORKS, network
from tests.support.plugin import installed

SOURCE = """
from dataflow.networks.network import Linear, Network

def read(path, *, rows=1):
    sizes = [int(word) for word in path.read_text().split()]
    layer = Linear(name="only", in_features=sizes[0], out_features=sizes[1], rows=rows)
    return Network(name=path.stem, layers=(layer,))

def tiny():
    return Network(name="tiny", layers=(Linear(name="only", in_features=2, out_features=3),))
"""
TINY = Network(name="tiny", layers=(Linear(name="only", in_features=2, out_features=3),))


def test_a_format_of_an_installed_package_is_read_and_listed(tmp_path: Path) -> None:
    file = tmp_path / "tiny.sizes"
    file.write_text("2 3")
    with pytest.raises(InputError, match=r"tiny.sizes: a network file is .yaml, .yml, .csv, .json, .onnx, .pt2$"):
        read_network(file)
    points = {"hwsim.importers": {"sizes": "size_files:read"}}
    with installed(tmp_path, "size-files", {"size_files": SOURCE}, points):
        assert read_network(file) == TINY
        assert find_network(str(file)) == TINY
        assert read_network(file, rows=5, csv_padding="same").layers[0].rows == 5
        with pytest.raises(InputError, match=r"did you mean .sizes\? a network file is .*, .onnx, .sizes, .pt2$"):
            read_network(tmp_path / "tiny.size")


def test_a_network_of_an_installed_package_is_found_by_name(tmp_path: Path) -> None:
    points = {"hwsim.networks": {"tiny": "size_files:tiny"}}
    with installed(tmp_path, "size-files", {"size_files": SOURCE}, points):
        assert find_network("tiny") == TINY
        assert "tiny" in NETWORKS
    with pytest.raises(InputError, match="network 'tiny'"):
        find_network("tiny")


def test_an_importer_of_the_process_may_give_only_networks(tmp_path: Path) -> None:
    (tmp_path / "a.odd").write_text("")
    IMPORTERS.add(".odd", lambda path: 3)
    try:
        with pytest.raises(InputError, match="gave a int, no Network"):
            read_network(tmp_path / "a.odd")
    finally:
        IMPORTERS.remove("odd")


def test_find_network_takes_a_name_a_file_and_a_network(tmp_path: Path) -> None:
    assert find_network("resnet9") == network("resnet9")
    assert find_network(TINY) is TINY
    write_network_yaml(TINY, tmp_path / "tiny.YAML")
    assert find_network(tmp_path / "tiny.YAML") == TINY
    other = TINY.model_copy(update={"name": "other"})
    write_network_yaml(other, tmp_path / "tiny.YAML")
    assert find_network(tmp_path / "tiny.YAML") == other, "a file that was changed is read again"


@pytest.mark.parametrize(
    ("wanted", "match"),
    [
        ("resnt18", r"^network 'resnt18': did you mean resnet18\? Known: resnet9, .*; or a file \(.yaml, .yml, .csv"),
        ("nowhere/net.yaml", r"^nowhere/net.yaml: cannot be read"),
        ("net.yamlx", r"^net.yamlx: did you mean .yaml\? a network file is"),
        (3, "^network: expected a name, a file or a Network, found int"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(wanted: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        find_network(wanted)  # type: ignore[arg-type]
