"""A sheet of samples of a training: pictures above their reconstructions.

Shapes: B pictures, C latent channels, H x W their grid; in pixels 3 x P x Q.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from models.codec import Codec

SHOWN = 6  # pictures
VALIDATED = 64  # held-out pictures for the loss
_HEIGHT = 160  # height of each picture in pixels


def even(count: int, most: int) -> Tensor:
    """At most `most` of `count` rows, evenly spread from the first on."""
    return torch.arange(0, count, -(-count // most))[:most]


def windows(count: int, most: int, length: int = 128) -> Tensor:
    """At most `most` of `count` rows: all, or evenly spread windows of `length` consecutive rows.

    Tables are read a window at a time: the same number of single rows would need 128 times as much reading.
    """
    if count <= most:
        return torch.arange(count, device="cpu")
    length = min(length, most)
    firsts = torch.linspace(0, count // length - 1, most // length, dtype=torch.float64, device="cpu").long() * length
    return (firsts[:, None] + torch.arange(length, device="cpu")).flatten()


def sheet(codec: Codec, latents_BCHW: Tensor, rebuilt_BCHW: Tensor) -> Tensor:
    """The decoded latents above their reconstructions, [3, P, Q] in 0-1."""
    rows, width = [], round(_HEIGHT * latents_BCHW.shape[-1] / latents_BCHW.shape[-2])
    for some_BCHW in (latents_BCHW, rebuilt_BCHW):
        images_B3HW = codec.decode(some_BCHW)
        small_B3PQ = F.interpolate(images_B3HW, (_HEIGHT, width), mode="bilinear", antialias=True)
        rows.append(rearrange(small_B3PQ, "b c p q -> c p (b q)"))
    return torch.cat(rows, dim=1).clamp(0, 1)
