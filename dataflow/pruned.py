# SPDX-License-Identifier: Apache-2.0
"""Pruned models in a folder, as ``hwsim prune --out`` writes them and every machine reads them.

    pruned.json   what was pruned and how, its quality, and the model as shapes: a language model's configuration, or
                  the layers; written last
    masks.npz     by layer one bit a weight, 1: kept, in the order of its rows (`PrunedModel.mask`)

Anything that takes a network file takes ``pruned.json``: a layer whose pattern is N:M carries it; one that is pruned in
another way is dense for machines that know N:M alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import InputError
from .files import atomic_path, read_arrays, read_json, validated, write_text
from .networks.network import Conv, Layer, Linear, Network, Phase, Weighted
from .pattern import NM

PRUNED_FORMAT: Literal["hwsim-pruned/1"] = "hwsim-pruned/1"
FILE, MASKS = "pruned.json", "masks.npz"


class PrunedLayer(BaseModel):
    """One layer that was pruned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str = Field(description="N:M along the reduction, a share removed (50%), or blocks (block4-50%)")
    shape: tuple[int, ...] = Field(min_length=2, description="of its weights: out, in, and a convolution's kernel")
    density: float = Field(ge=0, le=1, description="share kept")
    wrappers: int = Field(
        0, ge=0, le=65536, description="side of the blocks of block-diagonal matrices before and behind it; 0: none"
    )

    @property
    def nm(self) -> NM | None:
        """Its pattern, where that is N:M."""
        return NM.parse(self.pattern) if ":" in self.pattern else None


class PrunedModel(BaseModel):
    """``pruned.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["hwsim-pruned/1"] = PRUNED_FORMAT
    model: str = Field(description="as `hwsim models` calls it")
    settings: dict[str, Any] = Field(description="of the run that pruned it")
    quality: dict[str, Any] = Field({}, description="figures on data held out")
    dense: dict[str, Any] = Field({}, description="the same figures before")
    facts: dict[str, Any] = Field({}, description="digests of data, versions")
    config: dict[str, Any] | None = Field(None, description="a language model's Hugging Face configuration")
    shapes: Network | None = Field(None, description="the model as shapes, where it is no language model")
    layers: dict[str, PrunedLayer] = Field(description="those that were pruned")

    @model_validator(mode="after")
    def _one(self) -> PrunedModel:
        if (self.config is None) == (self.shapes is None):
            raise ValueError("give one of: config, shapes")
        return self

    def network(self, phase: Phase | None = None, context: int | None = None) -> Network:
        """The model as shapes, its N:M layers with their pattern.

        Args:
            phase, context: of a language model (default: training).

        Raises:
            InputError: a configuration that is not known, or a layer that the model does not have.
        """
        if self.config is not None:
            from .networks.hf_config import language_model

            network = language_model(self.config, self.model, f"{self.model}: config").network(
                phase or "training", context
            )
        else:
            assert self.shapes is not None
            network = self.shapes
        known = {layer.name for layer in network.layers if isinstance(layer, Weighted)}
        for name in self.layers:
            if name not in known:
                raise InputError(f"{self.model}: field layers: {name!r} is no layer with weights of the model")
        found = []
        for layer in network.layers:
            mine = self.layers.get(layer.name)
            pattern = mine.nm if mine is not None else None
            if pattern is not None:
                layer = layer.model_copy(update={"sparsity": str(pattern)})
            found += _wrapped(layer, mine.wrappers) if mine is not None and mine.wrappers else [layer]
        return network.model_copy(update={"layers": tuple(found)})


def _wrapped(layer: Layer, block: int) -> list[Layer]:
    """A linear layer between two block-diagonal matrices, each a dense convolution of as many groups as blocks.

    Raises:
        InputError: another layer, or sizes that are no multiple of the block's.
    """
    if not isinstance(layer, Linear) or layer.in_features % block or layer.out_features % block:
        raise InputError(f"field layers.{layer.name}.wrappers: {block}: of a linear layer of multiples of that")

    def around(name: str, width: int) -> Conv:
        return Conv(
            name=f"{layer.name}.{name}", in_channels=width, out_channels=width, height=layer.rows, width=1,
            kernel=(1, 1), groups=width // block, sparsity="dense",
        )  # fmt: skip

    return [around("right", layer.in_features), layer, around("left", layer.out_features)]


class PrunedFolder:
    """A pruned model's folder, opened; masks are read and checked when asked for."""

    def __init__(self, folder: Path, model: PrunedModel) -> None:
        self.folder, self.model = folder, model

    @cached_property
    def _arrays(self) -> Mapping[str, np.ndarray]:
        return read_arrays(self.folder / MASKS)

    def mask(self, layer: str) -> np.ndarray:
        """bool, of the shape of the layer's weights.

        Raises:
            InputError: it is missing, of another size, or keeps more than its pattern says.
        """
        where = f"{self.folder / MASKS}: layer {layer}"
        known = self.model.layers.get(layer)
        packed = self._arrays.get(layer)
        if known is None or packed is None:
            raise InputError(f"{where}: is missing")
        size = math.prod(known.shape)
        if packed.dtype != np.uint8 or packed.shape != (-(-size // 8),):
            raise InputError(f"{where}: {packed.dtype}{list(packed.shape)}, expected the bits of {list(known.shape)}")
        mask = np.unpackbits(packed, count=size).astype(bool).reshape(known.shape)
        if (pattern := known.nm) is not None:
            channels = np.moveaxis(mask, 1, -1)
            if channels.shape[-1] % pattern.m_group:
                raise InputError(f"{where}: {channels.shape[-1]} channels, no multiple of M={pattern.m_group}")
            most = int(channels.reshape(-1, pattern.m_group).sum(1).max())
            if most > pattern.n_keep:
                raise InputError(f"{where}: a group keeps {most}, its pattern is {pattern}")
        return mask

    @classmethod
    def read(cls, path: Path) -> PrunedFolder:
        """Open a folder, or its ``pruned.json``.

        Raises:
            InputError: none, or one of another version.
        """
        file = path / FILE if path.is_dir() else path
        data = read_json(file)
        if not isinstance(data, dict) or data.get("format") != PRUNED_FORMAT:
            raise InputError(f"{file}: field format: not a pruned model of this version ({PRUNED_FORMAT})")
        model = validated(PrunedModel, data, str(file))
        for name, layer in model.layers.items():
            try:
                _ = layer.nm
            except InputError as error:
                raise InputError(f"{file}: field layers.{name}.pattern: {error}") from None
        return cls(file.parent, model)


def pruned_file(network: object) -> Path | None:
    """``pruned.json`` of what a user named, if that is a pruned model's folder or such a file."""
    if not isinstance(network, str | Path) or not network:
        return None
    path = Path(network)
    if (path / FILE).is_file():
        return path / FILE
    return path if path.name == FILE and path.is_file() else None


def write_pruned(folder: Path, model: PrunedModel, masks: Mapping[str, np.ndarray]) -> PrunedFolder:
    """Write a pruned model: masks by layer, bool."""
    (folder / FILE).unlink(missing_ok=True)
    with atomic_path(folder / MASKS) as temporary:
        packed = {name: np.packbits(mask.reshape(-1)) for name, mask in masks.items()}
        np.savez_compressed(temporary, allow_pickle=False, **packed)
    write_text(folder / FILE, json.dumps(model.model_dump(mode="json", exclude_none=True), indent=1) + "\n")
    return PrunedFolder.read(folder)
