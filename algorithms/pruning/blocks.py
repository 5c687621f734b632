# SPDX-License-Identifier: Apache-2.0
"""Two file-type classifiers of ours to prune, trained here on blocks of 512 bytes of installed packages' files.

A file's ending is the truth; some are much alike (``.py``, ``.pyi``, ``.pyx``; ``.h``, ``.hpp``, ``.cuh``; what is
compressed), so that no network tells all apart. Every fifth file of a type, in the order of hashes of their paths, is
held out whole, but for blocks that others have too (zeros, licences); every file gives some of its blocks before one
gives many. ``accuracy`` and ``error`` are over held-out blocks, ``balanced`` is the mean over the types. A small dense
network of the same number of weights, trained alike, is the control. What was trained is kept in the cache folder; it
differs between versions of torch and of the packages.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from algorithms.models.block_types import BLOCK, Convolutions, Transformer
from algorithms.shapes import network_of
from dataflow.errors import InputError
from dataflow.files import atomic_path, cache_folder, read_arrays
from dataflow.networks.network import Network, Phase

from .files import PACKAGES, package_versions
from .subject import Row, Subject, weight_of

TYPES = (".py", ".pyi", ".pyx", ".pxd", ".so", ".h", ".hpp", ".cuh", ".cmake", ".ttf", ".afm", ".npz", ".npy", ".txt",
         ".csv", ".dat", ".gz", ".arff", ".sav")  # fmt: skip
"""Endings, the classes."""
TRAIN, HELD = 12_000, 3_000
"""Blocks of a type, at most, to train on and held out."""
EPOCHS, BATCH, RATE = 3, 128, 2e-3


class Blocks(NamedTuple):
    """Samples."""

    data: Tensor
    """uint8 [samples, 512]."""
    types: Tensor
    """int64 [samples]: numbers in `TYPES`."""


@cache
def blocks() -> tuple[Blocks, Blocks]:
    """To train on, and held out.

    Raises:
        InputError: a package is not installed, or a type has too few files.
    """
    missing = [pip for name, pip in PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise InputError(f"blocks of files: not installed: {', '.join(missing)}: pip install {' '.join(missing)}")
    files: dict[str, list[tuple[str, Path]]] = {ending: [] for ending in TYPES}
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            if path.suffix in TYPES and path.is_file() and not path.is_symlink() and path.stat().st_size >= BLOCK:
                key = hashlib.sha256(f"{name}/{path.relative_to(root).as_posix()}".encode()).hexdigest()
                files[path.suffix].append((key, path))
    few = [ending for ending in TYPES if len(files[ending]) < 2]
    if few:
        raise InputError(f"blocks of files: fewer than 2 files of {', '.join(few)} in {', '.join(PACKAGES)}")
    found = []
    for held, most in ((False, TRAIN), (True, HELD)):
        chosen = [[f for i, f in enumerate(sorted(files[ending])) if (i % 5 == 0) == held] for ending in TYPES]
        data = [_blocks_of(mine, most) for mine in chosen]
        types = torch.arange(len(TYPES)).repeat_interleave(torch.tensor([len(d) for d in data]))
        found.append(Blocks(torch.from_numpy(np.concatenate(data)), types))
    train, test = found
    known = {block.tobytes() for block in train.data.numpy()}
    new = torch.tensor([block.tobytes() not in known for block in test.data.numpy()])
    return train, Blocks(test.data[new], test.types[new])


def _blocks_of(files: Sequence[tuple[str, Path]], most: int) -> np.ndarray:
    """Blocks of files, uint8 [n, 512]: as many of each until its own are used up, spread evenly over it."""
    whole = [path.stat().st_size // BLOCK for _, path in files]
    each = _level(whole, most)
    found = []
    for (_, path), count, wanted in zip(files, whole, each, strict=True):
        if not wanted:
            continue
        with path.open("rb") as file:
            for i in range(wanted):
                file.seek(i * count // wanted * BLOCK)
                found.append(np.frombuffer(file.read(BLOCK), np.uint8))
    return np.stack(found) if found else np.zeros((0, BLOCK), np.uint8)


def _level(sizes: Sequence[int], most: int) -> list[int]:
    """As many of each as there are, at most the same number of each, which makes at most so many together."""
    low, high = 0, max(sizes, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(s, middle) for s in sizes) <= most else (low, middle - 1)
    left = most - sum(min(s, low) for s in sizes)
    found = []
    for s in sizes:
        more = int(s > low and left > 0)
        left -= more
        found.append(min(s, low) + more)
    return found


def digest(part: Blocks) -> str:
    """SHA-256 of samples and their types."""
    return hashlib.sha256(part.data.numpy().tobytes() + part.types.numpy().tobytes()).hexdigest()


def trained(
    kind: type[Convolutions | Transformer], width: int, tick: Callable[[str], None] = lambda text: None
) -> nn.Module:
    """A network of a width, trained, or as it was trained before."""
    train = blocks()[0]
    torch.manual_seed(0)
    model = kind(len(TYPES), width)
    settings = [kind.__name__, width, EPOCHS, BATCH, RATE, digest(train), torch.__version__]
    path = cache_folder("block-types") / f"{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:24]}.npz"
    if path.is_file():
        model.load_state_dict({k: torch.from_numpy(v) for k, v in read_arrays(path).items()})
        return model.eval()
    fit(model, train, tick)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **{k: v.numpy() for k, v in model.state_dict().items()})
    except OSError:  # a cache that cannot be written is none
        pass
    return model


def fit(model: nn.Module, train: Blocks, tick: Callable[[str], None] = lambda text: None, epochs: int = EPOCHS) -> None:
    """Train in place: AdamW, a rate that falls to 0, an order by a seed; for evaluation afterwards."""
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    batches = len(train.data) // BATCH
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=max(epochs * batches, 1))
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(train.data), generator=rng)
        for number, some in enumerate(order[: batches * BATCH].split(BATCH)):
            loss = F.cross_entropy(model(train.data[some].long()), train.types[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if number % 50 == 0:
                tick(f"training, epoch {epoch + 1} of {epochs}: {float(loss.detach()):.3f}")
    model.eval()


@torch.no_grad()
def measure(model: nn.Module, held: Blocks) -> Row:
    """Shares of held-out blocks whose type a model says."""
    said = torch.cat([model(part.long()).argmax(1) for part in held.data.split(512)])
    right = (said == held.types).double()
    by_type = [float(right[held.types == t].mean()) for t in held.types.unique().tolist()]
    accuracy = float(right.mean())
    return {"error": 1 - accuracy, "accuracy": accuracy, "balanced": sum(by_type) / len(by_type),
            "blocks": len(held.data)}  # fmt: skip


def weights_of(model: nn.Module) -> int:
    """Weights of layers that can be pruned."""
    return sum(weight_of(m).numel() for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d))


class BlockTyper(Subject):
    """A classifier of blocks.

    Args:
        model: None: the one that is trained here.
        samples: blocks of calibration.
    """

    metric: ClassVar[str] = "error"
    kind: ClassVar[type[Convolutions | Transformer]]
    classes: ClassVar[int] = len(TYPES)

    def __init__(self, model: nn.Module | None = None, *, samples: int = 1024) -> None:
        self.model = copy.deepcopy(model) if model is not None else trained(self.kind, self.kind.WIDTH)
        self.samples = samples
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @property
    def stages(self) -> Sequence[nn.Module]:
        return list(self.model.stages)  # type: ignore[arg-type]  # of either network

    def network(self, phase: Phase = "prefill") -> Network:
        return network_of(self.model, torch.zeros(1, BLOCK, dtype=torch.int64), self.name)

    def facts(self) -> Row:
        train, held = blocks()
        return {"files_of": package_versions(), "trained_on": len(train.data), "held_out": len(held.data),
                "types": len(TYPES), "train_sha256": digest(train), "held_out_sha256": digest(held)}  # fmt: skip

    def calibration(self, seed: int) -> list[Tensor]:
        data = blocks()[0].data
        chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[: self.samples]
        return list(data[chosen].long().split(BATCH))

    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Cross-entropy to what the model itself says most: a batch does not hold its truth."""
        return F.cross_entropy(output, output.detach().argmax(1))

    def class_of(self, inputs: Tensor) -> Tensor:
        """The type that the model says."""
        found: Tensor = self.model(inputs).argmax(-1)
        return found

    def quality(self) -> Row:
        return measure(self.model, blocks()[1])

    def control(self, density: float) -> Row:
        wanted = density * weights_of(self.model)
        sizes = {w: weights_of(self.kind(len(TYPES), w)) for w in range(8, self.kind.WIDTH + 1, 8)}
        width = min(sizes, key=lambda w: (abs(sizes[w] - wanted), w))
        small = measure(trained(self.kind, width), blocks()[1])
        return {**small, "width": width, "density": sizes[width] / weights_of(self.model)}


class ConvolutionalTyper(BlockTyper):
    """Convolutions with batch normalization."""

    name: ClassVar[str] = "blocks-cnn"
    kind = Convolutions

    def filters(self) -> dict[str, tuple[nn.Linear | nn.Conv1d | nn.Conv2d, nn.Module | None]]:
        convs = list(self.model.convs)  # type: ignore[arg-type]
        names = [f"convs.{i}.conv" for i in range(1, len(convs))] + ["head.linear"]
        return {name: (stage.conv, stage.norm) for name, stage in zip(names, convs, strict=True)}


class TransformerTyper(BlockTyper):
    """A small transformer."""

    name: ClassVar[str] = "blocks-transformer"
    kind = Transformer
