"""EfficientNet-Lite0 with ImageNet weights, through timm.

Shapes: B pictures, H and W pixels, h and w = 1/32 of them, C channels.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor

from models.vision.encoder import ImageEncoder
from models.weights.packaged import MODELS, packaged

LAST, MIDDLE, MIDDLE_STAGE = 1280, 112, 4
STRIDE = 32


class EfficientNetLite0Config(BaseModel, frozen=True, extra="forbid"):
    """EfficientNet-Lite0 (ImageNet): a grid of 1280 channels at 1/32 of the picture."""

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    middle: bool = Field(True, description="add 112 channels of the previous stage, which keep more spatial detail")

    revision: ClassVar[str] = MODELS["efficientnet-lite0"].revision


class EfficientNetLite0(ImageEncoder):
    """Features [B, N, 1280] or, with the middle stage, [B, N, 1392]; retrieval vectors [B, 1280]."""

    name = "efficientnet_lite0"
    width = LAST

    def __init__(self, config: EfficientNetLite0Config) -> None:
        super().__init__()
        import timm
        from safetensors.torch import load_file

        self.config = config
        self.revision = config.revision
        self.licence = MODELS["efficientnet-lite0"].licence
        self.channels = LAST + MIDDLE * config.middle
        self.network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        self.network.load_state_dict(load_file(packaged("efficientnet-lite0") / "model.safetensors"))
        self.network.reset_classifier(0)
        self.requires_grad_(False)
        self.train()

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """RGB 0-1 -> features [B, N, C], row by row; raises ValueError for pictures smaller than one cell."""
        last_BChw, middle_BCHW = self._maps(images_B3HW)
        if not self.config.middle:
            return rearrange(last_BChw, "b c h w -> b (h w) c")
        middle_BChw = F.adaptive_avg_pool2d(middle_BCHW, (last_BChw.shape[2], last_BChw.shape[3]))
        return rearrange(torch.cat([last_BChw, middle_BChw], dim=1), "b c h w -> b (h w) c")

    def embed(self, images_B3HW: Tensor) -> Tensor:
        """RGB 0-1 -> the mean of the last features, of unit length [B, 1280]."""
        last_BChw, _ = self._maps(images_B3HW)
        return F.normalize(last_BChw.mean((2, 3)), dim=1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns: sides over 32, rounded up (the padding is TensorFlow's "same")."""
        return -(-height // STRIDE), -(-width // STRIDE)

    def _maps(self, images_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        if images_B3HW.ndim != 4 or images_B3HW.shape[1] != 3 or min(images_B3HW.shape[2:]) < STRIDE:
            raise ValueError(
                f"pictures are [B, 3, height, width] of {STRIDE} pixels or more, got {list(images_B3HW.shape)}"
            )
        x_BCHW = self.network.bn1(self.network.conv_stem(images_B3HW * 2 - 1))
        middle_BCHW = x_BCHW
        for i, stage in enumerate(self.network.blocks):
            x_BCHW = stage(x_BCHW)
            middle_BCHW = x_BCHW if i == MIDDLE_STAGE else middle_BCHW
        return self.network.bn2(self.network.conv_head(x_BCHW)), middle_BCHW
