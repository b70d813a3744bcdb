"""The interface of upscalers, which resize a picture."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Upscaler(Protocol):
    """Resizes pictures; each result depends only on its own picture."""

    name: str
    revision: str
    licence: str

    def upscale(self, image_HWC: Image, width: int, height: int) -> Image:
        """RGB uint8 [height, width, 3] of RGB uint8 of any size and shape, smaller or larger."""
        ...
