"""SDXL, CLIP and the training on them in small, and references that know the project's weights but not its modules."""

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from models.autoencoder.autoencoder import AutoencoderConfig
from models.autoencoder.compressor import TransformerConfig
from models.autoencoder.decoder import DecoderConfig
from models.autoencoder.diffusion import DiffusionConfig
from models.autoencoder.unet import SdxlUNetConfig
from models.codec import SdxlVaeConfig, build_codec
from models.codec.sdxl_vae import SdxlVae
from models.training.autoencoder import AutoencoderTraining, AutoencoderTrainingConfig
from models.training.views import InMemory, Views
from models.vision import ClipConfig, build

SIZE = (64, 96)  # height and width
SENTENCE, FACE = 12, 10


def vae(sdxl: Path) -> SdxlVae:
    codec = build_codec(SdxlVaeConfig(source=str(sdxl), height=SIZE[0], width=SIZE[1]))
    assert isinstance(codec, SdxlVae)
    return codec


def model(sdxl: Path, width: int = 32, channels: int = 24, tokens: int = 2, **diffusion: Any) -> AutoencoderConfig:
    """`width` 32 is the U-Net's own; another one is brought to it by a linear layer."""
    return AutoencoderConfig(
        compressor=TransformerConfig(
            channels=channels, positions=16, tokens=tokens, token_width=width, width=16, heads=2
        ),
        decoder=DecoderConfig(
            unet=SdxlUNetConfig(source=str(sdxl)),
            coarse=None,
            sentence_width=SENTENCE,
            face_width=FACE,
            image_size=SIZE,
        ),
        diffusion=DiffusionConfig(**{"prediction": "epsilon"} | diffusion),
    )


def training(
    sdxl: Path, clip: Path, pictures: torch.Tensor, init: Path | None = None, **changed: Any
) -> AutoencoderTraining:
    encoder, codec = build(ClipConfig(source=str(clip))), vae(sdxl)
    small, mirrored = (F.interpolate(some, (56, 56)) for some in (pictures, pictures.flip(-1)))
    config = AutoencoderTrainingConfig(
        **{"model": model(sdxl), "warmup_steps": 2, "warmup_batch": 3, "steps": 4, "batch": 3, "token_noise": 0.0}
        | changed
    )
    latents = codec.encode(pictures), codec.encode(pictures.flip(-1))
    return AutoencoderTraining(config, codec, Views(InMemory(*latents, encoder(small), encoder(mirrored))), init)


def normalised(x: torch.Tensor, weights: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])


def attention(x: torch.Tensor, weights: dict[str, torch.Tensor], name: str, heads: int) -> torch.Tensor:
    normed = normalised(x, weights, f"{name}.norm_attention")
    qkv = normed @ weights[f"{name}.qkv.weight"].T + weights[f"{name}.qkv.bias"]
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
    mixed = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v
    x = x + mixed.transpose(1, 2).flatten(2) @ weights[f"{name}.out.weight"].T + weights[f"{name}.out.bias"]
    normed = normalised(x, weights, f"{name}.norm_mlp")
    hidden = F.gelu(normed @ weights[f"{name}.mlp.0.weight"].T + weights[f"{name}.mlp.0.bias"])
    return x + hidden @ weights[f"{name}.mlp.2.weight"].T + weights[f"{name}.mlp.2.bias"]


def compressed(features: torch.Tensor, weights: dict[str, torch.Tensor], heads: int = 2) -> torch.Tensor:
    """Figure 9: three blocks, dimensions interchanged, a linear layer, three blocks."""
    x = normalised(features, weights, "norm_in")
    x = x @ weights["linear_in.weight"].T + weights["linear_in.bias"] + weights["positions_NW"]
    for block in range(3):
        x = attention(x, weights, f"spatial.{block}", heads)
    x = normalised(x, weights, "norm_spatial")
    x = (x.transpose(1, 2) @ weights["squeeze.weight"].T + weights["squeeze.bias"]).transpose(1, 2)
    for block in range(3):
        x = attention(x, weights, f"compressed.{block}", heads)
    x = normalised(x, weights, "norm_compressed")
    tokens = x @ weights["linear_out.weight"].T + weights["linear_out.bias"]
    return F.layer_norm(tokens, tokens.shape[-1:])


def noised(latents: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    bar = torch.cumprod(1 - betas, 0)[timestep].float()[:, None, None, None]
    return bar.sqrt() * latents + (1 - bar).sqrt() * noise


def mlp(x: torch.Tensor, layers: Any) -> torch.Tensor:
    first, _, second = layers
    return F.gelu(x @ first.weight.T + first.bias) @ second.weight.T + second.bias
