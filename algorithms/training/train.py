# SPDX-License-Identifier: Apache-2.0
"""The training loop: momentum SGD, as WUVE does it, with evaluation, checkpoints and traces.

A run is a function of its `TrainConfig` alone: initial weights come from the seed, the samples of a step from seed and
step. So a stopped run goes on from its checkpoint to the same end, and runs of one seed differ only in their method.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataflow.errors import InputError
from dataflow.files import atomic_path, read_arrays, write_text
from dataflow.networks.network import Network
from dataflow.pattern import NM
from dataflow.training.methods import Method
from dataflow.training.trace import TraceMeta, write_trace

from ..shapes import network_of
from .config import TrainConfig
from .data import CHARACTERS, digits, library_text
from .models import CharLM, DigitsCNN, DigitsMLP, DigitsViT
from .nm_training import convert
from .tracing import take_trace, traced_layers, versions

Tick = Callable[[int, float], None]

RESULT_FORMAT = "hwsim-training/1"
CHECKPOINT_FORMAT = "hwsim-checkpoint/1"


class Diverged(InputError):
    """The loss of a run is no longer a number."""


def use_one_thread() -> None:
    """One thread: the same order of sums on every machine, and the fastest for models this small."""
    torch.set_num_threads(1)


def make_model(config: TrainConfig) -> nn.Module:
    """The task's model with the seed's initial weights, converted to the method."""
    makers: dict[str, Callable[[], nn.Module]] = {
        "digits-cnn": DigitsCNN,
        "digits-mlp": DigitsMLP,
        "digits-vit": DigitsViT,
        "char-lm": partial(CharLM, CHARACTERS, config.dim, config.depth, config.heads, config.context),
    }
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return makers[config.task]()


def example(config: TrainConfig, batch: int = 1) -> Tensor:
    """An input of the task's shape."""
    if config.task == "char-lm":
        return torch.zeros(batch, config.context, dtype=torch.int64)
    return torch.zeros(batch, 1, 8, 8)


def task_network(config: TrainConfig) -> Network:
    """The task's model as shapes."""
    return network_of(make_model(config), example(config), config.task)


def batch_of(config: TrainConfig, step: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a step."""
    rng = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    if config.task == "char-lm":
        text = library_text().train
        start = torch.randint(len(text) - config.context - 1, (config.batch,), generator=rng)
        return _windows(text, start, config.context)
    data = digits()
    chosen = torch.randint(len(data.train_y), (config.batch,), generator=rng)
    return data.train_x[chosen], data.train_y[chosen]


def _windows(text: Tensor, start: Tensor, context: int) -> tuple[Tensor, Tensor]:
    rows = text[start[:, None] + torch.arange(context + 1)].long()
    return rows[:, :-1], rows[:, 1:]


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy, nats."""
    return F.cross_entropy(model(x).flatten(0, -2), y.flatten())


@torch.no_grad()
def evaluate(model: nn.Module, config: TrainConfig) -> dict[str, float]:
    """On held-out data: ``accuracy`` (digits), or ``bits_per_character`` over 64 Ki characters, evenly spread."""
    model.eval()
    try:
        if config.task != "char-lm":
            data = digits()
            logits = model(data.test_x)
            loss = float(F.cross_entropy(logits, data.test_y))
            return {"loss": loss, "accuracy": float((logits.argmax(1) == data.test_y).double().mean())}
        text = library_text().test
        count = min(65536 // config.context, (len(text) - 1) // config.context)
        starts = torch.linspace(0, len(text) - config.context - 1, count).long()
        losses = [float(loss_of(model, *_windows(text, part, config.context))) * len(part) for part in starts.split(64)]
        loss = sum(losses) / count
        return {"loss": loss, "bits_per_character": loss / math.log(2)}
    finally:
        model.train()


def rate_at(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    warm = round(config.warmup * config.steps)
    if step < warm:
        return config.rate * (step + 1) / (warm + 1)
    return config.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, config.steps - warm)))


def train(config: TrainConfig, out: Path | None = None, tick: Tick = lambda step, loss: None) -> dict[str, Any]:
    """Train to the end.

    Args:
        out: folder for ``checkpoint.npz`` (while it runs) and, at the end, ``trace/``, ``weights.pt``,
            ``training.json``. A checkpoint of the same configuration is gone on from, one of another is an error; a
            finished run of the same configuration is returned as it is.
        tick: called after each step with the number of steps done and the loss.

    Returns:
        what ``training.json`` holds: configuration, held-out figures, loss history, layers, seconds, versions.

    Raises:
        InputError: a layer name that does not exist, a step to trace beyond the end, a foreign checkpoint.
        Diverged: the loss is no longer finite.
    """
    if out is not None and (finished := _finished(out, config)) is not None:
        tick(config.steps, finished["loss"][-1])
        return finished
    model = make_model(config)
    layers = convert(model, Method.parse(config.method), NM.parse(config.pattern), skip=config.skip, fp16=config.fp16)
    names = traced_layers(model, config.trace_layers) if config.trace_steps else []
    for step in config.trace_steps:
        if not 0 <= step < config.steps:
            raise InputError(f"trace_steps: {step} is not within the run's steps, 0 to {config.steps - 1}")
    if config.trace_steps and out is None:
        raise InputError("trace_steps: a trace needs --out")
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.rate, momentum=config.momentum, weight_decay=config.weight_decay
    )
    state: dict[str, Any] = {"step": 0, "history": [], "seconds": 0.0, "traces": {}}
    checkpoint = out / "checkpoint.npz" if out is not None else None
    if out is not None and (old := out / "checkpoint.pt").exists():
        raise InputError(f"{old}: of an earlier version, and can run code: not read; remove it to start over")
    if checkpoint is not None and checkpoint.exists():
        state = _load(checkpoint, config, model, optimizer)
    began = time.perf_counter() - state["seconds"]
    for step in range(state["step"], config.steps):
        x, y = batch_of(config, step)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(config, step)
        if step in config.trace_steps:
            k = config.trace_batch
            state["traces"][step] = take_trace(model, names, loss_of, x[:k], y[:k])
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        loss.backward()
        if step in config.trace_steps:
            _before_update(model, optimizer, state["traces"][step])
        optimizer.step()
        if step in config.trace_steps:
            for name, tensors in state["traces"][step].items():
                tensors["new_weight"] = _array(model.get_submodule(name).weight)
        value = loss.item()
        if not math.isfinite(value):
            raise Diverged(f"step {step}: the loss is {value}; lower rate ({config.rate})")
        state["history"].append(value)
        tick(step + 1, value)
        if checkpoint is not None and (step + 1) % config.checkpoint_every == 0 and step + 1 < config.steps:
            state |= {"step": step + 1, "seconds": time.perf_counter() - began}
            _save(checkpoint, config, model, optimizer, state)
    result = {
        "format": RESULT_FORMAT,
        "config": config.model_dump(mode="json"),
        "test": evaluate(model, config),
        "loss": state["history"],
        "layers": [asdict(r) for r in layers],
        "seconds": time.perf_counter() - began,
        "versions": versions(),
    }
    if config.task == "char-lm":
        result["text_sha256"] = library_text().sha256
    if out is not None:
        if state["traces"]:
            causes = {r.name: r.dense_cause for r in layers}
            write_trace(out / "trace", _meta(config, causes), state["traces"])
        with atomic_path(out / "weights.pt") as temporary:
            torch.save(model.state_dict(), temporary)
        write_text(out / "training.json", json.dumps(result, indent=1) + "\n")
        (out / "checkpoint.npz").unlink(missing_ok=True)
    return result


def trained(config: TrainConfig, out: Path) -> nn.Module:
    """The model that a finished run in ``out`` left, for evaluation.

    Raises:
        InputError: ``weights.pt`` is missing or broken.
    """
    model = make_model(config)
    path = out / "weights.pt"
    try:
        model.load_state_dict(torch.load(path, weights_only=True))
    except Exception as error:  # torch's reader raises whatever a damaged file leads it to
        raise InputError(f"{path}: broken or missing ({type(error).__name__}); remove {out} to train again") from None
    return model.eval()


def _finished(out: Path, config: TrainConfig) -> dict[str, Any] | None:
    """The result of the same run, where it was finished in ``out`` before."""
    try:
        result = json.loads((out / "training.json").read_text(encoding="utf-8"))
        same = result["format"] == RESULT_FORMAT and result["config"] == config.model_dump(mode="json")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{out / 'training.json'}: broken; remove it to run again") from None
    whole = not config.trace_steps or (out / "trace" / "meta.json").exists()
    return dict(result) if same and whole else None


def _before_update(model: nn.Module, optimizer: torch.optim.SGD, traced: dict[str, dict[str, np.ndarray]]) -> None:
    for name, tensors in traced.items():
        weight = model.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        momentum = optimizer.state[weight].get("momentum_buffer")
        tensors["gradient"] = _array(weight.grad)
        tensors["momentum"] = _array(torch.zeros_like(weight) if momentum is None else momentum)


def _array(x: Any) -> np.ndarray:
    return np.array(x.detach().numpy())


def _meta(config: TrainConfig, causes: Mapping[str, str | None]) -> TraceMeta:
    return TraceMeta(
        origin=f"hwsim train, task {config.task}",
        seed=config.seed,
        method=config.method,
        pattern=config.pattern,
        fp16=config.fp16,
        batch=config.batch,
        samples=min(config.trace_batch, config.batch),
        rates={step: rate_at(config, step) for step in config.trace_steps},
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        versions=versions(),
        dense_causes=dict(causes),
        network=task_network(config),
    )


def _save(path: Path, config: TrainConfig, model: nn.Module, optimizer: torch.optim.SGD, state: dict[str, Any]) -> None:
    """Plain arrays (``model/``, ``momentum/``, ``trace/``) and one of JSON text: reading it can run no code."""
    momenta = optimizer.state_dict()["state"]
    arrays = {f"model/{name}": _array(value) for name, value in model.state_dict().items()}
    arrays |= {
        f"momentum/{i}": _array(s["momentum_buffer"])
        for i, s in momenta.items()
        if s.get("momentum_buffer") is not None
    }
    for step, layers in state["traces"].items():
        arrays |= {
            f"trace/{step}/{name}/{t}": value for name, tensors in layers.items() for t, value in tensors.items()
        }
    facts = {k: state[k] for k in ("step", "history", "seconds")}
    text = json.dumps({"format": CHECKPOINT_FORMAT, "config": config.model_dump(mode="json"), **facts})
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, meta=np.array(text), **arrays)


def _load(path: Path, config: TrainConfig, model: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Any]:
    """Put a checkpoint into model and optimizer; the loop's state.

    Raises:
        InputError: no checkpoint of this version, or one of a run with other settings.
    """
    again = "remove it to start over"
    try:
        arrays = read_arrays(path)
    except InputError as error:
        raise InputError(f"{error}; {again}") from None
    try:
        meta = json.loads(str(arrays["meta"]))
        if meta["format"] != CHECKPOINT_FORMAT:
            raise InputError(f"{path}: field format: not a checkpoint of this version ({CHECKPOINT_FORMAT}); {again}")
        if meta["config"] != config.model_dump(mode="json"):
            raise InputError(f"{path}: is of a run with other settings; remove it or choose another --out")
        state = {"step": int(meta["step"]), "history": list(meta["history"]), "seconds": float(meta["seconds"])}
        traces: dict[int, dict[str, dict[str, np.ndarray]]] = {}
        weights, momenta = {}, {}
        for key, value in arrays.items():
            kind, _, name = key.partition("/")
            if kind == "model":
                weights[name] = torch.from_numpy(value)
            elif kind == "momentum":
                momenta[int(name)] = {"momentum_buffer": torch.from_numpy(value)}
            elif kind == "trace":
                step, layer, tensor = name.split("/")
                traces.setdefault(int(step), {}).setdefault(layer, {})[tensor] = value
        model.load_state_dict(weights)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": momenta})
    except InputError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: truncated or no checkpoint ({type(error).__name__}); {again}") from None
    return {**state, "traces": traces}
