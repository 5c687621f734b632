# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M-Instruct as its package has it, quantized to 4 bits (the embedding to 8), read as float32."""

from __future__ import annotations

from typing import Any

from .catalog import weights
from .gguf import Gguf
from .llama import Llama, llama_sizes, read_llama, read_tokenizer

NAME = "smollm2-135m"


def load() -> tuple[Llama, Any]:
    """The model, for evaluation, and its tokenizer; a second.

    Raises:
        InputError: the weights are not installed, or others.
    """
    file = Gguf(weights(NAME).path())
    return read_llama(file), read_tokenizer(file)


def config() -> dict[str, Any]:
    """Its configuration as a Hugging Face ``config.json``, from the file's facts alone."""
    return llama_sizes(Gguf(weights(NAME).path())).config()
