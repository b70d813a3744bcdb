"""The interface of codecs: frozen torch modules between pictures and latents.

Shapes: B images, C latent channels, H x W latent grid, 3 colours.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn


class Codec(nn.Module, ABC):
    """`config` has at least `kind` and the picture's `width` and `height`."""

    config: Any

    @property
    @abstractmethod
    def grid(self) -> tuple[int, int, int]:
        """Channels, height and width of the latents of one image."""

    @abstractmethod
    def fit(self, images_B3HW: Tensor) -> Self:
        """Fits the codec to pictures in 0-1; a pretrained codec does nothing."""

    @abstractmethod
    def encode(self, images_B3HW: Tensor) -> Tensor:
        """Images in 0-1 of any size (resized to the codec's) to latents_BCHW of about unit variance."""

    @abstractmethod
    def decode(self, latents_BCHW: Tensor) -> Tensor:
        """latents_BCHW, of any grid, to images in 0-1."""

    @abstractmethod
    def pixels(self, latents_BCHW: Tensor) -> Tensor:
        """The same as `decode`, but differentiable and not clipped to 0-1: for losses on pictures."""

    @abstractmethod
    def resized(self, width: int, height: int) -> Self:
        """The same codec for pictures of another size; weights are shared."""

    @abstractmethod
    def same_as(self, other: "Codec") -> bool:
        """Whether both give the same latents for a picture of their size."""

    @abstractmethod
    def save_pretrained(self, folder: Path) -> None:
        """Writes a folder for `load_codec`."""

    def sized(self, images_B3HW: Tensor) -> Tensor:
        """Images resized to the codec's size.

        Raises:
            ValueError: the shape is not [B, 3, H, W].
        """
        if images_B3HW.ndim != 4 or images_B3HW.shape[1] != 3:
            raise ValueError(f"the codec takes images of shape [B, 3, H, W], got {list(images_B3HW.shape)}")
        size = (self.config.height, self.config.width)
        if images_B3HW.shape[2:] == size:
            return images_B3HW
        return F.interpolate(images_B3HW, size=size, mode="bilinear", antialias=True).clamp(0, 1)
