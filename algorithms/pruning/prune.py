# SPDX-License-Identifier: Apache-2.0
"""Pruning a model, stage by stage: statistics of a stage's inputs, its layers pruned, its outputs to the next stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dataflow.errors import InputError
from dataflow.pattern import DENSE

from .mask import Masks
from .method import Gradients, Inputs, Layer, Order, PruningMethod
from .patterns import Pattern, misfit
from .subject import Subject, as_matrix, as_rows, as_weight, filters_of, weight_of

Tick = Callable[[str], None]
FISHER_WEIGHTS = 12_000_000
"""Weights whose Fisher blocks are held at once; of blocks of 32 they take 128 bytes each."""
FISHER_SAMPLES = 16
"""Gradients that are held at once."""


@dataclass(frozen=True, slots=True)
class LayerResult:
    """What became of one layer."""

    name: str
    pattern: str
    weights: int
    kept: int
    """Those of wrappers among them."""
    dense_cause: str | None
    error: float
    """Relative output error ||(W' - W) X|| / ||W X|| on the calibration inputs (Frobenius)."""
    seconds: float
    """CPU seconds of the method on this layer."""
    wrappers: int = 0
    """Side of the blocks of the block-diagonal matrices around it; 0: none."""

    @property
    def density(self) -> float:
        return self.kept / self.weights


@torch.no_grad()
def prune(
    subject: Subject,
    method: PruningMethod,
    pattern: Pattern | Mapping[str, Pattern],
    *,
    seed: int = 0,
    order: Order | None = None,
    tick: Tick = lambda name: None,
) -> tuple[Masks, list[LayerResult]]:
    """Prune a subject's model in place.

    Args:
        pattern: of all layers, or by layer; one that a layer cannot have leaves it dense, with the cause in the result.
        seed: of the calibration data.
        order: see `algorithms.pruning.method.Order`; None: the method's own.

    Returns:
        masks of the layers that were pruned, and a result a layer.

    Raises:
        InputError: NaN in the weights, or a pattern that fits no layer.
    """
    subject.check()
    names = {module: name for name, module in subject.layers().items()}
    wanted = {name: pattern.get(name, DENSE) if isinstance(pattern, Mapping) else pattern for name in names.values()}
    causes = {name: misfit(wanted[name], weight_of(m).shape[1]) for m, name in names.items()}
    if not isinstance(pattern, Mapping) and all(causes.values()):
        raise InputError(f"pattern {pattern} fits no layer of {subject.name}: {next(iter(causes.values()))}")
    before_them = subject.filters() if "filters" in method.needs else {}
    if "filters" in method.needs:
        for name in names.values():
            causes[name] = causes[name] or (None if name in before_them else "no convolution with ReLU before it")
        if all(causes.values()):
            raise InputError(f"{subject.name}: {next(iter(causes.values()))}, in any layer; the method does not apply")
    order = order or method.order
    masks, results = Masks(), []
    states = subject.calibration(seed)
    curvature: dict[str, Tensor] = {}
    slopes = gradients_of(subject, states) if "gradients" in method.needs else {}
    general = gradients_of(subject, subject.general(seed)) if "general" in method.needs else {}
    relevance = gradients_of(subject, states, subject.explained) if "relevance" in method.needs else {}
    classes = [subject.class_of(x) for x in states] if "classes" in method.needs else []
    pruned = [name for name in names.values() if not causes[name] and wanted[name] != DENSE]
    for stage in subject.stages:
        inside = {m: names[m] for m in stage.modules() if m in names}
        if "fisher" in method.needs and set(inside.values()) & set(pruned) - set(curvature):
            curvature = fisher_of(subject, _next(subject, pruned, inside.values()), method, subject.pieces(seed))
        outputs, inputs = run_stage(stage, states, list(inside), classes, subject.classes)
        for module, name in inside.items():
            weight = weight_of(module)
            before = as_matrix(weight)
            began = time.process_time()
            cause = causes[name] or ("dense by allocation" if wanted[name] == DENSE else None)
            found = (
                None
                if cause
                else method.prune(
                    Layer(
                        name,
                        before,
                        inputs[module],
                        slopes.pop(name, None),
                        general.pop(name, None),
                        curvature.pop(name, None),
                        relevance.pop(name, None),
                        filters_of(*before_them[name]) if name in before_them else None,
                    ),
                    wanted[name],
                )
            )
            seconds = time.process_time() - began
            error = 0.0
            if found is not None:
                if not bool(torch.isfinite(found.weight).all()):
                    raise InputError(f"layer {name}: the method's weights are not finite")
                effective = found.effective
                error = _error(before, effective, inputs[module].gram)
                weight.copy_(as_weight(effective, weight))
                masks[name] = as_weight(found.mask, weight)
            kept = weight.numel() if found is None else int(found.mask.sum()) + found.extra
            wrappers = 0 if found is None or found.wrappers is None else found.wrappers.block
            shown = "dense" if cause else str(wanted[name])
            results.append(LayerResult(name, shown, weight.numel(), kept, cause, error, seconds, wrappers))
            tick(name)
        states = [stage(x) for x in states] if inside and order == "pruned" else outputs
    return masks, results


def gradients_of(
    subject: Subject, batches: list[Tensor], what: Callable[[Tensor], Tensor] | None = None
) -> dict[str, Gradients]:
    """Statistics of the gradients of every layer's weights, sample by sample.

    Args:
        what: of which they are, of a batch of one sample; None: the loss.
    """
    what = what or subject.loss
    layers = subject.layers()
    weights = {name: weight_of(module) for name, module in layers.items()}
    found = {name: Gradients(tuple(as_matrix(weight).shape)) for name, weight in weights.items()}
    before = [weight.requires_grad for weight in weights.values()]
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        for sample in (batch[i : i + 1] for batch in batches for i in range(len(batch))):
            with torch.enable_grad():
                loss = what(sample)
            for name, gradient in zip(found, torch.autograd.grad(loss, list(weights.values())), strict=True):
                found[name].add(as_matrix(gradient))
    finally:
        for weight, wanted in zip(weights.values(), before, strict=True):
            weight.requires_grad_(wanted)
    return found


def _next(subject: Subject, pruned: list[str], first: Iterable[str]) -> list[str]:
    """Layers from the first on whose Fisher blocks fit into memory together, or at least the first stage's."""
    begin = min(pruned.index(name) for name in first if name in pruned)
    here, layers = set(first), subject.layers()
    found: list[str] = []
    count = 0
    for name in pruned[begin:]:
        count += weight_of(layers[name]).numel()
        if count > FISHER_WEIGHTS and name not in here:
            break
        found.append(name)
    return found


def fisher_of(
    subject: Subject, names: Sequence[str], method: PruningMethod, pieces: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Fisher blocks of layers, of the model as it is now: mean of g g^T, [out, in / block, block, block]."""
    block = int(method.block)  # type: ignore[attr-defined]  # of methods that need them
    layers = subject.layers()
    weights = {name: weight_of(layers[name]) for name in names}
    sizes = {name: math.gcd(as_matrix(w).shape[1], block) for name, w in weights.items()}
    found = {name: torch.zeros(as_matrix(w).numel() // sizes[name], sizes[name], sizes[name])
             for name, w in weights.items()}  # fmt: skip
    before = [weight.requires_grad for weight in weights.values()]
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        for start in range(0, len(pieces), FISHER_SAMPLES):
            held: dict[str, list[Tensor]] = {name: [] for name in names}
            for sample in pieces[start : start + FISHER_SAMPLES]:
                with torch.enable_grad():
                    loss = subject.loss(sample)
                for name, gradient in zip(names, torch.autograd.grad(loss, list(weights.values())), strict=True):
                    held[name].append(as_matrix(gradient).reshape(-1, sizes[name]))
            for name, gradients in held.items():
                g = torch.stack(gradients, 1)  # [blocks, samples, block]
                found[name].baddbmm_(g.transpose(1, 2), g, alpha=1 / len(pieces))
    finally:
        for weight, wanted in zip(weights.values(), before, strict=True):
            weight.requires_grad_(wanted)
    return {name: f.unflatten(0, (as_matrix(weights[name]).shape[0], -1)) for name, f in found.items()}


def run_stage(
    stage: nn.Module, states: list[Tensor], layers: list[nn.Module], classes: Sequence[Tensor] = (), count: int = 0
) -> tuple[list[Tensor], dict[nn.Module, Inputs]]:
    """A stage's outputs on all batches, and statistics of its layers' inputs; layers that share an input share them.

    Args:
        classes: of each batch's samples or positions, of so many classes; none: no sums by class.
    """
    inputs: dict[nn.Module, Inputs] = {}
    seen: list[tuple[Tensor, Inputs]] = []  # of the batch that runs

    def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        for x, stats in seen:
            if x is args[0] and inputs.setdefault(module, stats) is stats:
                return
        rows = as_rows(module, args[0])
        stats = inputs.setdefault(module, Inputs(rows.shape[1], count if classes else 0))
        stats.add(rows, len(args[0]), classes[len(outputs)] if classes else None)
        seen.append((args[0], stats))

    outputs: list[Tensor] = []
    handles = [layer.register_forward_pre_hook(hook) for layer in layers]
    try:
        for x in states:
            seen.clear()
            outputs.append(stage(x))
    finally:
        for handle in handles:
            handle.remove()
    return outputs, inputs


def _error(before: Tensor, after: Tensor, gram: Tensor) -> float:
    change = after - before
    lost, whole = (float(((w @ gram) * w).sum()) for w in (change, before))
    return (max(lost, 0.0) / whole) ** 0.5 if whole > 0 else 0.0
