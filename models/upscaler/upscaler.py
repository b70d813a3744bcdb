"""What every upscaler is: one picture in, the same picture at the wanted size out."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Upscaler(Protocol):
    """Brings one picture to size; what comes out depends on that picture alone."""

    name: str
    revision: str
    licence: str

    def upscale(self, image_HWC: Image, width: int, height: int) -> Image:
        """RGB uint8 [height, width, 3] of RGB uint8 of any size and shape, smaller or larger."""
        ...
