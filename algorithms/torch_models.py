# SPDX-License-Identifier: Apache-2.0
"""Torch models as the command line names them: an archive ``model.pt2``, or a function ``package.module:factory``.

Imports torch only when it is asked to read one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dataflow.errors import InputError, unknown
from dataflow.networks.network import Network

EXAMPLES = ("example_inputs", "example_input_array", "dummy_inputs")
"""Attributes of a module that may hold inputs which show its sizes."""


def read_pt2(path: Path, *, ignore: Collection[str] = (), dims: Mapping[str, int] | None = None) -> Network:
    """The network of a `torch.export` archive; see `algorithms.graphs.archive`.

    Raises:
        InputError: no torch; an archive that cannot be read; an operation that is not modelled.
    """
    _needs_torch(str(path))
    from .graphs.archive import read_archive

    return read_archive(path, ignore=ignore, dims=dims)


def read_factory(text: str, *, ignore: Collection[str] = (), dims: Mapping[str, int] | None = None) -> Network:
    """The network of what ``package.module:name`` gives: a module, or a pair (module, example inputs).

    The name is a function without arguments, or the module or pair itself. Example inputs are a tensor, a tuple of
    tensors or a dictionary by name, the batch first; a module alone must have them as one of its `EXAMPLES`. The
    package is imported, from the working directory too: that runs its code.

    Raises:
        InputError: no torch; a package that cannot be imported, or has no such name; a function that fails or gives
            something else; no example inputs; what `algorithms.shapes.network_of` refuses.
    """
    _needs_torch(text)
    for name in dims or ():
        raise InputError(f"dims: {name}: {text} has the sizes of its example inputs")
    from torch import nn

    from .shapes import network_of

    made = _made(text)
    model, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, nn.Module):
        raise InputError(f"{text}: gave a {type(made).__name__}, no torch module or (module, example inputs)")
    if example is None:
        example = next((e for e in (getattr(model, name, None) for name in EXAMPLES) if e is not None), None)
    if example is None:
        raise InputError(f"{text}: gave a module without example inputs: return (module, example inputs)")
    return network_of(model, example, text, ignore=ignore)


def factory_file(text: str) -> Path | None:
    """The file of a factory's module, which its network depends on; nothing is imported."""
    from importlib.util import find_spec

    _here()
    try:
        spec = find_spec(text.partition(":")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and Path(spec.origin).is_file() else None


def _made(text: str) -> Any:
    module, _, name = text.partition(":")
    _here()
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
        raise InputError(f"{text}: {module} cannot be imported: {_reason(error)}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise unknown(f"{text}: name", part, [n for n in dir(found) if not n.startswith("_")])
        found = getattr(found, part)
    from torch import nn

    if isinstance(found, nn.Module | tuple) or not callable(found):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise InputError(f"{text}: raised {_reason(error)}") from None


def _here() -> None:
    """Packages of the working directory can be imported, as with ``python -m``."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
        importlib.invalidate_caches()


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200] or 'no reason given'}"


def _needs_torch(where: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise InputError(f"{where}: reading it needs torch: pip install 'hwsim[train]'") from None
