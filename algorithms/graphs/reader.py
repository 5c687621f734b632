# SPDX-License-Identifier: Apache-2.0
"""Recorded operations as a network: each becomes layers, is free with a reason, or is refused by name.

Two traces of one model, at two sizes of the batch, are laid side by side: a dimension that doubles with the batch is of
samples, one that does not is the model's. So what a layer does for a sample, and what is done once a step whatever the
batch (products of parameters alone), is known. A product whose work grows with the square of the batch is refused.

What a tensor is made of decides what is a weight: an operand that no input of the model reaches and that is made of
parameters (`algorithms.graphs.weights`). Element-wise operations cost DRAM traffic where two different results meet
(``add``, ``gate``), as `dataflow.networks.network.elementwise` states; with a scalar, a parameter or a smaller operand
they ride on a neighbour. Three-dimensional convolutions become two-dimensional ones over the frames that a kernel
reaches, laid side by side as channels: their multiplies are exact, their input frames are fetched once a tap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from dataflow.errors import InputError
from dataflow.files import first_problem
from dataflow.networks.network import Conv, Elementwise, Layer, Linear, MatMul, Network, elementwise
from dataflow.networks.operations import Operations

from . import tables
from .trace import Call, Ref, Trace
from .weights import INDEXED, Elements, Made

Pair = tuple[int, int]
"""A size at the two sizes of the batch."""


class BatchError(InputError):
    """Work that does not grow with the batch as samples do."""


class Reader:
    """Goes through the operations once.

    Args:
        where: file or model, which begins every message.
        first, second: the model's operations at ``batch`` samples and at twice as many; without ``second`` all is of
            one sample.
        ignore: kinds or paths of operations that the user takes for free.

    Raises:
        InputError: from `network`: an operation that is not modelled, and everything else that cannot be counted.
    """

    def __init__(self, where: str, first: Trace, second: Trace | None, batch: int, ignore: Sequence[str] = ()) -> None:
        self.where, self.trace, self.other, self.batch = where, first, second, batch
        self.operations = Operations(where, ignore)
        self.elements = Elements(first)
        self.data = set(first.data)
        """Storages that depend on the model's inputs."""
        self.learned = set(first.parameters)
        """Storages that depend on parameters."""
        self.chosen: dict[int, int] = {}
        """Storages of weights that an input picks, one matrix a vector -> the tensor picked from."""
        self.roots: dict[int, int] = {}
        """Tensors that are an element-wise function of one other -> that one."""
        self.names: set[str] = set()
        if second is not None:
            ops = [[c.op for c in t.calls] for t in (first, second)]
            if ops[0] != ops[1]:
                raise BatchError(f"{where}: its operations are others at a batch of {batch} and of {2 * batch}")

    def network(self, name: str) -> Network:
        """The network of all operations."""
        for call in self.trace.calls:
            self._flow(call)
            try:
                self._read(call)
            except (ValidationError, InputError) as error:
                if {call.op, call.path or call.op} & set(self.operations.ignore):
                    self._refuse(call)
                    continue
                if isinstance(error, BatchError) or str(error).startswith(f"{self.where}: "):
                    raise
                why = first_problem(error) if isinstance(error, ValidationError) else str(error)
                raise InputError(f"{self.where}: {call.path or call.op}: {why}") from None
        return self.operations.network(name)

    # --- what depends on what

    def _storage(self, ref: Ref) -> int:
        return self.trace.storages[ref.number]

    def _is_data(self, ref: Ref) -> bool:
        return self._storage(ref) in self.data

    def _flow(self, call: Call) -> None:
        """What the results of an operation depend on, and which parameters they hold."""
        inputs = [self._storage(r) for r in call.inputs]
        data, learned = any(s in self.data for s in inputs), any(s in self.learned for s in inputs)
        kind = base(call.op)
        if kind in tables.INDICES | tables.CONSTANTS and not call.op.endswith("_"):
            learned = False  # a mask's values have no gradient
        for out in call.outs:
            storage = self._storage(out)
            if data:
                self.data.add(storage)
            if learned:
                self.learned.add(storage)
            if storage not in inputs:
                self._made(call, kind, out, data)
            elif call.op.endswith("_"):
                self._written(call, out)
            else:
                continue  # a view of what is known
            self._root(call, kind, out)

    def _written(self, call: Call, out: Ref) -> None:
        """An operation in place: what it writes into a constant may be of parameters."""
        storage = self._storage(out)
        sources = [r.number for r in call.inputs if self._weight(r) and self._storage(r) != storage]
        known = self.elements.has(out.number) and storage not in self.elements.poured
        if sources and not known and base(call.op) not in _PRODUCTS:
            self.elements.pour(storage, sources)
        self.elements.constants.pop(storage, None)
        self.trace.real.pop(storage, None)

    def _made(self, call: Call, kind: str, out: Ref, data: bool) -> None:
        storage, sources = self._storage(out), [r for r in call.inputs if self.elements.has(r.number)]
        if storage in self.trace.parameters or storage in self.elements.made or kind in _PRODUCTS:
            return
        if not data and not any(self._storage(r) in self.learned for r in call.inputs):
            self.elements.constants[storage] = call, out.number
        if data:
            whole = [r for r in call.inputs[:1] if self.elements.has(r.number) and not self._is_data(r)]
            if kind in INDEXED and whole:
                self.chosen[storage] = whole[0].number
            elif kind in ("aten.clone", "aten._to_copy") and self._storage(call.inputs[0]) in self.chosen:
                self.chosen[storage] = self.chosen[self._storage(call.inputs[0])]
            return
        if not sources:
            return
        shape = self.trace.tensors[out.number].shape
        like = next((r.number for r in sources if self.trace.tensors[r.number].shape == shape), None)
        if kind in tables.KEEPS_ELEMENTS or (kind in INDEXED and sources == call.inputs[:1]):
            self.elements.made[storage] = Made(call, out.number)
        elif kind in tables.MOVES:
            self.elements.pour(storage, [r.number for r in sources])
        elif kind in tables.NORMS or kind in tables.SOFTMAXES or kind in tables.FUSES or kind in tables.COMBINES:
            full = [r for r in call.inputs if self.trace.tensors[r.number].shape == shape]
            if self._grows(self._numel(out)):
                return  # as learned queries for each sample: activations
            if like is not None:
                self.elements.made[storage] = Made(call, out.number, like)
            elif any(self._storage(r) in self.learned for r in full):
                return  # a bias added to a product
            elif self.trace.tensors[out.number].numel() >= max(self.trace.tensors[r.number].numel() for r in sources):
                self.elements.pour(storage, [r.number for r in sources])

    def _root(self, call: Call, kind: str, out: Ref) -> None:
        if not (
            kind in tables.FUSES or kind in tables.COMBINES or kind in ("aten.clone", "aten._to_copy", "aten.view")
        ):
            return
        size = self.trace.tensors[out.number].numel()
        same = [r.number for r in call.inputs if self.trace.tensors[r.number].numel() == size and self._is_data(r)]
        roots = {self.roots.get(n, n) for n in same}
        if len(roots) == 1:
            self.roots[out.number] = roots.pop()

    # --- sizes

    def _shape(self, ref: Ref) -> list[Pair]:
        one = self.trace.tensors[ref.number].shape
        two = self.other.tensors[ref.number].shape if self.other is not None else one
        return list(zip(map(int, one), map(int, two), strict=True))

    def _numel(self, ref: Ref) -> Pair:
        return _prod(self._shape(ref))

    def _grows(self, size: Pair) -> bool:
        return size[1] != size[0]

    def _share(self, size: Pair, path: str, what: str) -> tuple[int, bool]:
        """A size of one sample, and whether it is that of a whole step.

        Raises:
            BatchError: it grows otherwise than the batch.
        """
        one, two = size
        if self.other is None:
            return one, False
        if one == two:
            return one, True
        if two != 2 * one:
            raise BatchError(
                f"{self.where}: {path}: {what} grow from {one} to {two} as the batch grows from {self.batch} to "
                f"{2 * self.batch}: not as samples do (is the first dimension of the inputs the batch?)"
            )
        if one % self.batch:
            raise BatchError(f"{self.where}: {path}: {one} {what} are no multiple of the batch of {self.batch}")
        return one // self.batch, False

    def _about(self, size: Pair) -> tuple[int, bool]:
        """A size of one sample, rounded up where it is none, and whether it is that of a whole step."""
        one, two = size
        if self.other is None or one == two:
            return one, self.other is not None
        return -(-one // self.batch), False

    # --- layers

    def _name(self, call: Call, suffix: str = "") -> str:
        base_name = ".".join(p for p in (call.path, suffix) if p) or "model"
        name, i = base_name, 2
        while name in self.names:
            name, i = f"{base_name}.{i}", i + 1
        self.names.add(name)
        return name

    def _model(self, call: Call, *layers: Layer) -> None:
        self.operations.model(layers[0].name, call.op, *layers)

    def _free(self, call: Call, reason: str) -> None:
        self.operations.free(call.path or call.op, call.op, reason)

    def _refuse(self, call: Call, why: str = "is not modelled") -> None:
        self.operations.refuse(call.path or call.op, call.op, why)

    def _elementwise(self, call: Call, op: str, elements: Pair, suffix: str = "", **sizes: Pair) -> Elementwise:
        count, once = self._about(elements)
        more = {name: self._about(size)[0] for name, size in sizes.items()}
        layer = elementwise(self._name(call, suffix), op, count, **more)
        return layer.model_copy(update={"once": True}) if once else layer

    # --- every operation

    def _read(self, call: Call) -> None:
        kind = base(call.op)
        if kind in _PRODUCTS:
            _PRODUCTS[kind](self, call)
        elif kind in tables.VIEWS:
            self._free(call, tables.VIEW)
        elif kind in tables.CONSTANTS:
            self._free(call, tables.CONSTANT)
        elif kind in tables.SCALARS:
            self._free(call, tables.ASKED)
        elif kind in tables.MOVES:
            self._free(call, tables.MOVED)
        elif kind in tables.INDICES:
            self._free(call, tables.INDEX)
        elif kind in _COUNTED:
            self._counted(call, kind)
        elif kind in tables.FUSES:
            self._free(call, tables.FUSED)
        else:
            self._refuse(call)

    def _counted(self, call: Call, kind: str) -> None:
        """Operations that cost DRAM traffic, unless they are of parameters alone or of indices."""
        alone = not any(self._is_data(r) for r in call.inputs) and not any(
            self._grows(self._numel(r)) for r in call.outs
        )
        if alone and kind not in ("aten.embedding", "aten._embedding_bag"):
            self._free(call, tables.ALONE)
        elif not any(_is_float(self.trace.tensors[r.number]) for r in (*call.outs, *call.inputs)):
            self._free(call, tables.INDEX)
        else:
            _COUNTED[kind](self, call)

    def _combine(self, call: Call) -> None:
        """Two tensors, element by element."""
        mine = [r for r in call.inputs if not self.elements.has(r.number) or self._is_data(r)]
        shape = self._shape(call.outs[0])
        full = [r for r in mine if self._shape(r) == shape]
        if len(full) < 2 or len(shape) < 2:
            self._free(call, tables.BROADCAST)
        elif base(call.op) in tables.ADDS:
            self._model(call, self._add(call, full))
        elif len({self.roots.get(r.number, r.number) for r in full}) == 1:
            self._free(call, tables.FUSED)
        else:
            self._model(call, self._elementwise(call, "gate", self._numel(call.outs[0]), "gate"))

    def _add(self, call: Call, full: list[Ref]) -> Elementwise:
        count, once = self._about(self._numel(call.outs[0]))
        layer = elementwise(self._name(call, "add"), "add", count, inputs=2)
        return layer.model_copy(update={"once": True}) if once else layer

    def _reduce(self, call: Call) -> None:
        x, y = call.inputs[0], call.outs[0]
        if self._numel(y) >= self._numel(x):
            self._free(call, tables.FUSED)
        else:
            self._model(call, self._elementwise(call, "pool", self._numel(x), outputs=self._numel(y)))

    def _upsample(self, call: Call) -> None:
        x, y = self._numel(call.inputs[0]), self._numel(call.outs[0])
        self._model(call, self._elementwise(call, "upsample", x, outputs=y))

    def _norm(self, call: Call) -> None:
        self._model(call, self._elementwise(call, tables.NORMS[base(call.op)], self._numel(call.inputs[0])))

    def _softmax(self, call: Call) -> None:
        self._model(call, self._elementwise(call, "softmax", self._numel(call.inputs[0]), "softmax"))

    def _embedding(self, call: Call) -> None:
        self._model(call, self._elementwise(call, "embedding", self._numel(call.outs[0])))

    def _embedding_bag(self, call: Call) -> None:
        table, indices = call.inputs[0], call.inputs[1]
        width = self._shape(table)[-1]
        rows = _prod([self._numel(indices), width])
        self._model(call, self._elementwise(call, "pool", rows, outputs=self._numel(call.outs[0])))

    def _pass(self, call: Call) -> None:
        self._model(call, self._elementwise(call, base(call.op).removeprefix("aten."), self._numel(call.inputs[0])))

    def _loss(self, call: Call) -> None:
        self._model(
            call, self._elementwise(call, "loss", self._numel(call.inputs[0]), outputs=self._numel(call.outs[0]))
        )

    # --- products

    def _weight(self, ref: Ref) -> bool:
        """Whether a tensor is made of parameters, and of no input."""
        return self.elements.has(ref.number) and not self._is_data(ref)

    def _product(
        self, call: Call, a: Ref | None, b: Ref, sizes: tuple[Pair, Pair, Pair, Pair], suffix: str = "matmul"
    ) -> Layer:
        """A batch of products ``a [rows, reduction] b [reduction, cols]`` as a layer.

        Args:
            a: None: a result of this operation.
            sizes: how many products, rows, reduction, cols.
        """
        many, m, k, n = sizes
        grown = [s for s in sizes if self._grows(s)]
        path = call.path or call.op
        if any(self.trace.tensors[r.number].dtype.is_complex for r in call.inputs):
            raise InputError("products of complex numbers are not modelled")
        if len(grown) > 1:
            raise BatchError(
                f"{self.where}: {path}: {call.op}'s work grows with the square of the batch, which no sample has alone "
                f"(is the first dimension of the inputs the batch? --ignore-op {call.op} counts it as nothing)"
            )
        if a is not None and self._weight(a) and self._weight(b) and not grown and self.other is not None:
            new = sum(self.elements.take(r.number)[1] for r in (a, b))
            return self._matmul(call, sizes, suffix).model_copy(update={"weights": new})
        turned = a is not None and not self._weight(b) and (self._weight(a) or self._picked(a, k, m) is not None)
        if turned:  # the weights are on the left: the same product the other way round
            assert a is not None
            a, b, m, n = b, a, n, m
        grad = a is None or self._storage(a) in self.learned
        table = self._picked(b, k, n)
        if self._grows(k) or self._grows(n):
            pass
        elif self._weight(b):
            return self._linear(call, b, _prod([many, m]), k[0], n[0], grad)
        elif table is not None:
            return self._linear(call, table, _prod([many, m]), k[0], n[0], grad, active=1)
        elif not self._is_data(b) and not self._grows(many) and (a is None or self._is_data(a)):
            rows, once = self._share(m, path, "rows")
            elements = many[0] * k[0] * n[0]
            return Linear(
                name=self._name(call, suffix), in_features=k[0], out_features=n[0], rows=rows, once=once,
                experts=many[0], active=many[0], shared=elements, sparsity="dense", needs_input_grad=grad,
            )  # fmt: skip
        return self._matmul(call, sizes, suffix)

    def _picked(self, ref: Ref, k: Pair, n: Pair) -> Ref | None:
        """The weights from which an input picks a matrix for each vector, as a router picks experts."""
        number = self.chosen.get(self._storage(ref))
        if number is None or self.trace.tensors[number].dim() < 3:
            return None
        return Ref(number) if self.trace.tensors[number].numel() % (k[0] * n[0]) == 0 else None

    def _matmul(self, call: Call, sizes: tuple[Pair, Pair, Pair, Pair], suffix: str) -> MatMul:
        path = call.path or call.op
        grown = next((i for i, s in enumerate(sizes) if self._grows(s)), None)
        count, rows, reduction, cols = (
            self._share(s, path, "rows")[0] if i == grown else s[0] for i, s in enumerate(sizes)
        )
        once = grown is None and self.other is not None
        return MatMul(name=self._name(call, suffix), rows=rows, reduction=reduction, cols=cols, count=count, once=once)

    def _linear(
        self, call: Call, weight: Ref, vectors: Pair, inputs: int, outputs: int, grad: bool, active: int | None = None
    ) -> Linear:
        """Vectors through a matrix of parameters, or through several."""
        held, new = self.elements.take(weight.number)
        each = inputs * outputs
        experts = held // each if held and held % each == 0 else 1
        count, once = self._share(vectors, call.path or call.op, "rows")
        active = active or (experts if count % experts == 0 else 1)
        rows = count // experts if active == experts else count
        return Linear(name=self._name(call), in_features=inputs, out_features=outputs, rows=rows, experts=experts,
                      active=active, shared=max(0, experts * each - new), once=once, needs_input_grad=grad)  # fmt: skip

    def _mm(self, call: Call) -> None:
        """Two matrices: mm (a, b), addmm (c, a, b)."""
        a, b = _tensors(call)[-2:]
        (m, k), n = self._shape(a), self._shape(b)[1]
        self._model(call, self._product(call, a, b, (_ONE, m, k, n)))

    def _bmm(self, call: Call) -> None:
        a, b = _tensors(call)[-2:]
        (many, m, k), n = self._shape(a), self._shape(b)[2]
        self._model(call, self._product(call, a, b, (many, m, k, n)))

    def _mv(self, call: Call) -> None:
        a, b = _tensors(call)[-2:]
        m, k = self._shape(a)
        self._model(call, self._product(call, a, b, (_ONE, m, k, _ONE)))

    def _dot(self, call: Call) -> None:
        a, b = _tensors(call)[-2:]
        self._model(call, self._product(call, a, b, (_ONE, _ONE, self._shape(a)[0], _ONE)))

    def _grouped_mm(self, call: Call) -> None:
        """Vectors sorted by expert, each through its expert's matrix."""
        a, b = _tensors(call)[:2]
        shapes = self._shape(a), self._shape(b)
        if len(shapes[0]) != 2 or len(shapes[1]) != 3 or not self._weight(b):
            return self._refuse(call, "is modelled for vectors through matrices of weights alone")
        (vectors, k), n = shapes[0], shapes[1][2]
        self._model(call, self._linear(call, b, vectors, k[0], n[0], self._storage(a) in self.learned, active=1))
        return None

    def _trilinear(self, call: Call) -> None:
        """`nn.Bilinear`: x1 through a matrix for each output, the results times x2."""
        if not self._weight(call.args[1]) or call.args[6] != [2, 3]:
            return self._refuse(call, "is modelled as nn.Bilinear has it alone")
        x1, w, x2 = call.args[:3]
        rows = self._shape(x1)[0]
        outputs, first, second = (n[0] for n in self._shape(w))
        through = self._linear(call, w, rows, first, outputs * second, self._storage(x1) in self.learned)
        count, once = self._share(rows, call.path or call.op, "rows")
        dot = MatMul(name=self._name(call, "matmul"), rows=outputs, reduction=second, cols=1, count=count, once=once)
        assert self._storage(x2) is not None
        self._model(call, through, dot)
        return None

    def _attention(self, call: Call) -> None:
        """Scores, softmax, values; query heads that share a key's head are rows of one product."""
        q, k, v = (call.argument(i, name) for i, name in enumerate(("query", "key", "value")))
        shapes = [self._shape(r) for r in (q, k, v)]
        heads = [_prod(s[-3:-2]) for s in shapes]
        batch = max((_prod(s[:-3]) for s in shapes), key=lambda size: size[1])
        (tokens, dim), (keys, _), (_, width) = (s[-2:] for s in shapes)
        group = heads[0][0] // max(heads[1][0], 1), heads[0][1] // max(heads[1][1], 1)
        many = _prod([batch, heads[1] if group[0] > 1 else max(heads)])
        rows = _prod([tokens, group]) if group[0] > 1 else tokens
        scores = self._product(call, q, k, (many, rows, dim, keys), "qk")
        weights = self._elementwise(call, "softmax", _prod([many, rows, keys]), "softmax")
        values = self._product(call, None, v, (many, rows, keys, width), "pv")
        self._model(call, scores, weights, values)

    def _recurrent(self, call: Call) -> None:
        """LSTM, GRU and plain cells: the inputs' products for all steps at once, the states' step by step."""
        if not isinstance(call.args[1], list | tuple | Ref) or isinstance(call.args[3], list | tuple):
            return self._refuse(call, "of packed sequences, whose steps depend on values, is not modelled")
        x, _, params, biases, count, _, _, both_ways, batch_first = call.args[:9]
        shape = self._shape(x)
        steps = shape[-2] if batch_first or len(shape) == 2 else shape[0]
        rows = _prod([s for i, s in enumerate(shape[:-1]) if i != (1 if batch_first and len(shape) == 3 else 0)])
        path = call.path or call.op
        if self._grows(steps):
            raise BatchError(
                f"{self.where}: {path}: the steps of {call.op} grow with the batch: is the first "
                "dimension of its inputs the batch (batch_first)?"
            )
        gates = {"aten.lstm": 4, "aten.gru": 3}.get(call.op, 1)
        states = 2 if call.op == "aten.lstm" else 1
        each = len(params) // (count * (2 if both_ways else 1))
        found: list[Layer] = []
        for i in range(0, len(params), each):
            w_in, w_state, *rest = params[i : i + each]
            layer, back = divmod(i // each, 2) if both_ways else (i // each, 0)
            name = f"l{layer}" + (".reverse" if back else "")
            hidden = self._shape(w_state)[0][0] // gates
            if not self._weight(w_in) or not self._weight(w_state):
                return self._refuse(call, "with weights that an input makes is not modelled")
            learned = layer > 0 or self._storage(x) in self.learned
            found.append(self._cell(call, f"{name}.input", w_in, _prod([rows, steps]), 1, learned))
            found.append(self._cell(call, f"{name}.hidden", w_state, rows, steps[0], True))
            size = gates * hidden
            moved = {"ff_read": 2 * size + (states - 1) * hidden, "ff_write": states * hidden,
                     "bp_read": size + 2 * states * hidden, "bp_write": size + states * hidden}  # fmt: skip
            many, once = self._about(_prod([rows, steps]))
            cell = self._name(call, f"{name}.cell")
            found.append(Elementwise(name=cell, op="cell", once=once, **{f: v * many for f, v in moved.items()}))
            if len(rest) in (1, 3) and (not biases or len(rest) == 3):
                found.append(self._cell(call, f"{name}.projection", rest[-1], rows, steps[0], True))
        self._model(call, *found)
        return None

    def _cell(self, call: Call, name: str, weight: Ref, rows: Pair, steps: int, grad: bool) -> Linear:
        (outputs, _), (inputs, _) = self._shape(weight)
        _, new = self.elements.take(weight.number)
        each, once = self._share(rows, call.path or call.op, "rows")
        return Linear(name=self._name(call, name), in_features=inputs, out_features=outputs, rows=each, steps=steps,
                      shared=inputs * outputs - new, once=once, needs_input_grad=grad)  # fmt: skip

    def _conv(self, call: Call) -> None:
        x, w, _, stride, padding, dilation, transposed, output_padding, groups = call.args[:9]
        y = call.outs[0]
        in_shape, out_shape, kernel = self._shape(x), self._shape(y), [n[0] for n in self._shape(w)[2:]]
        flat = len(kernel)
        if flat not in (1, 2, 3):
            return self._refuse(call, f"of {flat} dimensions is not modelled")
        path = call.path or call.op
        if not self._weight(w) and self._is_data(w):
            return self._dynamic_conv(call, x, y, w, transposed, groups)
        if any(self._grows(n) for n in in_shape[1:]):
            raise BatchError(f"{self.where}: {path}: the channels or the size of the image grow with the batch")
        if self._weight(w):
            sharing: dict[str, Any] = {
                "shared": math.prod(n[0] for n in self._shape(w)) - self.elements.take(w.number)[1]
            }
        else:
            sharing = {"shared": math.prod(n[0] for n in self._shape(w)), "sparsity": "dense"}
        images, once = self._share(in_shape[0], path, "images")
        channels, outputs = in_shape[1][0], out_shape[1][0]
        stride, padding, dilation, output_padding = (
            list(v) * (flat if len(v) == 1 else 1) for v in (stride, padding, dilation, output_padding)
        )
        size = [n[0] for n in in_shape[2:]]
        if flat == 3:  # frames that a kernel reaches lie side by side, as channels
            depth, frames = kernel.pop(0), (in_shape if transposed else out_shape)[2][0]
            images *= frames
            channels, outputs = (channels, outputs * depth) if transposed else (channels * depth, outputs)
            for values in (size, stride, padding, dilation, output_padding):
                values.pop(0)
        elif flat == 1:
            for values, fill in ((size, 1), (kernel, 1), (stride, 1), (padding, 0), (dilation, 1), (output_padding, 0)):
                values.insert(0, fill)
        layer = Conv(
            name=self._name(call), in_channels=channels, out_channels=outputs, height=size[0], width=size[1],
            kernel=(kernel[0], kernel[1]), stride=(stride[0], stride[1]), padding=(padding[0], padding[1]),
            dilation=(dilation[0], dilation[1]), transposed=transposed,
            output_padding=(output_padding[0], output_padding[1]) if transposed else (0, 0), groups=groups,
            images=images, once=once, needs_input_grad=self._storage(x) in self.learned, **sharing,
        )  # fmt: skip
        self._model(call, layer)
        return None

    def _dynamic_conv(self, call: Call, x: Ref, y: Ref, w: Ref, transposed: bool, groups: int) -> None:
        """A convolution whose kernel is an activation: a product of two activations for each group."""
        in_shape, out_shape, kernel = self._shape(x), self._shape(y), self._shape(w)
        positions = _prod((in_shape if transposed else out_shape)[2:])
        group = (groups, groups if self.other is None else self._groups(call))
        inner, outer = (out_shape, in_shape) if transposed else (in_shape, out_shape)
        reduction = _prod([_over(inner[1], group), *kernel[2:]])
        sizes = (_prod([in_shape[0], group]), positions, reduction, _over(outer[1], group))
        self._model(call, self._product(call, x, w, sizes))

    def _groups(self, call: Call) -> int:
        """Groups of a convolution at the other size of the batch."""
        assert self.other is not None
        place = next(i for i, c in enumerate(self.trace.calls) if c is call)
        return int(self.other.calls[place].args[8])


_ONE = (1, 1)


def base(op: str) -> str:
    """The operation that one is a form of: ``aten.relu`` of ``aten.relu_``, ``aten.slice`` of ``aten.slice_copy``."""
    if op.endswith("_") and not op.endswith("__"):
        op = op[:-1]
    elif op.endswith("_copy") and op not in ("aten._to_copy", "aten.index_copy"):
        op = op.removesuffix("_copy")
    return op.removesuffix("_inplace")


def _prod(sizes: Sequence[Pair]) -> Pair:
    return math.prod(s[0] for s in sizes), math.prod(s[1] for s in sizes)


def _over(size: Pair, by: Pair) -> Pair:
    return size[0] // by[0], size[1] // by[1]


def _is_float(x: Any) -> bool:
    return bool(x.dtype.is_floating_point or x.dtype.is_complex)


def _tensors(call: Call) -> list[Ref]:
    """The operands of a product; those that are added come before them."""
    return [a for a in call.args if isinstance(a, Ref)]


_PRODUCTS: dict[str, Callable[[Reader, Call], None]] = {
    **dict.fromkeys(("aten.mm", "aten.addmm", "aten._addmm_activation", "aten._int_mm"), Reader._mm),
    **dict.fromkeys(("aten.bmm", "aten.baddbmm", "aten.addbmm"), Reader._bmm),
    **dict.fromkeys(("aten.mv", "aten.addmv"), Reader._mv),
    **dict.fromkeys(("aten.dot", "aten.vdot"), Reader._dot),
    **dict.fromkeys(("aten._grouped_mm", "transformers.grouped_mm_fallback"), Reader._grouped_mm),
    "aten._trilinear": Reader._trilinear,
    **dict.fromkeys(("aten.convolution", "aten._convolution", "aten.convolution_overrideable"), Reader._conv),
    **dict.fromkeys(
        (
            "aten.scaled_dot_product_attention", "aten._scaled_dot_product_flash_attention",
            "aten._scaled_dot_product_efficient_attention", "aten._scaled_dot_product_cudnn_attention",
            "aten._scaled_dot_product_flash_attention_for_cpu", "aten._scaled_dot_product_attention_math",
            "aten._scaled_dot_product_fused_attention_overrideable",
        ),
        Reader._attention,
    ),
    **dict.fromkeys(("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.rnn_relu"), Reader._recurrent),
}  # fmt: skip

_COUNTED: dict[str, Callable[[Reader, Call], None]] = {
    **dict.fromkeys(tables.COMBINES, Reader._combine),
    **dict.fromkeys(tables.REDUCES, Reader._reduce),
    **dict.fromkeys(tables.UPSAMPLES, Reader._upsample),
    **dict.fromkeys(tables.NORMS, Reader._norm),
    **dict.fromkeys(tables.SOFTMAXES, Reader._softmax),
    **dict.fromkeys(tables.PASSES, Reader._pass),
    **dict.fromkeys(tables.LOSSES, Reader._loss),
    "aten.embedding": Reader._embedding,
    **dict.fromkeys(
        ("aten._embedding_bag", "aten._embedding_bag_forward_only", "aten.embedding_bag"), Reader._embedding_bag
    ),
}
