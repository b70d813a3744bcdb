"""Names of colours: the nearest one of a small palette in CIELAB, so that equal colours always get the same name.

Lightness counts less than tint, because films are mostly dark and grey, and tint distinguishes places.
Shapes: P pixels, K palette entries; RGB 0-255.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PALETTE = {
    "black": (12, 12, 12),
    "dark grey": (55, 55, 55),
    "grey": (118, 118, 118),
    "light grey": (182, 182, 182),
    "white": (244, 244, 244),
    "cream": (238, 226, 198),
    "dark red": (92, 22, 22),
    "red": (190, 40, 36),
    "pink": (226, 150, 160),
    "dark brown": (56, 36, 24),
    "brown": (112, 72, 44),
    "light brown": (168, 124, 84),
    "beige": (218, 192, 156),
    "orange": (226, 126, 40),
    "yellow": (234, 206, 72),
    "olive": (108, 102, 48),
    "dark olive": (50, 50, 30),
    "dark green": (26, 58, 30),
    "green": (64, 134, 62),
    "light green": (152, 200, 132),
    "dark teal": (22, 66, 70),
    "teal": (52, 134, 134),
    "pale blue": (206, 220, 232),
    "light blue": (140, 190, 226),
    "blue": (56, 98, 186),
    "dark blue": (24, 34, 86),
    "slate": (46, 56, 70),
    "grey blue": (98, 114, 136),
    "grey brown": (126, 112, 98),
    "purple": (112, 64, 142),
    "dark purple": (50, 32, 64),
    "magenta": (196, 62, 148),
}
NAMES = tuple(PALETTE)


class Share(NamedTuple):
    """A colour's name and the share of the pixels that are nearest to it."""

    name: str
    share: float


def to_lab(rgb_P3: NDArray[np.floating]) -> NDArray[np.float64]:
    """sRGB 0-255 -> CIELAB (D65): lightness 0-100, green-red, blue-yellow."""
    import cv2

    rgb_P3 = np.asarray(rgb_P3, dtype=np.float64) / 255
    # for gamma-encoded colours OpenCV uses a coarse table with errors up to 0.4; linear ones are exact
    linear_P3 = np.where(rgb_P3 > 0.04045, ((rgb_P3 + 0.055) / 1.055) ** 2.4, rgb_P3 / 12.92).astype(np.float32)
    lab_P13 = cv2.cvtColor(linear_P3.reshape(-1, 1, 3), cv2.COLOR_LRGB2LAB)
    lab_P3: NDArray[np.float64] = lab_P13.reshape(linear_P3.shape).astype(np.float64)
    return lab_P3


_WEIGHT = np.array([0.7, 1.0, 1.0])
_PALETTE_K3 = to_lab(np.array(list(PALETTE.values()), dtype=np.float64)) * _WEIGHT


def nearest(lab_P3: NDArray[np.floating]) -> NDArray[np.int64]:
    """Index into NAMES for each pixel (any leading shape)."""
    scaled_P3 = lab_P3 * _WEIGHT
    distance_PK = (_PALETTE_K3**2).sum(1) - 2 * scaled_P3 @ _PALETTE_K3.T  # without the pixel's constant square
    index_P: NDArray[np.int64] = distance_PK.argmin(-1)
    return index_P


def shares(index_P: NDArray[np.integer]) -> list[Share]:
    """The colours among the pixels (indices into NAMES), the most frequent first."""
    counts_K = np.bincount(index_P.ravel(), minlength=len(NAMES))
    order = np.argsort(-counts_K, kind="stable")
    return [Share(NAMES[i], float(counts_K[i] / index_P.size)) for i in order if counts_K[i] > 0]


def main_colour(index_P: NDArray[np.integer]) -> str:
    """The name of the most frequent colour."""
    return shares(index_P)[0].name


def main_colours(index_P: NDArray[np.integer]) -> str:
    """One name, or "a and b" if a second colour covers at least a fifth of the pixels."""
    first, *rest = shares(index_P)
    return f"{first.name} and {rest[0].name}" if rest and rest[0].share >= 0.2 else first.name
