"""What a picture looks like, in 63 bits (a perceptual hash): about the same for its re-encoded and rescaled copies."""

import numpy as np
from numpy.typing import NDArray

MIRROR = 0x5555_5555_5555_5555
"""Bits of a look that change when its picture is mirrored, but for a few."""

_SIDE, _KEPT = 32, 8  # of the picture that is transformed, and of the frequencies that are kept
_FLAT = 6.0  # deviation of luma below which a picture says nothing: black, white, fog

Pixels = NDArray[np.float32]


def look(picture_HW: NDArray[np.uint8] | Pixels) -> int:
    """63 bits of what a picture shows, from its luma in 0-255; 0 where it says nothing. Its shape doesn't matter."""
    import cv2

    small = cv2.resize(picture_HW.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    if small.std() < _FLAT:
        return 0
    waves = _cosines()
    low = (waves @ small @ waves.T).reshape(-1)[1:]  # without the mean
    return int("".join("1" if bit else "0" for bit in low > np.median(low)), 2)


def _cosines() -> Pixels:
    """The first _KEPT waves of the discrete cosine transform, [_KEPT, _SIDE]."""
    places = (np.arange(_SIDE) + 0.5) * np.pi / _SIDE
    waves: Pixels = np.cos(np.arange(_KEPT)[:, None] * places).astype(np.float32)
    return waves
