"""No super-resolution: the movie has the size in which its pictures were drawn."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

Image = NDArray[np.uint8]


class UnchangedConfig(BaseModel, frozen=True, extra="forbid"):
    """No settings."""

    kind: Literal["none"] = "none"

    @property
    def revision(self) -> str:
        return Unchanged.revision

    @property
    def licence(self) -> str:
        return Unchanged.licence


class Unchanged:
    """Leaves pictures alone."""

    name = "none"
    revision = "1"
    licence = "Apache-2.0"

    def upscale(self, image_HWC: Image, width: int, height: int) -> Image:
        """See `models.upscaler.Upscaler.upscale`; width and height don't count."""
        return image_HWC
