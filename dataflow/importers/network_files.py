# SPDX-License-Identifier: Apache-2.0
"""Networks from files, by the file's suffix, and `find_network`, which takes whatever a user may name.

Read here: YAML of layers, a SCALE-Sim topology CSV, an ONNX model, a language model's Hugging Face ``config.json``. An
installed package adds a suffix by an entry point of the group ``hwsim.importers``, named by the suffix without its dot;
a script by ``@IMPORTERS.register("pt2")``. An importer is a function of the path that gives a `Network` and raises
`InputError` for a file it cannot read; keywords that it takes are the options of `read_network`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean, unknown
from ..files import read_yaml, validated, write_text
from ..networks import zoo
from ..networks.network import Network, Phase
from ..registry import Registry

Importer = Callable[..., Network]

NETWORK_FORMAT = "hwsim-network/1"


def _importer(suffix: str, thing: Any) -> Importer:
    if not callable(thing):
        raise TypeError(f"expected a function of a path, found {type(thing).__name__}")
    importer: Importer = thing
    return importer


IMPORTERS: Registry[Importer] = Registry(
    "network format", "hwsim.importers", convert=_importer, normal=lambda suffix: suffix.lower().removeprefix(".")
)
"""Readers of network files by suffix, without the dot."""


def read_network(path: Path, **options: Any) -> Network:
    """The network in a file, read by the importer of its suffix.

    Args:
        options: of importers; each gets those it takes. ``csv_padding``: how a SCALE-Sim CSV's convolutions are padded,
            see `dataflow.importers.scalesim`. ``phase``, ``context``: what a language model is run for
            (`dataflow.networks.language`); a network that they do not fit is refused.

    Raises:
        InputError: an unknown suffix (lists those there are), or whatever is wrong with the file, in one line.
    """
    suffix = path.suffix.lower()
    if suffix not in IMPORTERS:
        hint = did_you_mean(suffix, suffixes())
        raise InputError(f"{path}: {hint + ' ' if hint else ''}a network file is {', '.join(suffixes())}")
    importer = IMPORTERS.get(suffix)
    takes = inspect.signature(importer).parameters
    network = importer(path, **{name: value for name, value in options.items() if name in takes})
    if not isinstance(network, Network):
        raise InputError(f"{path}: {IMPORTERS.source(suffix)} gave a {type(network).__name__}, no Network")
    return _fits(network, **options)


def _fits(network: Network, *, phase: Phase | None = None, context: int | None = None, **others: object) -> Network:
    """A network that is what was asked for.

    Raises:
        InputError: it is of another phase or context, so that these settings would do nothing.
    """
    if phase is not None and network.phase != phase:
        why = "is run in training alone" if network.context is None else f"has the shapes of {network.phase}"
        raise InputError(f"phase: {phase}: network {network.name} {why}")
    if context is not None and network.context != context:
        why = "has no sequence" if network.context is None else f"has the shapes of context {network.context}"
        raise InputError(f"context: {context}: network {network.name} {why}")
    return network


def suffixes() -> list[str]:
    """Suffixes of network files, with the dot."""
    return [f".{name}" for name in IMPORTERS]


def find_network(network: str | Path | Network, **options: Any) -> Network:
    """A network by name (`dataflow.networks.zoo`), by file, of a trace's folder, or as it is.

    Args:
        options: as in `read_network`.

    Raises:
        InputError: none of these; a name is answered with the closest one.
    """
    if isinstance(network, Network):
        return _fits(network, **options)
    if not isinstance(network, str | Path):
        raise InputError(f"network: expected a name, a file or a Network, found {type(network).__name__}")
    path = Path(network)
    if (path / "meta.json").exists():
        from ..training.trace import Trace

        return _fits(Trace.read(path).meta.network, **options)
    a_name = str(network) in zoo.NETWORKS or did_you_mean(str(network), zoo.NETWORKS)  # some have dots
    if path.suffix in IMPORTERS or path.is_file() or (path.suffix and not a_name):
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        return _read_once(path, stamp, tuple(sorted(options.items())))
    if str(network) not in zoo.NETWORKS:
        raise unknown("network", str(network), zoo.NETWORKS, f"; or a file ({', '.join(suffixes())})")
    return _fits(zoo.network(str(network), **options), **options)


@lru_cache(maxsize=16)
def _read_once(path: Path, stamp: int, options: tuple[tuple[str, object], ...]) -> Network:
    """A file's network; a sweep asks for it again and again. ``stamp``: when the file was last changed."""
    return read_network(path, **dict(options))


@IMPORTERS.register("yml")
@IMPORTERS.register("yaml")
def read_network_yaml(path: Path) -> Network:
    """The network of a YAML file, as `write_network_yaml` writes it.

    Raises:
        InputError: what is wrong with the file, in one line.
    """
    data = read_yaml(path)
    if isinstance(data, dict):
        data = dict(data)
        if data.pop("format", NETWORK_FORMAT) != NETWORK_FORMAT:
            raise InputError(f"{path}: field format: not a network of this version ({NETWORK_FORMAT})")
    return validated(Network, data, str(path))


@IMPORTERS.register("csv")
def _scalesim(path: Path, *, csv_padding: str = "valid") -> Network:
    from .scalesim import read_topology

    return read_topology(path, padding=csv_padding)


@IMPORTERS.register("json")
def _config(path: Path, *, phase: Phase = "training", context: int | None = None) -> Network:
    from ..networks.hf_config import read_config

    return read_config(path, phase=phase, context=context)


@IMPORTERS.register("onnx")
def _onnx(path: Path) -> Network:
    from .onnx_file import read_onnx

    return read_onnx(path)


def network_yaml(network: Network) -> str:
    """A network as YAML text, one line a layer, in the form `read_network` reads."""
    from ruamel.yaml import YAML

    lines = [f"format: {NETWORK_FORMAT}", f"name: {_flow(network.name)}"]
    if network.context is not None:
        lines += [f"phase: {network.phase}", f"context: {network.context}"]
    lines.append("layers:")
    for layer in network.layers:
        fields = {"kind": layer.kind, **layer.model_dump(mode="json", exclude_defaults=True)}
        lines.append("- {" + ", ".join(f"{k}: {_flow(v)}" for k, v in fields.items()) + "}")
    text = "\n".join(lines) + "\n"
    assert YAML(typ="safe", pure=True).load(text)["name"] == network.name
    return text


def write_network_yaml(network: Network, path: Path) -> None:
    """Write `network_yaml`."""
    write_text(path, network_yaml(network))


def _flow(value: object) -> str:
    """A YAML flow value; text is always quoted (an unquoted 2:4 or ``no`` would not stay text)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    return repr(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
