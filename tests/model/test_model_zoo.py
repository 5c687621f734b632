# SPDX-License-Identifier: Apache-2.0
"""Models that people have: multiplies are those of torch's counter, weights the parameters that products use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from algorithms.shapes import network_of
from dataflow.errors import InputError
from dataflow.importers import read_network
from dataflow.networks.network import Network
from tests.support import tools
from tests.support.torch_models import CAUSAL, MODELS, SMALL, Made, of_transformers, used_parameters

UNSEEN = {
    "mamba": 30 * 16,  # its head is the table of its embedding
    "mixture": 2 * 4 * 16 * 32,  # the experts are parameters of no module
    "mixtral": 2 * 4 * (32 * 96 + 48 * 32),  # likewise
    "xlnet": 2 * 5 * 32 * 32,  # q, k, v, o, r
    "hf-mamba": 2 * (64 * 4 + 64 * 2),  # the convolution and the step's projection, called as functions
    "mamba2": 2 * 96 * 4,  # the convolution
    "deberta": 1024 * 32,  # the table of relative positions, through the keys' and queries' layers
    "funnel": 4 * (32 * 32 + 2 * 32),  # positions' kernel, segments
}
"""Elements that models multiply outside of a module that `used_parameters` sees."""
QUICK = ("bert", "gpt2", "llama", "mixtral", "t5", "whisper", "hf-vit", "swinv2")
"""Those of transformers that run with `make test`."""


def check(model: nn.Module, example: Any, name: str) -> Network:
    model.eval()
    net = network_of(model, example, name)
    args, kwargs = ((), example) if isinstance(example, dict) else (example, {})
    args = args if isinstance(args, tuple) else (args,)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not see into it
    try:
        with FlopCounterMode(display=False) as count, sdpa_kernel(SDPBackend.MATH):
            used = used_parameters(model, lambda: model(*args, **kwargs))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    assert sum(x.macs * (1 if x.once else 2) for x in net.layers) == count.get_total_flops() // 2
    assert net.weights == used + UNSEEN.get(name, 0)
    assert all(o.free or o.layers for o in net.operations)
    return net


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_models_in_the_form_of_well_known_ones(name: str) -> None:
    net = check(*MODELS[name](), name)
    assert net.macs > 10_000


HUB: dict[str, Callable[[], Made]] = of_transformers()


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.nightly) for n in HUB])
@pytest.mark.filterwarnings("ignore")
def test_models_from_configurations(name: str) -> None:
    tools.package("transformers").logging.set_verbosity_error()
    net = check(*HUB[name](), name)
    if name == "albert":
        assert sum(getattr(x, "shared", 0) > 0 for x in net.layers) == 6, "its second layer is its first"


def test_at_least_forty_models_are_counted() -> None:
    assert len(MODELS) + len(HUB) >= 40
    assert {name.lower() for name in CAUSAL} <= set(HUB)


@pytest.mark.parametrize("name", ["clip", "longformer", "mixtral, expert by expert"])
@pytest.mark.filterwarnings("ignore")
def test_models_that_are_refused_say_why(name: str) -> None:
    transformers = tools.package("transformers")
    transformers.logging.set_verbosity_error()
    ids = torch.zeros(2, 12, dtype=torch.long)
    if name == "clip":
        part = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
        config = transformers.CLIPConfig(
            text_config={**part, "vocab_size": 64}, vision_config={**part, "image_size": 16, "patch_size": 8}
        )
        model, why = transformers.CLIPModel(config), "aten.mm's work grows with the square of the batch"
        example: Any = {"input_ids": ids, "pixel_values": torch.zeros(2, 3, 16, 16)}
    elif name == "longformer":
        model, example = transformers.LongformerModel(transformers.LongformerConfig(**SMALL, attention_window=4)), ids
        why = "encoder: control flow or a shape depends on values"
    else:
        config = transformers.MixtralConfig(
            **SMALL, num_key_value_heads=2, num_local_experts=4, experts_implementation="eager"
        )
        model, example = transformers.MixtralForCausalLM(config), ids
        why = r"experts: control flow or a shape depends on values \(aten.nonzero\)"
    with pytest.raises(InputError, match=why) as error:
        network_of(model.eval(), example, "m")
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore")
def test_grouped_products_of_experts_are_experts() -> None:
    """transformers' default: vectors sorted by expert; torch's counter does not know the operation."""
    transformers = tools.package("transformers")
    config = transformers.MixtralConfig(
        **SMALL, num_key_value_heads=2, num_local_experts=4, experts_implementation="grouped_mm"
    )
    net = network_of(transformers.MixtralForCausalLM(config).eval(), torch.zeros(2, 12, dtype=torch.long), "m")
    experts = [x for x in net.layers if getattr(x, "experts", 1) > 1]
    assert [(x.rows, x.experts, x.active) for x in experts] == [(24, 4, 1)] * 4
    assert sum(x.macs for x in experts) == 2 * 24 * (32 * 96 + 48 * 32)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["resnet", "convnext", "mobilenetv3", "unet", "swin", "mixture", "video", "wavenet",
                                  "bert", "hf-vit", "hf-swin", "swinv2"])  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_archives_of_models_are_the_models(name: str, tmp_path: Path) -> None:
    """Those that `torch.export` exports with a dynamic batch."""
    model, example = {**MODELS, **HUB}[name]()
    args = example if isinstance(example, tuple) else (example,)
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in args)
    torch.export.save(torch.export.export(model.eval(), args, dynamic_shapes=shapes), tmp_path / "m.pt2")
    net, found = network_of(model, example, "m"), read_network(tmp_path / "m.pt2")
    assert (found.macs, found.weights) == (net.macs, net.weights)
