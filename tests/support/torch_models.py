# SPDX-License-Identifier: Apache-2.0
"""Torch models that people have, small and without downloads: in the form of well-known ones, and from transformers.

`MODELS`: name -> (module, example inputs). `of_transformers`: the same from configurations, where that is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, Any]


def _norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width)


class Bottleneck(nn.Module):
    """ResNet's block: 1 x 1, 3 x 3, 1 x 1 with a shortcut; ``groups`` as in ResNeXt, ``dilation`` as in DeepLab."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int = 1, groups: int = 1, dilation: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False), _norm(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, dilation, dilation, groups, bias=False), _norm(width), nn.ReLU(),
            nn.Conv2d(width, outputs, 1, bias=False), _norm(outputs),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), _norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def resnet(groups: int = 1, dilation: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3, bias=False), _norm(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Bottleneck(16, 16, 32, 1, groups), Bottleneck(32, 32, 64, 2, groups, dilation),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm, self.wide, self.narrow = (
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )
        self.scale = nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, 4), nn.GroupNorm(1, 16), ConvNeXtBlock(16), nn.Conv2d(16, 24, 2, 2), ConvNeXtBlock(24),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 10),
    )  # fmt: skip


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width: int, inner: int, gate: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1), gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    """MobileNet's and EfficientNet's block."""

    def __init__(self, inputs: int, wide: int, outputs: int, kernel: int, stride: int, gate: Any, act: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False), _norm(wide), act(),
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False), _norm(wide), act(),
            Squeeze(wide, wide // 4, gate), nn.Conv2d(wide, outputs, 1, bias=False), _norm(outputs),
        )  # fmt: skip
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.adds else y


def mobile(gate: Any, act: Any) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), _norm(16), act(),
        Inverted(16, 32, 16, 3, 1, gate, act), Inverted(16, 48, 24, 5, 2, gate, act),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 32), act(), nn.Dropout(0.2), nn.Linear(32, 10),
    )  # fmt: skip


class UNet(nn.Module):
    """Down, up by a transposed convolution and by interpolation, with skips and a time embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 16))
        self.first, self.down, self.deep = (
            nn.Conv2d(3, 8, 3, 1, 1),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.Conv2d(16, 16, 3, 1, 1),
        )
        self.norm, self.attention = nn.GroupNorm(4, 16), nn.MultiheadAttention(16, 2, batch_first=True)
        self.up, self.mid, self.last = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 8, 3, 1, 1), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        steps = torch.exp(torch.arange(4, device=t.device) * -1.0)
        waves = torch.cat([torch.sin(t[:, None] * steps), torch.cos(t[:, None] * steps)], -1)
        a = F.silu(self.first(x))
        b = F.silu(self.norm(self.deep(self.down(a) + self.time(waves)[:, :, None, None])))
        flat = b.flatten(2).transpose(1, 2)
        b = b + self.attention(flat, flat, flat)[0].transpose(1, 2).view_as(b)
        up = F.interpolate(self.up(b), size=a.shape[-2:], mode="nearest")
        out: Tensor = self.last(self.mid(torch.cat([a, up], 1)))
        return out


class Detr(nn.Module):
    """A backbone, a transformer, learned queries, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 16, 7, 4, 3), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1))
        self.transformer = nn.Transformer(32, 4, 2, 2, 64, batch_first=True)
        self.queries = nn.Parameter(torch.rand(10, 32))
        self.rows, self.cols = nn.Parameter(torch.rand(8, 16)), nn.Parameter(torch.rand(8, 16))
        self.classes, self.boxes = nn.Linear(32, 6), nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, x: Tensor) -> Any:
        h = self.backbone(x)
        rows, cols = h.shape[-2:]
        place = [self.cols[:cols].unsqueeze(0).repeat(rows, 1, 1), self.rows[:rows].unsqueeze(1).repeat(1, cols, 1)]
        source = h.flatten(2).transpose(1, 2) + torch.cat(place, -1).flatten(0, 1)
        y = self.transformer(source, self.queries.expand(len(x), -1, -1))
        return self.classes(y), self.boxes(y).sigmoid()


class Mamba(nn.Module):
    """A selective state space model, its scan step by step."""

    def __init__(self, width: int = 16, inner: int = 32, state: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, width)
        self.into, self.out = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
        self.conv = nn.Conv1d(inner, inner, 4, padding=3, groups=inner)
        self.select, self.step = nn.Linear(inner, 2 + 2 * state, bias=False), nn.Linear(2, inner)
        self.a, self.d = nn.Parameter(torch.zeros(inner, state)), nn.Parameter(torch.ones(inner))
        self.state = state

    def forward(self, ids: Tensor) -> Tensor:
        residual = self.embedding(ids)
        x, gate = self.into(residual).chunk(2, -1)
        x = F.silu(self.conv(x.transpose(1, 2))[..., : ids.shape[1]].transpose(1, 2))
        dt, b, c = self.select(x).split([2, self.state, self.state], -1)
        dt = F.softplus(self.step(dt))
        h, ys = x.new_zeros(len(ids), x.shape[-1], self.state), []
        for t in range(ids.shape[1]):
            h = torch.exp(dt[:, t, :, None] * -self.a.exp()) * h + (dt[:, t] * x[:, t])[..., None] * b[:, t, None]
            ys.append((h @ c[:, t, :, None]).squeeze(-1))
        y = (torch.stack(ys, 1) + x * self.d) * F.silu(gate)
        out: Tensor = (residual + self.out(y)) @ self.embedding.weight.t()
        return out


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 4, 4)
        self.token, self.place = nn.Parameter(torch.zeros(1, 1, 32)), nn.Parameter(torch.zeros(1, 17, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True, activation="gelu")
        self.blocks, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        out: Tensor = self.head(self.blocks(x)[:, 0])
        return out


class Swin(nn.Module):
    """Attention in shifted windows, with a bias by relative position."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.qkv, self.out = nn.Conv2d(3, 16, 2, 2), nn.Linear(16, 48), nn.Linear(16, 16)
        self.bias = nn.Parameter(torch.zeros(49, 2))
        self.register_buffer("index", torch.randint(0, 49, (16, 16)))
        self.merge, self.head = nn.Linear(64, 32, bias=False), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        y = torch.roll(x, (-2, -2), (1, 2)).view(n, h // 4, 4, w // 4, 4, c).transpose(2, 3).reshape(-1, 16, c)
        q, k, v = self.qkv(y).view(-1, 16, 3, 2, 8).permute(2, 0, 3, 1, 4)
        bias = self.bias[self.index.view(-1)].view(16, 16, 2).permute(2, 0, 1)
        y = self.out((((q @ k.transpose(-2, -1)) * 8**-0.5 + bias).softmax(-1) @ v).transpose(1, 2).reshape(-1, 16, c))
        y = y.view(n, h // 4, w // 4, 4, 4, c).transpose(2, 3).reshape(n, h, w, c)
        x = x + torch.roll(y, (2, 2), (1, 2))
        x = torch.cat([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], -1)
        out: Tensor = self.head(self.merge(x).mean((1, 2)))
        return out


class Mixture(nn.Module):
    """A router and all experts, weighted: the dense form of a mixture."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.up = nn.Linear(16, 4), nn.Parameter(torch.rand(4, 16, 32))
        self.down = nn.Parameter(torch.rand(4, 32, 16))

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(torch.einsum("btd,edh->ebth", x, self.up))
        return torch.einsum("ebtd,bte->btd", torch.einsum("ebth,ehd->ebtd", h, self.down), self.router(x).softmax(-1))


class Video(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(3, 8, (3, 7, 7), (1, 2, 2), (1, 3, 3)), nn.BatchNorm3d(8), nn.ReLU(),
            nn.MaxPool3d(2), nn.Conv3d(8, 16, 3, 1, 1, groups=4), nn.AdaptiveAvgPool3d(1),
        )  # fmt: skip
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x).flatten(1))
        return out


class Generator(nn.Module):
    """A GAN's generator and WaveNet's dilated gates."""

    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Sequential(nn.ConvTranspose1d(8, 16, 4, 2, 1), nn.LeakyReLU(0.2))
        self.gates = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv1d(16, 32, 3, padding=d, dilation=d)) for d in (1, 2, 4)
        )
        self.skips = nn.ModuleList(nn.Conv1d(16, 16, 1) for _ in self.gates)

    def forward(self, x: Tensor) -> Tensor:
        x = self.grow(x)
        for gate, skip in zip(self.gates, self.skips, strict=True):
            a, b = gate(x).chunk(2, 1)
            x = x + skip(torch.tanh(a) * torch.sigmoid(b))
        return x


class Siamese(nn.Module):
    """One encoder for two images, and their correlation."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3))

    def forward(self, image: Tensor, patch: Tensor) -> Tensor:
        a, b = self.encoder(image), self.encoder(patch)
        n = len(a)
        return F.conv2d(a.reshape(1, -1, *a.shape[2:]), b.reshape(-1, 1, *b.shape[2:]), groups=n * 8).view(n, 8, -1)


def _image(size: int = 32) -> Tensor:
    return torch.zeros(2, 3, size, size)


MODELS: dict[str, Callable[[], Made]] = {
    "resnet": lambda: (resnet(), _image(64)),
    "resnext": lambda: (resnet(groups=4), _image(64)),
    "dilated-resnet": lambda: (resnet(dilation=2), _image(64)),
    "convnext": lambda: (convnext(), _image()),
    "mobilenetv3": lambda: (mobile(F.hardsigmoid, nn.Hardswish), _image()),
    "efficientnet": lambda: (mobile(torch.sigmoid, nn.SiLU), _image()),
    "unet": lambda: (UNet(), (_image(16), torch.zeros(2))),
    "detr": lambda: (Detr(), _image(48)),
    "mamba": lambda: (Mamba(), torch.zeros(2, 6, dtype=torch.long)),
    "vit": lambda: (ViT(), _image(16)),
    "swin": lambda: (Swin(), _image(16)),
    "mixture": lambda: (Mixture(), torch.zeros(2, 5, 16)),
    "video": lambda: (Video(), torch.zeros(2, 3, 8, 16, 16)),
    "wavenet": lambda: (Generator(), torch.zeros(2, 8, 9)),
    "siamese": lambda: (Siamese(), (_image(24), _image(12))),
}

SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
CAUSAL = ("Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Phi", "Phi3", "GPTNeoX", "Olmo2", "StableLm",
          "Cohere", "Granite", "Starcoder2", "SmolLM3", "Glm", "Mixtral")  # fmt: skip
"""Language models that take the fields of `SMALL`."""
SPEECH = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
          "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 64}  # fmt: skip
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
          "image_size": 32, "patch_size": 8}  # fmt: skip


def of_transformers() -> dict[str, Callable[[], Made]]:
    """Models from configurations; the package is imported when one is made."""
    ids = torch.zeros(2, 12, dtype=torch.long)
    both = {"input_ids": ids, "decoder_input_ids": ids[:, :7]}

    def make(kind: str, config: str, example: Any, **fields: Any) -> Callable[[], Made]:
        def build() -> Made:
            import transformers

            return getattr(transformers, kind)(getattr(transformers, config)(**fields)).eval(), example

        return build

    def causal(name: str) -> Callable[[], Made]:
        fields: dict[str, Any] = {**SMALL, "pad_token_id": 0}
        fields |= {} if name == "GPTNeoX" else {"num_key_value_heads": 2}
        fields |= {"head_dim": 8} if name in ("Gemma", "Gemma2", "Qwen3", "Glm") else {}
        fields |= {"num_local_experts": 4, "experts_implementation": "batched_mm"} if name == "Mixtral" else {}
        return make(f"{name}ForCausalLM", f"{name}Config", ids, **fields)

    def detr() -> Made:
        import transformers as t

        backbone = t.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1] * 4, out_features=["stage4"]
        )
        config = t.DetrConfig(
            use_timm_backbone=False, backbone=None, backbone_config=backbone, num_queries=10, **SPEECH
        )
        return t.DetrForObjectDetection(config).eval(), _image(64)

    return {
        **{name.lower(): causal(name) for name in CAUSAL},
        "bert": make("BertForMaskedLM", "BertConfig", ids, **SMALL),
        "xlm-roberta": make("XLMRobertaModel", "XLMRobertaConfig", ids, **SMALL),
        "albert": make("AlbertModel", "AlbertConfig", ids, **SMALL, embedding_size=16),
        "distilbert": make("DistilBertModel", "DistilBertConfig", ids, vocab_size=64, dim=32, n_layers=2, n_heads=4,
                           hidden_dim=48),
        "gpt2": make("GPT2LMHeadModel", "GPT2Config", ids, vocab_size=64, n_embd=32, n_layer=2, n_head=4),
        "opt": make("OPTForCausalLM", "OPTConfig", ids, vocab_size=64, hidden_size=32, num_hidden_layers=2,
                    num_attention_heads=4, ffn_dim=48, word_embed_proj_dim=32, max_position_embeddings=64),
        "bloom": make("BloomModel", "BloomConfig", ids, vocab_size=64, hidden_size=32, n_layer=2, n_head=4),
        "falcon": make("FalconModel", "FalconConfig", ids, vocab_size=64, hidden_size=32, num_hidden_layers=2,
                       num_attention_heads=4),
        "xlnet": make("XLNetModel", "XLNetConfig", ids, vocab_size=64, d_model=32, n_layer=2, n_head=4, d_inner=48),
        "t5": make("T5ForConditionalGeneration", "T5Config", both, vocab_size=64, d_model=32, d_kv=8, d_ff=48,
                   num_layers=2, num_heads=4),
        "bart": make("BartModel", "BartConfig", both, **SPEECH, max_position_embeddings=64),
        "whisper": make("WhisperModel", "WhisperConfig",
                        {"input_features": torch.zeros(2, 8, 40), "decoder_input_ids": ids[:, :7]}, **SPEECH,
                        max_source_positions=20, max_target_positions=16, num_mel_bins=8, pad_token_id=0,
                        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1),
        "wav2vec2": make("Wav2Vec2Model", "Wav2Vec2Config", torch.zeros(2, 400), hidden_size=32, num_hidden_layers=2,
                         num_attention_heads=4, intermediate_size=48, conv_dim=(8, 8), conv_stride=(5, 2),
                         conv_kernel=(10, 3), num_feat_extract_layers=2, num_conv_pos_embeddings=8,
                         num_conv_pos_embedding_groups=4, feat_extract_norm="layer"),
        "hf-vit": make("ViTModel", "ViTConfig", _image(), **VISION),
        "dinov2": make("Dinov2Model", "Dinov2Config", _image(), hidden_size=32, num_hidden_layers=2,
                       num_attention_heads=4, image_size=32, patch_size=8),
        "clip-vision": make("CLIPVisionModel", "CLIPVisionConfig", _image(), **VISION),
        "hf-swin": make("SwinModel", "SwinConfig", _image(), image_size=32, patch_size=2, embed_dim=16, depths=[2, 2],
                        num_heads=[2, 4], window_size=4),
        "swinv2": make("Swinv2Model", "Swinv2Config", _image(), image_size=32, patch_size=2, embed_dim=16,
                       depths=[2, 2], num_heads=[2, 4], window_size=4),
        "hf-convnext": make("ConvNextModel", "ConvNextConfig", _image(64), depths=[1] * 4,
                            hidden_sizes=[8, 16, 24, 32]),
        "hf-resnet": make("ResNetModel", "ResNetConfig", _image(64), embedding_size=8, hidden_sizes=[8, 16, 16, 32],
                          depths=[1] * 4),
        "mobilenetv2": make("MobileNetV2Model", "MobileNetV2Config", _image(64), depth_multiplier=0.25, image_size=64),
        "segformer": make("SegformerForSemanticSegmentation", "SegformerConfig", _image(64),
                          hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, decoder_hidden_size=16),
        "hf-detr": detr,
        "hf-mamba": make("MambaForCausalLM", "MambaConfig", ids, vocab_size=64, hidden_size=32, num_hidden_layers=2,
                         state_size=8),
        "mamba2": make("Mamba2ForCausalLM", "Mamba2Config", ids, vocab_size=64, hidden_size=32, num_hidden_layers=2,
                       state_size=8, num_heads=4, head_dim=16, n_groups=2, chunk_size=4),
        "rwkv": make("RwkvModel", "RwkvConfig", ids, vocab_size=64, hidden_size=32, num_hidden_layers=2,
                     attention_hidden_size=32),
        "perceiver": make("PerceiverModel", "PerceiverConfig", torch.zeros(2, 12, 32), num_latents=6, d_latents=32,
                          d_model=32, num_blocks=1, num_self_attends_per_block=2, num_self_attention_heads=4,
                          num_cross_attention_heads=4),
        "deberta": make("DebertaV2Model", "DebertaV2Config", ids, **SMALL, relative_attention=True,
                        pos_att_type=["p2c", "c2p"]),
        "funnel": make("FunnelModel", "FunnelConfig", ids, vocab_size=64, block_sizes=[1, 1], d_model=32, n_head=4,
                       d_head=8, d_inner=48),
    }  # fmt: skip


def used_parameters(model: nn.Module, run: Callable[[], object]) -> int:
    """Elements of the matrices and kernels of modules that run, each parameter once, by hooks on the modules.

    Counted: weights of two dimensions and more that are no table, norm or position; those of torch's attention and
    recurrent modules by their names. What a module multiplies by itself is not seen.
    """
    seen: dict[int, int] = {}

    def note(module: nn.Module, *_: object) -> None:
        names = ["weight", "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"]
        names += [n for n, _ in module.named_parameters(recurse=False) if n.startswith(("weight_ih", "weight_hh"))]
        for name in names:
            found = getattr(module, name, None)
            if nn.utils.parametrize.is_parametrized(module, name):
                found = module.parametrizations[name].original1  # type: ignore[index, union-attr]
            if isinstance(found, Tensor) and found.dim() > 1:
                seen[id(found)] = found.numel()
        if isinstance(module, nn.MultiheadAttention):  # it calls no module for its last layer
            note(module.out_proj)

    handles = [
        m.register_forward_hook(note)
        for m in model.modules()
        if not isinstance(m, nn.Embedding | nn.LayerNorm) and "Embeddings" not in type(m).__name__
    ]
    run()
    for handle in handles:
        handle.remove()
    return sum(seen.values())
