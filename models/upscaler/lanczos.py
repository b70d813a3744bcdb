"""Enlarges without a model: smooth, without invented detail."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel

from models.upscaler.upscaler import Image


class LanczosConfig(BaseModel, frozen=True, extra="forbid"):
    """No settings."""

    kind: Literal["lanczos"] = "lanczos"

    revision: ClassVar[str] = "1"
    licence: ClassVar[str] = "Apache-2.0"


class LanczosUpscaler:
    """Pillow's Lanczos filter, milliseconds per picture."""

    name = "lanczos"
    revision = LanczosConfig.revision
    licence = LanczosConfig.licence

    def upscale(self, image_HWC: Image, width: int, height: int) -> Image:
        """See `Upscaler.upscale`."""
        return lanczos(image_HWC, width, height)


def lanczos(image_HWC: Image, width: int, height: int) -> Image:
    """RGB uint8 [height, width, 3]; a picture of that size is unchanged."""
    from PIL import Image

    return np.asarray(Image.fromarray(image_HWC).resize((width, height), Image.Resampling.LANCZOS))
