"""CLIP's image tower (the paper's is ViT-L/14), from transformers' layout or open_clip's.

Shapes: B pictures, H and W pixels, N = rows times columns of patches, C channels, E numbers of the joint space.
"""

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from models.device import device
from models.vision.encoder import ImageEncoder
from models.weights.checkpoint import CheckpointConfig, Origin
from models.weights.clip_layout import DEVIATION, MEAN, Activation, load_vision


class ClipConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """CLIP ViT-L/14, the paper's encoder E: 1024 channels at 1/14 of the picture, retrieval vectors of 768."""

    origin: ClassVar[Origin] = Origin(
        name="CLIP ViT-L/14",
        licence="MIT",
        fetch="the folder openai/clip-vit-large-patch14, or an open_clip checkpoint, from the Hugging Face hub",
        setting="frozen.vision.source",
    )

    kind: Literal["clip"] = "clip"
    source: str = Field(
        "openai/clip-vit-large-patch14",
        description="a folder or hub id of transformers, or a checkpoint file of open_clip",
    )
    activation: Activation = Field(
        "quick_gelu", description="of a checkpoint file: quick_gelu for OpenAI's weights, gelu for most of open_clip"
    )


class Clip(ImageEncoder):
    """Features [B, N, C] of the last hidden layer without the class token; retrieval vectors [B, E].

    It runs on the GPU if there is one; results are on the device of the pictures.
    """

    name = "clip"
    mean_311: Tensor
    deviation_311: Tensor

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self.tower = load_vision(config.origin, config.source, config.hub_revision, config.activation)
        sizes = self.tower.config
        self.channels, self.width = sizes.hidden_size, sizes.projection_dim
        self.patch, self.side = sizes.patch_size, sizes.image_size
        self.register_buffer("mean_311", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation_311", torch.tensor(DEVIATION)[:, None, None])
        self.requires_grad_(False)
        self.train()
        self.to(device())

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """RGB 0-1 -> features [B, N, C], row by row; positions are interpolated for other sizes than CLIP's own."""
        features_BNC: Tensor = self._look(images_B3HW).last_hidden_state[:, 1:]
        return features_BNC.to(images_B3HW.device)

    def embed(self, images_B3HW: Tensor) -> Tensor:
        """RGB 0-1 -> vectors of unit length [B, E] of the centre square, at the size of CLIP's training."""
        height, width = images_B3HW.shape[-2:]
        scale = self.side / min(height, width)
        size = (max(self.side, round(height * scale)), max(self.side, round(width * scale)))
        resized_B3HW = F.interpolate(images_B3HW, size, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = ((pixels - self.side) // 2 for pixels in size)
        square_B3HW = resized_B3HW[..., top : top + self.side, left : left + self.side]
        return F.normalize(self._look(square_B3HW).image_embeds, dim=-1).to(images_B3HW.device)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of whole patches; the remainder at the right and at the bottom is ignored."""
        return height // self.patch, width // self.patch

    def _look(self, images_B3HW: Tensor) -> Any:
        if images_B3HW.ndim != 4 or images_B3HW.shape[1] != 3 or min(images_B3HW.shape[2:]) < self.patch:
            raise ValueError(
                f"pictures are [B, 3, height, width] of {self.patch} pixels or more, got {list(images_B3HW.shape)}"
            )
        pixels_B3HW = (images_B3HW.to(self.mean_311.device) - self.mean_311) / self.deviation_311
        own = tuple(pixels_B3HW.shape[2:]) == (self.side, self.side)
        return self.tower(pixel_values=pixels_B3HW, interpolate_pos_encoding=not own)
