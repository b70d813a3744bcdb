"""The codec's latents in patches, as the features that the compressor reads: nothing is learnt before the compressor.

On a laptop a frozen encoder of photographs costs more than it tells: the compressor learns what it needs from the
latents themselves, and no features have to be kept beside them.

Shapes: B pictures, C latent channels, H x W latent grid, P cells of a patch's side, N patches.
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from models.codec import Codec
from models.vision.encoder import ImageEncoder


def patches(latents_BCHW: Tensor, side: int) -> Tensor:
    """latents_BCHW to features_BNC of N = H/P x W/P patches with C x P x P channels, row by row.

    Raises:
        ValueError: when the grid does not divide into such patches.
    """
    height, width = latents_BCHW.shape[-2:]
    if height % side or width % side:
        raise ValueError(f"a latent grid of {height}x{width} does not divide into patches of vision.patch={side}")
    return rearrange(latents_BCHW, "b c (h p) (w q) -> b (h w) (c p q)", p=side, q=side)


class Latents(ImageEncoder):
    """Patches of the latents that `codec` makes of a picture."""

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
        """That of the codec's own size, to which it brings every picture."""
        _, rows, columns = self.codec.grid
        return rows // self.side, columns // self.side
