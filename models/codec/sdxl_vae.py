"""SDXL's variational autoencoder as a codec.

Shapes: B images, C latent channels, H x W latent grid.
"""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from models.autoencoder.sdxl import SdxlPartConfig
from models.codec.codec import Codec
from models.weights.checkpoint import Origin


class SdxlVaeConfig(SdxlPartConfig, frozen=True, extra="forbid"):
    """SDXL's VAE, as in the paper: four channels at an eighth of the picture's size, scaled to about unit variance."""

    origin: ClassVar[Origin] = Origin(
        name="SDXL base's VAE",
        licence="CreativeML Open RAIL++-M",
        fetch="the folder vae/ of stabilityai/stable-diffusion-xl-base-1.0 from the Hugging Face hub",
        setting="frozen.codec.source",
    )
    part: ClassVar[str] = "vae"

    kind: Literal["sdxl_vae"] = "sdxl_vae"
    width: int = Field(896, gt=0, multiple_of=8, description="width in pixels, a multiple of eight")
    height: int = Field(512, gt=0, multiple_of=8, description="height in pixels, a multiple of eight")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="number format of its arithmetic; SDXL's own weights overflow in float16"
    )


class SdxlVae(Codec):
    """Latents are the mean of the posterior times the checkpoint's scaling factor; pictures are encoded one by one.

    The arithmetic is `config.dtype`, even inside autocast; latents and pictures are float32.
    """

    def __init__(self, config: SdxlVaeConfig, vae: Any) -> None:
        super().__init__()
        if config.dtype == "float16" and vae.config.force_upcast:
            raise ValueError(
                "codec.dtype=float16: this VAE overflows in it (its config says force_upcast); take bfloat16, or a "
                "checkpoint that was mended for it, such as madebyollin/sdxl-vae-fp16-fix"
            )
        self.config = config
        self.vae: Any = nn.Module.to(vae, getattr(torch, config.dtype)).requires_grad_(False).eval()
        self.vae.enable_slicing()

    @classmethod
    def load(cls, config: SdxlVaeConfig) -> Self:
        """The checkpoint of `config`."""
        from diffusers import AutoencoderKL

        return cls(config, config.load(AutoencoderKL))

    @property
    def grid(self) -> tuple[int, int, int]:
        sizes = self.vae.config
        shrunk = 2 ** (len(sizes.block_out_channels) - 1)
        return sizes.latent_channels, self.config.height // shrunk, self.config.width // shrunk

    def fit(self, images_B3HW: Tensor) -> Self:
        return self

    @torch.no_grad()
    def encode(self, images_B3HW: Tensor) -> Tensor:
        pixels_B3HW = (2 * self.sized(images_B3HW) - 1).to(self.vae.device, self.vae.dtype)
        with torch.autocast(pixels_B3HW.device.type, enabled=False):
            mean_BCHW: Tensor = self.vae.encode(pixels_B3HW).latent_dist.mode()
        latents_BCHW: Tensor = mean_BCHW.float() * self.vae.config.scaling_factor
        return latents_BCHW.to(images_B3HW.device)

    @torch.no_grad()
    def decode(self, latents_BCHW: Tensor) -> Tensor:
        return self.pixels(latents_BCHW).clamp(0, 1)

    def pixels(self, latents_BCHW: Tensor) -> Tensor:
        unscaled_BCHW = latents_BCHW.float() / self.vae.config.scaling_factor
        with torch.autocast(latents_BCHW.device.type, enabled=False):
            pixels_B3HW: Tensor = self.vae.decode(unscaled_BCHW.to(self.vae.device, self.vae.dtype)).sample
        return ((pixels_B3HW.float() + 1) / 2).to(latents_BCHW.device)

    def resized(self, width: int, height: int) -> Self:
        return type(self)(SdxlVaeConfig(**self.config.model_dump() | {"width": width, "height": height}), self.vae)

    def same_as(self, other: Codec) -> bool:
        """Whether weights and size are the same, independent of their source."""
        if not isinstance(other, SdxlVae) or self.grid != other.grid:
            return False
        ours, theirs = self.vae.state_dict(), other.vae.state_dict()
        scale = self.vae.config.scaling_factor == other.vae.config.scaling_factor
        return scale and all(torch.equal(ours[name], theirs[name]) for name in ours)

    def save_pretrained(self, folder: Path) -> None:
        """Writes config.json and vae/, which diffusers can load."""
        self.vae.save_pretrained(folder / "vae")
        (folder / "config.json").write_text(self.config.model_dump_json(indent=2))

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Reads a folder of `save_pretrained`; ignores the original source of the weights."""
        from diffusers import AutoencoderKL

        config = SdxlVaeConfig(**json.loads((folder / "config.json").read_text()))
        return cls(config, AutoencoderKL.from_pretrained(folder / "vae", low_cpu_mem_usage=False))

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode."""
        return nn.Module.train(self, False)
