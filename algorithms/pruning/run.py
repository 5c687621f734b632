# SPDX-License-Identifier: Apache-2.0
"""A whole pruning run: load, measure, prune, measure again, and the folder that machines read."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from algorithms.training.tracing import versions
from dataflow.errors import InputError, unknown
from dataflow.files import cache_folder, write_text
from dataflow.networks.network import Network
from dataflow.pattern import DENSE, NM
from dataflow.pruned import PrunedLayer, PrunedModel, write_pruned

from .allocation import Shares, dynamic_program, erk, global_magnitude, lamp, weights_kept
from .config import PruneConfig
from .distortion import distance, distortions, features
from .ecoflap import ecoflap
from .farms import farms
from .gpusq import gpusq
from .mask import Masks
from .method import PruningMethod, pruning_method
from .patterns import Pattern, Unstructured, misfit, parse_pattern
from .perp import perp
from .pqi import sap
from .prune import LayerResult, prune
from .subject import Row, Subject, as_matrix, weight_of

Tick = Callable[[str], None]
Costs = Callable[[Network, Sequence[str], Sequence[str]], dict[str, dict[str, float]]]
"""What a layer costs, by layer and level: of a network, its layers' names, levels."""


def _language_model(config: PruneConfig) -> Subject:
    from .language import LanguageModel

    return LanguageModel(length=config.length, samples=config.samples, tokens=config.tokens)


def _no_language_model(config: PruneConfig) -> None:
    """Refuse settings of a language model."""
    for field in ("length", "tokens"):
        if field in config.model_fields_set and getattr(config, field) != PruneConfig.model_fields[field].default:
            raise InputError(f"{field}: of a language model; {config.model} is none")


def _encoder(config: PruneConfig) -> Subject:
    from .encoder import Encoder

    _no_language_model(config)
    return Encoder(samples=2 * config.samples)


def _pitch_model(config: PruneConfig) -> Subject:
    from .pitch import FullPitchModel, PitchModel

    _no_language_model(config)
    kind = FullPitchModel if config.model == FullPitchModel.name else PitchModel
    return kind(samples=8 * config.samples)  # a frame is a small part of a sequence


def _file_typer(config: PruneConfig) -> Subject:
    from .files import FileTyper

    _no_language_model(config)
    return FileTyper(samples=8 * config.samples)


def _block_typer(config: PruneConfig) -> Subject:
    from .blocks import ConvolutionalTyper, TransformerTyper

    _no_language_model(config)
    kind = ConvolutionalTyper if config.model == ConvolutionalTyper.name else TransformerTyper
    return kind(samples=32 * config.samples)


SUBJECTS: dict[str, Callable[[PruneConfig], Subject]] = {
    "smollm2-135m": _language_model, "minilm": _encoder, "crepe-tiny": _pitch_model, "crepe-full": _pitch_model,
    "magika": _file_typer, "blocks-cnn": _block_typer, "blocks-transformer": _block_typer,
}  # fmt: skip
"""Models that can be pruned, by name."""


@dataclass(frozen=True)
class Run:
    """What a run found."""

    config: PruneConfig
    subject: Subject
    masks: Masks
    layers: list[LayerResult]
    dense: Row
    quality: Row
    seconds: float
    """Of pruning alone: calibration, the method, recovery."""
    cpu_seconds: float
    allocation: Row
    """What an allocation found (its budget, the sum of losses that it expects), and what a recovery did."""

    @property
    def density(self) -> float:
        """Share kept of all weights in prunable layers."""
        return sum(r.kept for r in self.layers) / sum(r.weights for r in self.layers)

    def rows(self) -> list[Row]:
        """A row a layer."""
        return [{**asdict(r), "density": r.density, "dense_cause": r.dense_cause or ""} for r in self.layers]

    def model(self) -> PrunedModel:
        """As it is stored."""
        network = self.subject.network()
        sizes = getattr(self.subject.model, "sizes", None)
        of = {r.name: r for r in self.layers}
        layers = {
            name: PrunedLayer(
                pattern=of[name].pattern, shape=tuple(mask.shape), density=float(mask.float().mean()),
                wrappers=of[name].wrappers,
            )
            for name, mask in self.masks.items()
        }  # fmt: skip
        shape: dict[str, Any] = {"shapes": network} if sizes is None else {"config": sizes.config()}
        facts = {**self.subject.facts(), "versions": versions(), "seconds": self.seconds, "allocation": self.allocation}
        return PrunedModel(
            model=self.subject.name, settings=self.config.facts(), quality=self.quality, dense=self.dense, facts=facts,
            layers=layers, **shape,
        )  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """The folder that machines read."""
        write_pruned(folder, self.model(), {name: mask.numpy() for name, mask in self.masks.items()})
        return [folder / "pruned.json", folder / "masks.npz"]


def subject_of(config: PruneConfig) -> Subject:
    """The model of a run with its data.

    Raises:
        InputError: no such model; its weights are not installed.
    """
    if config.model not in SUBJECTS:
        raise unknown("model", config.model, SUBJECTS)
    return SUBJECTS[config.model](config)


def run(config: PruneConfig, tick: Tick = lambda text: None, costs: Costs | None = None) -> Run:
    """Prune a model and measure it before and after.

    Args:
        costs: of layers on the machine that the settings' budget names; None: only budgets in parameters.

    Raises:
        InputError: whatever is wrong with settings, weights or data, in one line.
    """
    method, pattern = pruning_method(config.method, config.options), parse_pattern(config.pattern)
    if str(pattern) == "dense":
        raise InputError("pattern: dense prunes nothing")
    subject = subject_of(config)
    tick("dense quality")
    dense = dense_quality(subject, config)
    wall, cpu = time.perf_counter(), time.process_time()
    patterns, found = allocate(subject, method, pattern, config, tick, costs)
    teacher = copy.deepcopy(list(subject.stages)) if config.recovery in ("gpusq", "paser") else []
    masks, layers = prune(subject, method, patterns, seed=config.seed, order=config.order, tick=tick)
    if config.recovery != "none":
        if any(layer.wrappers for layer in layers):
            raise InputError(f"recovery {config.recovery}: not of method {config.method}, whose layers are products")
        settings: dict[str, Any] = {"steps": config.recovery_steps, "seed": config.seed, "tick": tick}
        if config.recovery == "gpusq":
            done = gpusq(subject, teacher, masks, bits=config.recovery_bits, **settings)
        elif config.recovery == "paser":
            from .paser import chosen, repeated

            done = perp(
                subject, masks, data=repeated(chosen(subject, teacher, seed=config.seed, tick=tick)), **settings
            )
        else:
            done = perp(subject, masks, **settings)
        found = {**found, "recovery_losses": done.losses, "trained_share": done.share}
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tick("quality")
    return Run(config, subject, masks, layers, dense, subject.quality(), wall, cpu, found)


def dense_quality(subject: Subject, config: PruneConfig) -> Row:
    """The unpruned model's figures; kept in the cache folder, as they are the same for every method."""
    facts = [subject.name, subject.facts(), config.length, config.tokens, torch.__version__]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder("quality") / f"{digest}.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        found = subject.quality()
        try:
            write_text(path, json.dumps(found))
        except InputError:  # a cache that cannot be written is none
            return found
        return found


def allocate(
    subject: Subject, method: PruningMethod, pattern: Pattern, config: PruneConfig, tick: Tick = lambda text: None,
    costs: Costs | None = None,
) -> tuple[Pattern | dict[str, Pattern], Row]:  # fmt: skip
    """The pattern of each layer, and facts of how it was found.

    Raises:
        InputError: an allocation that the pattern does not go with, a budget that is not known or not reached.
    """
    if config.allocation == "uniform":
        return pattern, {}
    weights = {name: as_matrix(weight_of(module)) for name, module in subject.layers().items()}
    shapes = {name: (w.shape[0], w.shape[1]) for name, w in weights.items()}
    if config.allocation == "rd":
        return _by_loss(subject, method, pattern, config, shapes, tick, costs)
    if not isinstance(pattern, Unstructured):
        raise InputError(f"allocation {config.allocation}: of a share removed, as 50%; for pattern {pattern}: rd")
    shares: Shares = {
        "global": lambda: global_magnitude(weights, pattern.density, config.least),
        "lamp": lambda: lamp(weights, pattern.density), "erk": lambda: erk(shapes, pattern.density),
        "pqi": lambda: sap(weights, pattern.density), "farms": lambda: farms(weights, pattern.density),
        "ecoflap": lambda: ecoflap(subject, pattern.density, seed=config.seed, tick=tick),
    }[config.allocation]()  # fmt: skip
    found: dict[str, Pattern] = {}
    for name, share in shares.items():
        found[name] = Unstructured(min(1 - share, Fraction(999_999, 1_000_000)), pattern.block) if share < 1 else DENSE
    return found, {"least_density": float(min(shares.values())), "most_density": float(max(shares.values()))}


def _by_loss(
    subject: Subject, method: PruningMethod, pattern: Pattern, config: PruneConfig, shapes: dict[str, tuple[int, int]],
    tick: Tick, costs: Costs | None,
) -> tuple[dict[str, Pattern], Row]:  # fmt: skip
    if not isinstance(pattern, NM):
        raise InputError(f"allocation rd: chooses N:M patterns; the budget is that of an N:M pattern (got {pattern})")
    levels = [parse_pattern(text) for text in config.levels]
    wrong = next((level for level in levels if not isinstance(level, NM)), None)
    if wrong is not None:
        raise InputError(f"levels: {wrong}: rd chooses among N:M patterns and dense")
    channels = {name: weight_of(module).shape[1] for name, module in subject.layers().items()}
    fitting = [name for name in shapes if misfit(pattern, channels[name]) is None]
    texts = list(dict.fromkeys([str(level) for level in levels] + [str(pattern)]))
    if config.budget == "parameters":
        prices = weights_kept(shapes, {text: NM.parse(text).density for text in texts})
    elif costs is None:
        raise InputError(f"budget: {config.budget}: parameters, or (hwsim prune) a machine's MACHINE:cycles or :energy")
    else:
        prices = costs(subject.network(config.phase), list(shapes), texts)
    losses = distortions(subject, method, levels, seed=config.seed, tick=tick)
    if "dense" not in texts:
        losses = {name: {k: v for k, v in by.items() if k != "dense"} or by for name, by in losses.items()}
    budget = sum(prices[name][str(pattern) if name in fitting else "dense"] for name in shapes)
    chosen = dynamic_program(losses, prices, budget)
    spent = sum(prices[name][level] for name, level in chosen.items())
    expected = sum(losses[name][level] for name, level in chosen.items())
    facts = {"budget": budget, "spent": spent, "expected_loss": expected, "unit": config.budget}
    facts["measured_loss"] = _together(subject, method, {n: parse_pattern(t) for n, t in chosen.items()}, config.seed)
    return {name: parse_pattern(level) for name, level in chosen.items()}, facts


def _together(subject: Subject, method: PruningMethod, patterns: dict[str, Pattern], seed: int) -> float:
    """The loss of all layers pruned at once, as their single losses were measured: dense inputs; the model is as it was
    afterwards. Beside the sum it says whether losses add up."""
    from .distortion import SAMPLES

    few = list(torch.cat(subject.calibration(seed))[:SAMPLES].split(1))
    kept = {name: weight_of(module).detach().clone() for name, module in subject.layers().items()}
    with torch.no_grad():
        wanted = features(subject, few)
        prune(subject, method, patterns, seed=seed, order="dense")
        lost = distance(features(subject, few), wanted)
        for name, module in subject.layers().items():
            weight_of(module).copy_(kept[name])
    return lost
