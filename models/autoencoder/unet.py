"""The decoder's U-Net, a UNet2DConditionModel of diffusers: a small one from scratch, or SDXL base's with its weights.

Both have the same inputs: noisy latents, a timestep, a context for the cross-attention, a pooled vector and six sizes.
"""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, Field

from models.autoencoder.sdxl import SdxlPartConfig
from models.weights.checkpoint import CheckpointError, Origin


class UNetConfig(BaseModel, frozen=True, extra="forbid"):
    """The sizes of a U-Net with random weights and SDXL's architecture; `SDXL_UNET` has the paper's sizes."""

    kind: Literal["built"] = "built"
    channels: tuple[int, ...] = Field((64, 96, 128), min_length=1, description="channels of each level, finest first")
    layers: int = Field(1, gt=0, description="ResNet blocks per level")
    transformers: tuple[int, ...] = Field((0, 0, 1), description="transformer layers of each level; 0: no attention")
    head_width: int = Field(32, gt=0, description="channels of an attention head")
    cross_width: int = Field(64, gt=0, description="cross-attention width X; SDXL: 2048")
    pooled_width: int = Field(128, gt=0, description="pooled width P; SDXL: 1280")
    size_width: int = Field(16, gt=1, description="width of each of the six embedded sizes; SDXL: 256")


SDXL_UNET = UNetConfig(
    channels=(320, 640, 1280),
    layers=2,
    transformers=(0, 2, 10),
    head_width=64,
    cross_width=2048,
    pooled_width=1280,
    size_width=256,
)


class SdxlUNetConfig(SdxlPartConfig, frozen=True, extra="forbid"):
    """SDXL base's U-Net with its weights, the paper's decoder before fine-tuning."""

    origin: ClassVar[Origin] = Origin(
        name="SDXL base's U-Net",
        licence="CreativeML Open RAIL++-M",
        fetch="the folder unet/ of stabilityai/stable-diffusion-xl-base-1.0 from the Hugging Face hub",
        setting="autoencoder.model.decoder.unet.source",
    )
    part: ClassVar[str] = "unet"

    kind: Literal["sdxl"] = "sdxl"


UNetBackend = Annotated[UNetConfig | SdxlUNetConfig, Field(discriminator="kind")]


def build_unet(config: UNetConfig | SdxlUNetConfig, grid: tuple[int, int, int], coarse: bool) -> Any:
    """The U-Net for latents of `grid` (channels, height, width); with `coarse` it also reads a map of the same size.

    Raises:
        ValueError: sizes don't fit together; the message quotes them.
        CheckpointError: SDXL's can't be loaded, or is another kind of U-Net.
    """
    match config:
        case UNetConfig():
            return _built(config, grid, coarse)
        case SdxlUNetConfig():
            return _pretrained(config, grid, coarse)


def widths(unet: Any) -> tuple[int, int]:
    """(X, P): the widths of a context vector and of the pooled vector."""
    sizes = unet.config
    return sizes.cross_attention_dim, sizes.projection_class_embeddings_input_dim - 6 * sizes.addition_time_embed_dim


def _pretrained(config: SdxlUNetConfig, grid: tuple[int, int, int], coarse: bool) -> Any:
    from diffusers import UNet2DConditionModel

    if coarse:
        raise ValueError("SDXL's U-Net can't read a coarse map: set decoder.coarse=null")
    unet = config.load(UNet2DConditionModel).requires_grad_(True)
    if unet.config.addition_embed_type != "text_time":
        raise CheckpointError(
            f"{config.source!r} holds a U-Net with addition_embed_type={unet.config.addition_embed_type!r}, not SDXL "
            f"base's 'text_time', a pooled vector and six sizes: fetch {config.origin.fetch}"
        )
    if unet.config.in_channels != grid[0]:
        raise ValueError(
            f"{config.source!r} denoises latents of {unet.config.in_channels} channels, the codec makes {grid[0]}: set "
            "frozen.codec.kind=sdxl_vae"
        )
    return unet


def _built(unet: UNetConfig, grid: tuple[int, int, int], coarse: bool) -> Any:
    from diffusers import UNet2DConditionModel

    channels, height, width = grid
    levels = len(unet.channels)
    if len(unet.transformers) != levels:
        raise ValueError(f"unet.transformers={unet.transformers} must name a number for each of the {levels} levels")
    if unet.transformers[-1] < 1:
        raise ValueError(f"unet.transformers={unet.transformers}: the coarsest level must attend to the tokens")
    if any(level % unet.head_width for level in unet.channels):
        raise ValueError(f"unet.channels={unet.channels} must be multiples of unet.head_width={unet.head_width}")
    if height % 2 ** (levels - 1) or width % 2 ** (levels - 1):
        raise ValueError(f"a latent grid of {height}x{width} can't be halved {levels - 1} times")
    attend = [layers > 0 for layers in unet.transformers]
    network = UNet2DConditionModel(
        sample_size=(height, width),
        in_channels=channels * (2 if coarse else 1),
        out_channels=channels,
        block_out_channels=unet.channels,
        layers_per_block=unet.layers,
        down_block_types=tuple("CrossAttnDownBlock2D" if here else "DownBlock2D" for here in attend),
        up_block_types=tuple("CrossAttnUpBlock2D" if here else "UpBlock2D" for here in reversed(attend)),
        transformer_layers_per_block=tuple(max(layers, 1) for layers in unet.transformers),
        attention_head_dim=tuple(level // unet.head_width for level in unet.channels),
        cross_attention_dim=unet.cross_width,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=unet.size_width,
        projection_class_embeddings_input_dim=unet.pooled_width + 6 * unet.size_width,
    )
    if coarse:  # initially the correction of the coarse map is zero (`diffusion.predict`)
        torch.nn.init.zeros_(network.conv_out.weight)
        torch.nn.init.zeros_(network.conv_out.bias)
    return network
