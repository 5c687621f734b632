# SPDX-License-Identifier: Apache-2.0
"""Lowering: layers to the matrix products of a training step (FF, BP, WU), with implicit im2col.

A product is ``Y[rows, cols] = L[rows, reduction] R[reduction, cols]``, done ``count`` times with different operands
(attention heads, convolution groups, samples). Convolutions never build the im2col matrix in DRAM: an operand with a
``Window`` is read as the image it comes from, so overlapping windows are counted once per buffer residency.

Reduction order of a convolution (it fixes the rounding): channel group of M outermost, then kernel row, kernel column,
then the channels of the group. BP of a stride-s convolution is the gather form, one product for each of the s x s
residue classes of input pixels ("phases"), each with the kernel taps that reach it: no zero-stuffed gradient and no
scatter. A phase without a tap needs no product. A transposed convolution's FF is such a BP, its BP such an FF.

Weights that several layers share are read by each; every layer leaves its own gradient, and the update adds them up.
The steps of a recurrent layer are products one after the other in FF and BP, and one product in WU.

A mixture of experts spreads its vectors over its experts as evenly as they go; an expert without a vector is not read.

``macs`` counts the multiply-accumulates of the algorithm, as a hook on the torch module does: batch x output pixels x
weights in each pass. A product may issue a few more (kernel taps that fall on padding in BP): the machine counts those
as padding.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..errors import InputError, did_you_mean
from ..networks.network import Conv, Elementwise, Linear, MatMul, Network, Phase, Weighted
from ..pattern import DENSE, MAX_GROUP, NM
from ..training.methods import Method, Pass

MASTER_BYTES, MOMENTUM_BYTES, HALF_BYTES = 4, 4, 2
"""Of a weight: FP32 master and momentum; of an operand's element, FP16."""


@dataclass(frozen=True, slots=True)
class Window:
    """The image behind an im2col operand: ``images`` of ``height x width x channels``, read through a sliding window.

    The operand has ``images * out_height * out_width`` positions and ``channels * taps_h * taps_w`` features.
    ``pad_top`` rows of zeros lie above each image; neighbouring taps are ``dilation_h`` rows apart.
    """

    images: int
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    taps_h: int
    taps_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    dilation_h: int = 1
    dilation_w: int = 1

    @property
    def taps(self) -> int:
        return self.taps_h * self.taps_w


@dataclass(frozen=True, slots=True)
class Operand:
    """Where a product's operand lives: ``weight``, ``activation`` or ``gradient`` in DRAM, FP16.

    ``window``: None for a plain matrix. ``positions_on_rows``: for a windowed left operand, whether the window's
    positions run along the product's rows (FF, BP) or along the reduction (WU).
    """

    kind: str
    window: Window | None = None
    positions_on_rows: bool = True


@dataclass(frozen=True, slots=True)
class Product:
    """One matrix product of a layer in a pass; see the module's head. ``pattern`` is the right operand's, along K."""

    layer: str
    pass_: Pass
    part: int
    rows: int
    reduction: int
    cols: int
    count: int
    macs: int
    pattern: NM
    left: Operand
    right: Operand
    dense_cause: str | None = None
    in_turn: bool = False
    """Whether the ``count`` products run one after the other, each on results of the one before, with one weight."""

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.pass_}" + (f".{self.part}" if self.part else "")


@dataclass(frozen=True, slots=True)
class VectorOp:
    """An element-wise layer in a pass: bytes from and to DRAM, whole batch."""

    layer: str
    pass_: Pass
    op: str
    read_bytes: int
    write_bytes: int

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.pass_}"


@dataclass(frozen=True, slots=True)
class Update:
    """The weight update of a layer: ``weights`` elements, and the patterns to pre-generate (FF's and BP's)."""

    layer: str
    weights: int
    ff_pattern: NM
    bp_pattern: NM
    added: int = 0
    """Gradients of weights that an earlier layer updates, read to be added to its own."""

    @property
    def name(self) -> str:
        return f"{self.layer}.UP"

    def traffic(self, stored: Sequence[NM]) -> tuple[int, int]:
        """Bytes read and written in DRAM: master, momentum and FP16 gradients in, master and momentum out, and each
        form of FP16 weights that a pass will read.

        Args:
            stored: patterns (FF's, BP's) whose values and indices are stored; with fewer than two, dense weights too.
        """
        n = self.weights
        written = n * (MASTER_BYTES + MOMENTUM_BYTES) + sum(p.storage_bytes(n) for p in stored)
        read = n * (MASTER_BYTES + MOMENTUM_BYTES + HALF_BYTES) + self.added * HALF_BYTES
        return read, written + (n * HALF_BYTES if len(stored) < 2 else 0)


Work = Product | VectorOp | Update


@dataclass(frozen=True, slots=True)
class Workload:
    """A training step (or a part of it) of a network as an ordered list of work, with how it was made."""

    network: str
    batch: int
    method: Method
    pattern: NM
    work: tuple[Work, ...]
    phase: Phase = "training"
    context: int | None = None
    """Tokens of a sequence, where the network is a language model."""
    ignored: tuple[str, ...] = ()
    """Operations that the user took for free, though none models them (`Network.ignored`)."""

    @property
    def products(self) -> list[Product]:
        return [w for w in self.work if isinstance(w, Product)]

    def macs(self, pass_: Pass | None = None) -> int:
        """Multiply-accumulates of the algorithm (dense count), in one pass or in all."""
        return sum(p.macs for p in self.products if pass_ is None or p.pass_ == pass_)


ALL_PASSES = (Pass.FF, Pass.BP, Pass.WU)


def lower(
    network: Network,
    *,
    batch: int,
    method: Method,
    pattern: NM,
    passes: Sequence[Pass] = ALL_PASSES,
    skip: Collection[str] = (),
) -> Workload:
    """The work of one step in the order it runs: FF forwards, then WU and BP backwards, then the weight updates.

    Args:
        batch: samples in a step, >= 1.
        method, pattern: the training method and its N:M pattern; a layer's own ``sparsity`` overrides the pattern and
            the channel rule.
        passes: which passes to include; updates are included with WU.
        skip: names of layers left dense.

    Raises:
        InputError: batch < 1, a name in ``skip`` that is no layer, or another pass than FF in an inference phase.
    """
    if batch < 1:
        raise InputError(f"batch {batch}: must be at least 1")
    if network.phase != "training" and set(passes) != {Pass.FF}:
        raise InputError(f"passes: {network.phase} of network {network.name} is the forward pass alone: FF")
    names = {layer.name for layer in network.layers}
    for name in skip:
        if name not in names:
            hint = did_you_mean(name, names)
            raise InputError(f"skip: network {network.name} has no layer {name!r}{'; ' + hint if hint else ''}")
    ff: list[Work] = []
    backward: list[list[Work]] = []
    updates: list[Work] = []
    for layer in network.layers:
        samples = 1 if layer.once else batch
        if isinstance(layer, Elementwise):
            each = 2 * samples
            ff.append(VectorOp(layer.name, Pass.FF, layer.op, each * layer.ff_read, each * layer.ff_write))
            if Pass.BP in passes:
                backward.append([VectorOp(layer.name, Pass.BP, layer.op, each * layer.bp_read, each * layer.bp_write)])
            if Pass.WU in passes and layer.parameters:
                updates.append(Update(layer.name, layer.parameters, DENSE, DENSE))
            continue
        if isinstance(layer, MatMul):
            ff += [_matmul(layer, samples, Pass.FF)]
            backward.append([_matmul(layer, samples, p) for p in (Pass.WU, Pass.BP) if p in passes])
            if Pass.WU in passes and layer.weights:
                updates.append(Update(layer.name, layer.weights, DENSE, DENSE))
            continue
        patterns, cause = _patterns(layer, method, pattern, skip)
        make = _conv if isinstance(layer, Conv) else _linear
        ff += make(layer, samples, Pass.FF, patterns[Pass.FF], cause, method)
        back: list[Work] = []
        if Pass.WU in passes:
            back += make(layer, samples, Pass.WU, DENSE, cause, method)
            bp = DENSE if method.prunes_gradients else patterns[Pass.BP]
            updates.append(Update(layer.name, layer.weights, patterns[Pass.FF], bp, layer.shared))
        if Pass.BP in passes and layer.needs_input_grad:
            back += make(layer, samples, Pass.BP, patterns[Pass.BP], cause, method)
        backward.append(back)
    work = (ff if Pass.FF in passes else []) + [w for back in reversed(backward) for w in back] + updates
    work = [w for w in work if not isinstance(w, VectorOp) or w.read_bytes or w.write_bytes]
    return Workload(network.name, batch, method, pattern, tuple(work), network.phase, network.context, network.ignored)


def sparse_layers(
    network: Network, *, method: Method, pattern: NM, skip: Collection[str] = ()
) -> dict[str, str | None]:
    """Why each layer with weights stays dense in every pass; None where the method makes it N:M sparse."""
    weighted = [layer for layer in network.layers if isinstance(layer, Conv | Linear)]
    return {layer.name: _patterns(layer, method, pattern, skip)[1] for layer in weighted}


def nothing_sparse(network: Network, *, method: Method, pattern: NM, skip: Collection[str] = ()) -> str:
    """A warning where a sparse method makes no layer sparse, with the M that would fit; empty where all is well.

    For example: ``2:7 fits no layer of resnet18: channels must be a multiple of M. M = 4, 8, 16, 32 or 64 fits 19 of
    21 layers``.
    """
    causes = sparse_layers(network, method=method, pattern=pattern, skip=skip)
    if method.is_dense or pattern.is_dense or not causes or None in causes.values():
        return ""
    fits: dict[int, int] = {}
    for m in range(max(2, pattern.n_keep + 1), MAX_GROUP + 1):
        found = sparse_layers(network, method=method, pattern=NM(pattern.n_keep, m), skip=skip)
        fits[m] = list(found.values()).count(None)
    most = max(fits.values(), default=0)
    if not most:
        return f"{method} {pattern} makes no layer of {network.name} sparse: {next(iter(causes.values()))}"
    best = [str(m) for m, count in fits.items() if count == most]
    text = best[0] if len(best) == 1 else ", ".join(best[:-1]) + " or " + best[-1]
    return (
        f"{pattern} fits no layer of {network.name}: channels must be a multiple of M. "
        f"M = {text} fits {most} of {len(causes)} layers"
    )


def _patterns(layer: Weighted, method: Method, pattern: NM, skip: Collection[str]) -> tuple[dict[Pass, NM], str | None]:
    own = NM.parse(layer.sparsity) if layer.sparsity is not None else None
    cause: str | None
    if own is not None:
        cause = "dense method" if method.is_dense else "dense by file" if own.is_dense else None
        cause = "dense by name" if layer.name in skip else cause
        pattern = own
    elif isinstance(layer, Conv):
        cin, cout = layer.in_channels // layer.groups, layer.out_channels // layer.groups
        cause = method.dense_cause(layer.name, cin, cout, pattern, skip)
    else:
        cause = method.dense_cause(layer.name, layer.in_features, layer.out_features, pattern, skip)
    use = DENSE if cause else pattern
    return {p: method.pattern_of(p, use) for p in ALL_PASSES}, cause


def _linear(
    layer: Conv | Linear, batch: int, pass_: Pass, pattern: NM, cause: str | None, method: Method
) -> list[Product]:
    assert isinstance(layer, Linear)
    i, o = layer.in_features, layer.out_features
    x, w, dy = Operand("activation"), Operand("weight"), Operand("gradient")
    # vectors are spread over the experts as evenly as they go: some take one more than the others
    vectors = batch * layer.rows * layer.active
    each, more = divmod(vectors, layer.experts)
    shares = [(each + 1, more), (each, layer.experts - more)]
    if layer.steps > 1:
        shares = [(vectors, layer.steps)] if pass_ is not Pass.WU else [(vectors * layer.steps, 1)]
    in_turn = layer.steps > 1 and pass_ is not Pass.WU
    products = []
    for part, (a, count) in enumerate(share for share in shares if all(share)):
        macs = a * count * i * o
        if pass_ is Pass.FF:
            product = Product(layer.name, pass_, part, a, i, o, count, macs, pattern, x, w, cause, in_turn)
        elif pass_ is Pass.WU:
            product = Product(layer.name, pass_, part, i, a, o, count, macs, DENSE, x, dy, cause)
        elif method.prunes_gradients and not pattern.is_dense:  # the pruned operand goes on the right: dX^T = W dY^T
            product = Product(layer.name, pass_, part, i, o, a, count, macs, pattern, w, dy, cause, in_turn)
        else:
            product = Product(layer.name, pass_, part, a, o, i, count, macs, pattern, dy, w, cause, in_turn)
        products.append(product)
    return products


def _conv(
    layer: Conv | Linear, batch: int, pass_: Pass, pattern: NM, cause: str | None, method: Method
) -> list[Product]:
    assert isinstance(layer, Conv)
    if layer.transposed:
        return _transposed(layer, batch, pass_, pattern, cause, method)
    return _plain_conv(layer, batch, pass_, pattern, cause, pruned=method.prunes_gradients and not pattern.is_dense)


_OPPOSITE = {Pass.FF: Pass.BP, Pass.BP: Pass.FF, Pass.WU: Pass.WU}
_SWAPPED = {"activation": "gradient", "gradient": "activation", "weight": "weight"}


def _transposed(layer: Conv, batch: int, pass_: Pass, pattern: NM, cause: str | None, method: Method) -> list[Product]:
    """The products of the plain convolution that leads back, with activations and gradients in each other's place."""
    found = []
    for p in _plain_conv(layer.adjoint, batch, _OPPOSITE[pass_], pattern, cause):
        left, right = (replace(o, kind=_SWAPPED[o.kind]) for o in (p.left, p.right))
        turned = replace(p, pass_=pass_, left=left, right=right)
        if pass_ is Pass.BP and method.prunes_gradients and not pattern.is_dense:
            turned = replace(turned, rows=p.cols, cols=p.rows, left=right, right=left)
        found.append(turned)
    return found


def _plain_conv(
    layer: Conv, batch: int, pass_: Pass, pattern: NM, cause: str | None, *, pruned: bool = False
) -> list[Product]:
    """``pruned``: the gradients of BP are, and go on the right."""
    g = layer.groups
    cin, cout = layer.in_channels // g, layer.out_channels // g
    ho, wo = layer.out_height, layer.out_width
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = layer.kernel, layer.stride, layer.padding, layer.dilation
    images = batch * layer.images
    positions = images * ho * wo
    macs = batch * layer.macs
    x = Window(images, layer.height, layer.width, cin, ho, wo, kh, kw, sh, sw, ph, pw, dh, dw)
    if pass_ is Pass.FF:
        left, right = Operand("activation", x), Operand("weight")
        return [Product(layer.name, pass_, 0, positions, cin * kh * kw, cout, g, macs, pattern, left, right, cause)]
    if pass_ is Pass.WU:
        left, right = Operand("activation", x, positions_on_rows=False), Operand("gradient")
        return [Product(layer.name, pass_, 0, cin * kh * kw, positions, cout, g, macs, DENSE, left, right, cause)]
    products = []
    for a in range(sh):
        for b in range(sw):
            # input pixels y with (y + ph) % sh == a are reached by the taps t with t dh == a (mod sh); likewise columns
            y, x_ = phase(layer.height, kh, sh, ph, dh, a), phase(layer.width, kw, sw, pw, dw, b)
            taps = len(y.taps) * len(x_.taps)
            if not (taps and len(y.pixels) and len(x_.pixels)):
                continue
            rows, k = images * len(y.pixels) * len(x_.pixels), cout * taps
            part_macs = positions * cout * g * cin * taps
            dy = Window(
                images, ho, wo, cout, len(y.pixels), len(x_.pixels), len(y.taps), len(x_.taps), 1, 1, y.pad, x_.pad,
                y.apart, x_.apart,
            )  # fmt: skip
            part = a * sw + b
            if pruned:
                # the pruned operand goes on the right: dX^T = W^T dY_col^T; the window is then the right operand's
                l_op, r_op = Operand("weight"), Operand("gradient", dy)
                products.append(
                    Product(layer.name, pass_, part, cin, k, rows, g, part_macs, pattern, l_op, r_op, cause)
                )
            else:
                l_op, r_op = Operand("gradient", dy), Operand("weight")
                products.append(
                    Product(layer.name, pass_, part, rows, k, cin, g, part_macs, pattern, l_op, r_op, cause)
                )
    if products and (rest := macs - sum(p.macs for p in products)):  # taps that reach no pixel of so small an image
        products[0] = replace(products[0], macs=products[0].macs + rest)
    return products


@dataclass(frozen=True, slots=True)
class ConvPhase:
    """One residue class of a convolution's input rows (or columns) and the kernel's taps that reach it."""

    pixels: range
    """Input rows y with (y + pad) % stride == residue."""
    taps: range
    """Kernel rows t with t dilation % stride == residue: of these output rows (y + pad - t dilation) / stride."""
    apart: int
    """Output rows between those that neighbouring taps take."""
    pad: int
    """Rows of zeros above the output gradient that the first pixel's last tap reaches."""


def phase(size: int, taps: int, stride: int, pad: int, dilation: int, residue: int) -> ConvPhase:
    """The pixels and taps of a residue class of BP."""
    pixels = range((residue - pad) % stride, size, stride)
    apart = math.gcd(stride, dilation)
    first = next((t for t in range(min(taps, stride // apart)) if (t * dilation - residue) % stride == 0), taps)
    mine = range(first, taps, stride // apart)
    above = (pixels.start + pad - first * dilation) // stride  # output row of the first pixel's first tap
    return ConvPhase(pixels, mine, dilation // apart, max(0, (len(mine) - 1) * dilation // apart - above))


def _matmul(layer: MatMul, batch: int, pass_: Pass) -> Product:
    """Attention products have two operand gradients: dA = dY B^T is listed under BP, dB = A^T dY under WU."""
    m, k, n = layer.rows, layer.reduction, layer.cols
    if pass_ is Pass.BP:
        m, k, n = layer.rows, layer.cols, layer.reduction
    elif pass_ is Pass.WU:
        m, k, n = layer.reduction, layer.rows, layer.cols
    kind = "activation" if pass_ is Pass.FF else "gradient"
    count = batch * layer.count
    cause = "attention product: no weights"
    return Product(
        layer.name, pass_, 0, m, k, n, count, batch * layer.macs, DENSE, Operand("activation"), Operand(kind), cause
    )
