"""Principal components of image blocks: the embedded codec, fitted in a second.

Shapes: B images, C latent channels, H x W latent grid, K pixels of a block (3 * block * block), 3 colours.
"""

import json
from pathlib import Path
from typing import Literal, Self

import torch
from einops import rearrange
from pydantic import BaseModel, Field
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.codec.codec import Codec


class PCACodecConfig(BaseModel, frozen=True, extra="forbid"):
    """Linear latents of square blocks: fitted in a second, about 35 dB PSNR with these defaults."""

    kind: Literal["pca"] = "pca"
    width: int = Field(448, gt=0, description="width in pixels")
    height: int = Field(256, gt=0, description="height in pixels")
    block: int = Field(16, gt=1, description="side of a block in pixels; a block is one position of the latent grid")
    channels: int = Field(48, gt=0, description="number of components, of a block's 3 * block^2 values")
    temper: float = Field(0.5, ge=0, le=1, description="power of a channel's std that scaling removes; 1 whitens")


class PCACodec(Codec):
    """Principal components of image blocks (the paper uses SDXL's VAE, section 3.2).

    A latent channel is divided by its std to the power `temper`, and all channels by one number, so that their
    average variance is 1. So large structures stay larger than fine ones, and noise hides fine ones first.
    """

    basis_CK: Tensor
    mean_K: Tensor
    scale_C: Tensor

    def __init__(self, config: PCACodecConfig) -> None:
        super().__init__()
        if config.width % config.block or config.height % config.block:
            raise ValueError(f"images of {config.width}x{config.height} don't divide into blocks of {config.block}")
        values = 3 * config.block**2
        if config.channels > values:
            raise ValueError(f"a block of {config.block} has {values} values, fewer than channels={config.channels}")
        self.config = config
        self.register_buffer("basis_CK", torch.eye(config.channels, values))
        self.register_buffer("mean_K", torch.full((values,), 0.5))
        self.register_buffer("scale_C", torch.ones(config.channels))

    @property
    def grid(self) -> tuple[int, int, int]:
        config = self.config
        return config.channels, config.height // config.block, config.width // config.block

    @torch.no_grad()
    def fit(self, images_B3HW: Tensor) -> Self:
        """Fits basis and scales on images in 0-1 and their mirror images, so that flipping loses nothing."""
        images_B3HW = self.sized(images_B3HW)
        total_K = torch.zeros(self.mean_K.shape, dtype=torch.float64)
        total_KK = torch.zeros(len(total_K), len(total_K), dtype=torch.float64)
        count = 0
        for image_3HW in images_B3HW:
            blocks_NK = self._blocks(torch.stack([image_3HW, image_3HW.flip(-1)])).reshape(-1, len(total_K))
            total_K += blocks_NK.sum(0).double().cpu()
            total_KK += (blocks_NK.T @ blocks_NK).double().cpu()
            count += len(blocks_NK)
        mean_K = total_K / count
        variance, vectors = torch.linalg.eigh(total_KK / count - torch.outer(mean_K, mean_K))
        basis_CK = vectors.flip(1)[:, : self.config.channels].T
        basis_CK = basis_CK * torch.where(basis_CK.sum(1) < 0, -1.0, 1.0).unsqueeze(1)
        std_C = variance.flip(0)[: self.config.channels].clamp(min=1e-8).sqrt()
        scale_C = std_C**self.config.temper
        scale_C = scale_C * (std_C / scale_C).square().mean().sqrt()
        self.basis_CK.copy_(basis_CK)
        self.mean_K.copy_(mean_K)
        self.scale_C.copy_(scale_C)
        return self

    @torch.no_grad()
    def encode(self, images_B3HW: Tensor) -> Tensor:
        blocks_BHWK = self._blocks(self.sized(images_B3HW))
        latents_BHWC = (blocks_BHWK - self.mean_K) @ self.basis_CK.T / self.scale_C
        return rearrange(latents_BHWC, "b h w c -> b c h w").contiguous()

    @torch.no_grad()
    def decode(self, latents_BCHW: Tensor) -> Tensor:
        return self.pixels(latents_BCHW).clamp(0, 1)

    def pixels(self, latents_BCHW: Tensor) -> Tensor:
        latents_BHWC = rearrange(latents_BCHW, "b c h w -> b h w c").to(self.scale_C.dtype)
        blocks_BHWK = (latents_BHWC * self.scale_C) @ self.basis_CK + self.mean_K
        size = self.config.block
        return rearrange(blocks_BHWK, "b h w (c p q) -> b c (h p) (w q)", c=3, p=size, q=size)

    def resized(self, width: int, height: int) -> Self:
        codec = type(self)(PCACodecConfig(**self.config.model_dump() | {"width": width, "height": height}))
        codec.load_state_dict(self.state_dict())
        return codec

    def same_as(self, other: Codec) -> bool:
        ours, theirs = self.state_dict(), other.state_dict()
        return self.config == other.config and all(torch.equal(ours[name], theirs[name]) for name in ours)

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(self.config.model_dump_json(indent=2))
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Read what `save_pretrained` wrote."""
        codec = cls(PCACodecConfig(**json.loads((folder / "config.json").read_text())))
        codec.load_state_dict(load_file(folder / "model.safetensors"))
        return codec

    def _blocks(self, images_B3HW: Tensor) -> Tensor:
        size = self.config.block
        return rearrange(images_B3HW, "b c (h p) (w q) -> b h w (c p q)", p=size, q=size)
