"""Vectors of whole pictures by an image encoder.

Shapes: N pictures, E numbers of a vector, S pixels of a square's side.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.metrics.clip import Image

if TYPE_CHECKING:
    from models.vision.encoder import ImageEncoder

SIDE = 224


def vectors(network: "ImageEncoder", images: Sequence[Image]) -> NDArray[np.float32]:
    """[N, E] of pictures that are squeezed to a square."""
    import cv2
    import torch

    found = []
    for image in images:
        square = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            pixels_13SS = torch.from_numpy(square.transpose(2, 0, 1).copy())[None].float() / 255
            found.append(network.embed(pixels_13SS).numpy())
    return np.concatenate(found) if found else np.zeros((0, network.width), np.float32)
