# SPDX-License-Identifier: Apache-2.0
"""GGUF files and the Llama in them, against naive decoding, transformers' Llama, and the real SmolLM2."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from algorithms.models import smollm2
from algorithms.models.gguf import Gguf
from algorithms.models.llama import Llama, LlamaSizes, read_llama
from dataflow.errors import InputError
from dataflow.importers import find_network
from dataflow.networks.hf_config import language_model
from tests.support.models import needed
from tests.support.tools import package

KINDS = {"F32": 0, "F16": 1, "Q4_1": 3, "Q8_0": 8}
TINY = LlamaSizes(vocabulary=40, hidden=32, width=64, blocks=2, heads=4, kv_heads=2, base=1e4, epsilon=1e-5, longest=64)


def text(word: str) -> bytes:
    return struct.pack("<Q", len(word)) + word.encode()


def fact(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)


def write(path: Path, facts: dict[str, Any], tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> Path:
    """A GGUF file of version 3; tensors by name: kind, shape (outermost first), data."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    out += b"".join(text(key) + fact(value) for key, value in facts.items())
    data = b""
    for name, (kind, shape, raw) in tensors.items():
        data += b"\0" * (-len(data) % 32)
        sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        out += text(name) + sizes + struct.pack("<IQ", KINDS[kind], len(data))
        data += raw
    path.write_bytes(out + b"\0" * (-len(out) % 32) + data)
    return path


def test_every_kind_is_decoded_as_its_formula_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scales, leasts = rng.normal(size=(2, 6)).astype(np.float16)
    halves = rng.integers(0, 256, (6, 16), dtype=np.uint8)
    whole = rng.integers(-128, 128, (6, 32), dtype=np.int8)
    q4 = b"".join(s.tobytes() + m.tobytes() + h.tobytes() for s, m, h in zip(scales, leasts, halves, strict=True))
    q8 = b"".join(s.tobytes() + w.tobytes() for s, w in zip(scales, whole, strict=True))
    plain = rng.normal(size=(3, 5)).astype(np.float32)
    file = Gguf(write(tmp_path / "a.gguf", {"a": "b", "list": ["x", "yz"], "n": 7}, {
        "q4": ("Q4_1", (3, 64), q4), "q8": ("Q8_0", (2, 96), q8), "f": ("F32", (3, 5), plain.tobytes()),
        "h": ("F16", (3, 5), plain.astype(np.float16).tobytes()),
    }))  # fmt: skip
    assert file.facts == {"a": "b", "list": ["x", "yz"], "n": 7}
    assert file.kinds == {"q4": "Q4_1", "q8": "Q8_0", "f": "F32", "h": "F16"}
    wanted = np.zeros(192, np.float32)
    for block in range(6):
        for i in range(16):
            for half, value in enumerate((halves[block, i] & 15, halves[block, i] >> 4)):
                wanted[32 * block + 16 * half + i] = np.float32(scales[block]) * value + np.float32(leasts[block])
    np.testing.assert_array_equal(file.tensor("q4"), wanted.reshape(3, 64))
    np.testing.assert_array_equal(file.tensor("q8").ravel(), (scales.astype(np.float32)[:, None] * whole).ravel())
    np.testing.assert_array_equal(file.tensor("f"), plain)
    np.testing.assert_array_equal(file.tensor("h"), plain.astype(np.float16).astype(np.float32))


def test_what_is_no_whole_file_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", {"a": "text"}, {"f": ("F32", (4,), np.ones(4, np.float32).tobytes())})
    raw = path.read_bytes()
    for size in (0, 3, 10, 30, 70):
        path.write_bytes(raw[:size])
        with pytest.raises(InputError, match=r"a\.gguf: (no GGUF file|truncated|cannot be read)"):
            Gguf(path)
    path.write_bytes(raw[:-4])
    with pytest.raises(InputError, match="tensor f: truncated"):
        Gguf(path).tensor("f")
    path.write_bytes(raw)
    with pytest.raises(InputError, match="tensor g is missing"):
        Gguf(path).tensor("g")
    path.write_bytes(raw.replace(struct.pack("<I", 3), struct.pack("<I", 2), 1))
    with pytest.raises(InputError, match="version 2: only 3"):
        Gguf(path)
    with pytest.raises(InputError, match="none.gguf: cannot be read"):
        Gguf(tmp_path / "none.gguf")


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", {"general.architecture": "gpt2"}, {})
    with pytest.raises(InputError, match="architecture 'gpt2': only llama is read"):
        read_llama(Gguf(path))
    path = write(tmp_path / "a.gguf", {"general.architecture": "llama", "llama.block_count": 2}, {})
    with pytest.raises(InputError, match=r"fact llama\.embedding_length is missing"):
        read_llama(Gguf(path))


def test_the_model_is_transformers_llama() -> None:
    """Random weights; transformers' order of a head's rows (halves) is made of ours (neighbours)."""
    transformers = package("transformers")
    torch.manual_seed(0)
    ours = Llama(TINY).eval()
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**TINY.config())).eval()

    def halves(weight: torch.Tensor) -> torch.Tensor:
        return weight.unflatten(0, (-1, TINY.head // 2, 2)).transpose(1, 2).flatten(0, 2)

    state = {"model.embed_tokens.weight": ours.embedding.weight, "model.norm.weight": ours.head.norm.weight,
             "lm_head.weight": ours.embedding.weight}  # fmt: skip
    names = {"o": "self_attn.o_proj", "v": "self_attn.v_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
             "down": "mlp.down_proj", "norm1": "input_layernorm", "norm2": "post_attention_layernorm"}  # fmt: skip
    for i, block in enumerate(ours.layers):
        state |= {f"model.layers.{i}.{there}.weight": getattr(block, here).weight for here, there in names.items()}
        state |= {f"model.layers.{i}.self_attn.{p}_proj.weight": halves(getattr(block, p).weight) for p in "qk"}
    theirs.load_state_dict(state)
    tokens = torch.randint(TINY.vocabulary, (3, 17))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, atol=1e-5, rtol=1e-5)


def test_its_layers_are_called_as_the_networks() -> None:
    model = Llama(TINY)
    network = language_model(TINY.config(), "tiny", "tiny").network("prefill", 8)
    mine = {n: tuple(m.weight.shape) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    theirs = {n.name: (n.out_features, n.in_features) for n in network.layers if n.kind == "linear"}
    assert theirs.pop("head") == (TINY.vocabulary, TINY.hidden)
    assert mine == theirs


def test_the_network_called_smollm2_is_that_of_the_weights() -> None:
    needed(smollm2.NAME)
    mine = language_model(smollm2.config(), smollm2.NAME, smollm2.NAME)
    for phase in ("training", "prefill", "decode"):
        assert find_network(smollm2.NAME, phase=phase, context=512) == mine.network(phase, 512)


def test_smollm2_says_that_paris_is_the_capital() -> None:
    needed(smollm2.NAME)
    model, tokenizer = smollm2.load()
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    ids = tokenizer.encode("The capital of France is").ids
    with torch.no_grad():
        assert tokenizer.decode([int(model(torch.tensor([ids]))[0, -1].argmax())]) == " Paris"
    text = "A list display, in 2019:\n\tdéjà vu"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
