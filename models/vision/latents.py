"""Patches of the codec's latents as the compressor's features, without an image encoder.

On a laptop a frozen encoder trained on photographs costs more than it gains: the compressor learns directly from the
latents, and no features have to be stored.

Shapes: B pictures, C latent channels, H x W latent grid, P cells of a patch's side, N patches.
"""

from typing import Literal

import torch.nn.functional as F
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor

from models.codec import Codec
from models.vision.encoder import ImageEncoder


class LatentsConfig(BaseModel, frozen=True, extra="forbid"):
    """No image encoder: the codec's own latents, in patches."""

    kind: Literal["latents"] = "latents"
    patch: int = Field(1, gt=0, description="side of a patch in cells of the latent grid")


def patches(latents_BCHW: Tensor, side: int) -> Tensor:
    """latents_BCHW to features_BNC of N = H/P x W/P patches with C x P x P channels, row by row.

    Raises:
        ValueError: the grid does not divide into such patches.
    """
    height, width = latents_BCHW.shape[-2:]
    if height % side or width % side:
        raise ValueError(f"a latent grid of {height}x{width} does not divide into patches of vision.patch={side}")
    return rearrange(latents_BCHW, "b c (h p) (w q) -> b (h w) (c p q)", p=side, q=side)


class Latents(ImageEncoder):
    """Patches of the latents that `codec` computes for a picture."""

    name = "latents"
    revision = "1"
    licence = "Apache-2.0"

    def __init__(self, side: int, codec: Codec) -> None:
        super().__init__()
        self.side, self.codec = side, codec
        channels, height, width = codec.grid
        self.channels = channels * side**2
        self.width = channels * height * width

    def forward(self, images_B3HW: Tensor) -> Tensor:
        return patches(self.codec.encode(images_B3HW), self.side)

    def embed(self, images_B3HW: Tensor) -> Tensor:
        return F.normalize(self.codec.encode(images_B3HW).flatten(1), dim=-1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """The grid of the codec's own size, to which it resizes every picture."""
        _, rows, columns = self.codec.grid
        return rows // self.side, columns // self.side
