# SPDX-License-Identifier: Apache-2.0
"""Networks from files: YAML of layers, a SCALE-Sim topology CSV, an ONNX model; by the file's suffix."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..files import read_yaml, validated, write_text
from ..networks.network import Network

NETWORK_FORMAT = "hwsim-network/1"


def read_network(path: Path, *, scalesim_padding: str = "valid") -> Network:
    """The network in a file.

    Args:
        scalesim_padding: how a SCALE-Sim CSV's convolutions are padded; see `dataflow.importers.scalesim`.

    Raises:
        InputError: an unknown suffix, or whatever is wrong with the file, in one line.
    """
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return _read_yaml(path)
    if suffix == ".csv":
        from .scalesim import read_topology

        return read_topology(path, padding=scalesim_padding)
    if suffix == ".onnx":
        from .onnx_file import read_onnx

        return read_onnx(path)
    raise InputError(f"{path}: a network file is .yaml, .csv (SCALE-Sim topology) or .onnx")


def _read_yaml(path: Path) -> Network:
    data = read_yaml(path)
    if isinstance(data, dict):
        data = dict(data)
        if data.pop("format", NETWORK_FORMAT) != NETWORK_FORMAT:
            raise InputError(f"{path}: field format: not a network of this version ({NETWORK_FORMAT})")
    return validated(Network, data, str(path))


def write_network_yaml(network: Network, path: Path) -> None:
    """Write a network, one line a layer, in the form `read_network` reads."""
    from ruamel.yaml import YAML

    lines = [f"format: {NETWORK_FORMAT}", f"name: {_flow(network.name)}", "layers:"]
    for layer in network.layers:
        fields = {"kind": layer.kind, **layer.model_dump(mode="json", exclude_defaults=True)}
        lines.append("- {" + ", ".join(f"{k}: {_flow(v)}" for k, v in fields.items()) + "}")
    text = "\n".join(lines) + "\n"
    assert YAML(typ="safe", pure=True).load(text)["name"] == network.name
    write_text(path, text)


def _flow(value: object) -> str:
    """A YAML flow value; text is always quoted (an unquoted 2:4 or ``no`` would not stay text)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    return repr(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
