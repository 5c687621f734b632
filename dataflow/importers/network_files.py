# SPDX-License-Identifier: Apache-2.0
"""Networks from files, by the file's suffix, and `find_network`, which takes whatever a user may name.

Read here: YAML of layers, a SCALE-Sim topology CSV, an ONNX model, a language model's Hugging Face ``config.json``;
with torch, an archive of `torch.export` and ``package.module:factory``, which gives a module. An installed package adds
a suffix by an entry point of the group ``hwsim.importers``, named by the suffix without its dot; a script by
``@IMPORTERS.register("mlp")``. An importer is a function of the path that gives a `Network` and raises
`InputError` for a file it cannot read; keywords that it takes are the options of `read_network`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean, unknown
from ..files import read_yaml, validated, write_text
from ..networks import zoo
from ..networks.network import Network, Phase
from ..registry import Registry, load

Importer = Callable[..., Network]

NETWORK_FORMAT = "hwsim-network/1"

FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""``package.module:name``: a function that gives a torch module, or the module itself."""
_FACTORIES = "algorithms.torch_models:"


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
            (`dataflow.networks.language`). ``ignore``: kinds or names of a graph's operations that cost nothing, though
            none models them (`dataflow.networks.operations`). ``dims``: sizes of a graph's dynamic dimensions by name.
            A setting that does nothing to the network is refused.

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
    return _fits(network, **_phase(options), **{n: v for n, v in options.items() if n not in (*takes, *_PHASE)})


_PHASE = ("phase", "context")


def _phase(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in _PHASE}


def _fits(
    network: Network, *, phase: Phase | None = None, context: int | None = None, ignore: Collection[str] = (),
    dims: Mapping[str, int] | None = None, **others: object,
) -> Network:  # fmt: skip
    """A network that is what was asked for.

    Raises:
        InputError: it is of another phase or context, or of no graph, so that these settings would do nothing.
    """
    for field, names in (("ignore_op", ignore), ("dims", dims or ())):
        for name in names:
            raise InputError(f"{field}: {name}: network {network.name} is made of layers, not of a graph's operations")
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
    if FACTORY.fullmatch(str(network)):
        return _fits(_made_once(str(network), *_stamp(str(network)), _key(options)), **_phase(options))
    path = Path(network)
    if (path / "meta.json").exists():
        from ..training.trace import Trace

        return _fits(Trace.read(path).meta.network, **options)
    a_name = str(network) in zoo.NETWORKS or did_you_mean(str(network), zoo.NETWORKS)  # some have dots
    if path.suffix in IMPORTERS or path.is_file() or (path.suffix and not a_name):
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        return _read_once(path, stamp, _key(options))
    if str(network) not in zoo.NETWORKS:
        files = f"; or a file ({', '.join(suffixes())}), or module:factory"
        raise unknown("network", str(network), zoo.NETWORKS, files)
    return _fits(zoo.network(str(network), **options), **options)


@lru_cache(maxsize=16)
def _read_once(path: Path, stamp: int, options: tuple[tuple[str, Any], ...]) -> Network:
    """A file's network; a sweep asks for it again and again. ``stamp``: when the file was last changed."""
    return read_network(path, **_options(options))


@lru_cache(maxsize=16)
def _made_once(text: str, file: Path | None, stamp: int, options: Key) -> Network:
    """What a factory gives; it is asked again where its file was changed."""
    read: Importer = load(_FACTORIES + "read_factory", text)
    return read(text, **{name: value for name, value in _options(options).items() if name in ("ignore", "dims")})


def factory_file(text: str) -> Path | None:
    """The file of a factory's module, which its network depends on; nothing is imported."""
    found: Path | None = load(_FACTORIES + "factory_file", text)(text)
    return found


def _stamp(text: str) -> tuple[Path | None, int]:
    file = factory_file(text)
    return file, file.stat().st_mtime_ns if file is not None else 0


Key = tuple[tuple[str, Any], ...]


def _key(options: Mapping[str, Any]) -> Key:
    """Options as a cache's key can hold them; `_options` reads it."""

    def frozen(value: Any) -> Any:
        if isinstance(value, Mapping):
            return tuple(sorted(value.items()))
        return tuple(value) if isinstance(value, list | set) else value

    return tuple(sorted((name, frozen(value)) for name, value in options.items()))


def _options(key: Key) -> dict[str, Any]:
    return {name: dict(value) if name == "dims" else value for name, value in key}


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
def _onnx(path: Path, *, ignore: Collection[str] = (), dims: Mapping[str, int] | None = None) -> Network:
    from .onnx_file import read_onnx

    return read_onnx(path, ignore=ignore, dims=dims)


def network_yaml(network: Network) -> str:
    """A network as YAML text, one line a layer, in the form `read_network` reads."""
    from ruamel.yaml import YAML

    lines = [f"format: {NETWORK_FORMAT}", f"name: {_flow(network.name)}"]
    if network.context is not None:
        lines += [f"phase: {network.phase}", f"context: {network.context}"]
    if network.ignored:
        lines.append(f"ignored: {_flow(network.ignored)}")
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
