# SPDX-License-Identifier: Apache-2.0
"""What a reader of graphs (ONNX, torch) made of each operation: a layer, nothing for a stated reason, or a refusal.

The rule of all readers: an operation is modelled, free with a reason, or refused by name. None is passed over in
silence. `Operations` is the list that a reader fills in the order of the graph and turns into a `Network`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from ..errors import InputError, unknown
from .network import Elementwise, Layer, Network, Operation


@dataclass
class Operations:
    """The operations of one graph as a reader goes through them.

    Attributes:
        where: file or model, which begins every message.
        ignore: kinds of operation (``Conv``) or names of single ones that the user takes for free (``--ignore-op``).
    """

    where: str
    ignore: Collection[str] = ()
    done: list[Operation] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)

    def model(self, name: str, op: str, *layers: Layer) -> None:
        """The operation ``name`` of kind ``op`` became these layers."""
        self.layers += layers
        self.done.append(Operation(name=name, op=op, layers=tuple(layer.name for layer in layers)))

    def free(self, name: str, op: str, reason: str) -> None:
        """It costs nothing, for this reason."""
        self.done.append(Operation(name=name, op=op, free=reason))

    def refuse(self, name: str, op: str, why: str = "is not modelled") -> None:
        """It cannot be modelled: an error, or free where the user said so.

        Raises:
            InputError: names the operation, its kind and why, and how to go on without it.
        """
        for ignored in (name, op):
            if ignored in self.ignore:
                self._used.add(ignored)
                self.done.append(Operation(name=name, op=op, free=f"--ignore-op {ignored}", ignored=True))
                return
        raise InputError(f"{self.where}: {name}: {op} {why} (--ignore-op {op} counts it as nothing)")

    def network(self, name: str) -> Network:
        """The network of all layers.

        Raises:
            InputError: no layer at all; a kind or name in ``ignore`` that does nothing: no operation has it, or those
                that have it are modelled or free.
        """
        seen = {o.op for o in self.done} | {o.name for o in self.done}
        for ignored in self.ignore:
            if ignored in seen and ignored not in self._used:
                raise InputError(f"{self.where}: ignore-op: {ignored}: is not refused: there is nothing to ignore")
            if ignored not in seen:
                raise unknown(f"{self.where}: ignore-op", ignored, sorted({o.op for o in self.done}))
        if not self.layers:
            raise InputError(f"{self.where}: no layer was found in the model")
        taken = tuple(f"{o.name} ({o.op})" if o.name != o.op else o.op for o in self.done if o.ignored)
        return Network(name=name, layers=tuple(self.layers), ignored=taken, operations=tuple(self.done))


@dataclass(frozen=True)
class Explained:
    """What became of one operation of a graph, or of one layer of a network that was read from no graph.

    Attributes:
        became: kinds of the layers, or why it is free.
        macs: multiply-accumulates of a sample's forward pass.
        weights: elements of its weights; those that an earlier operation has too are counted there.
        bytes: FP16 bytes of the forward pass's operands and results, a sample, each once.
    """

    name: str
    op: str
    became: str
    layers: tuple[str, ...]
    free: bool
    ignored: bool
    macs: int
    weights: int
    bytes: int


def explain(network: Network) -> list[Explained]:
    """Every operation that a network was read from; where it was no graph, every layer. Sums are the network's."""
    by_name = {layer.name: layer for layer in network.layers}
    operations = network.operations or tuple(
        Operation(name=layer.name, op=layer.kind, layers=(layer.name,)) for layer in network.layers
    )
    rows = []
    for o in operations:
        found = [by_name[name] for name in o.layers]
        became = f"free: {o.free}" if o.free is not None else ", ".join(_text(layer) for layer in found)
        sizes = [layer.weights for layer in found if not isinstance(layer, Elementwise)]
        rows.append(
            Explained(
                o.name, o.op, became, o.layers, o.free is not None, o.ignored, sum(layer.macs for layer in found),
                sum(sizes), 2 * sum(layer.moved for layer in found),
            )
        )  # fmt: skip
    return rows


def _text(layer: Layer) -> str:
    return layer.op if isinstance(layer, Elementwise) else layer.kind
