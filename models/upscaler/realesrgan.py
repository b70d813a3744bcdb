"""Real-ESRGAN: a network that enlarges a picture four times, with crisp edges (Wang et al. 2021).

It mistakes noise for texture, which distorts faces, so a light bilateral filter is applied first. Its output is blended
with Lanczos, so that face detectors still find the same faces.

Shapes: H, W picture, C colours.
"""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from models.upscaler.lanczos import lanczos
from models.upscaler.upscaler import Image
from models.weights.packaged import MODELS, PackagedModel, packaged

_SMOOTHING = (7, 30, 3)  # of the bilateral filter: pixels across, spread over colours of 0-255, spread in pixels


class RealEsrganConfig(BaseModel, frozen=True, extra="forbid"):
    """Its default network has 0.6 million parameters and takes 0.25 to 0.5 s for 224x128 on one CPU thread."""

    kind: Literal["realesrgan"] = "realesrgan"
    weights: Literal["animevideov3", "x4plus"] = Field(
        "animevideov3",
        description="animevideov3 for drawn pictures, x4plus for photographs (16.7 M parameters, 12 s per picture)",
    )
    blend: float = Field(0.6, ge=0, le=1, description="share of the network's picture; the rest is Lanczos")

    @property
    def revision(self) -> str:
        """Hash of the weights; part of every fingerprint of this config."""
        return self.packaged.revision

    @property
    def licence(self) -> str:
        """Licence of the package and of the network."""
        return self.packaged.licence

    @property
    def packaged(self) -> PackagedModel:
        return MODELS[f"realesrgan-{self.weights}"]


class RealEsrganUpscaler:
    """The upscaler of `RealEsrganConfig`."""

    name = "realesrgan"

    def __init__(self, config: RealEsrganConfig) -> None:
        import torch

        from models.device import device
        from models.upscaler.ncnn import NcnnNetwork

        self.config = config
        self.revision, self.licence = config.revision, config.licence
        folder = packaged(f"realesrgan-{config.weights}")
        numbers, layers = (folder / file for file in sorted(config.packaged.files))
        network = NcnnNetwork(layers.read_text(), numbers.read_bytes()).to(device()).requires_grad_(False)
        self.network = network.to(memory_format=torch.channels_last)  # faster by a fifth

    def upscale(self, image_HWC: Image, width: int, height: int) -> Image:
        """See `Upscaler.upscale`; pictures that need no enlargement are resized only by Lanczos."""
        import cv2

        plain_HWC = lanczos(image_HWC, width, height)
        if width <= image_HWC.shape[1] and height <= image_HWC.shape[0]:
            return plain_HWC
        drawn_HWC = self._enlarged(cv2.bilateralFilter(image_HWC, *_SMOOTHING).astype(np.uint8, copy=False))
        share = self.config.blend
        blended_HWC: Image = cv2.addWeighted(lanczos(drawn_HWC, width, height), share, plain_HWC, 1 - share, 0)
        return blended_HWC

    def _enlarged(self, image_HWC: Image) -> Image:
        import torch
        from einops import rearrange

        from models.device import device

        with torch.inference_mode():
            image_1CHW = rearrange(torch.from_numpy(image_HWC).to(device()).float() / 255, "h w c -> 1 c h w")
            drawn_1CHW = self.network(image_1CHW.contiguous(memory_format=torch.channels_last))
            drawn_HWC = rearrange(drawn_1CHW, "1 c h w -> h w c").clamp(0, 1) * 255
        pixels_HWC: Image = drawn_HWC.round().byte().cpu().numpy()
        return pixels_HWC
