"""A visible mark: some words in a corner of every picture, for those who want it seen that a movie is generated."""

from collections.abc import Iterable, Iterator

import numpy as np

from storage.printable import printable

_SHARE = 1 / 28  # of the picture's height, for the letters
_OPACITY = 0.75


def marked(frames: Iterable[np.ndarray], words: str) -> Iterator[np.ndarray]:
    """The frames, uint8 RGB [height, width, 3], with white words on a dark ground in their lower right corner."""
    label_HW1: np.ndarray | None = None
    for frame in frames:
        if label_HW1 is None:
            label_HW1 = _label(printable(words, 60), *frame.shape[:2])
        high, wide = label_HW1.shape[:2]
        shown = frame.copy()
        corner = shown[-high:, -wide:]
        corner[:] = (1 - _OPACITY) * corner + _OPACITY * label_HW1
        yield shown


def _label(words: str, height: int, width: int) -> np.ndarray:
    """The words as a picture in grey, float [H, W, 1] of 0 to 255, no larger than the frame."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(max(8, round(height * _SHARE)))
    left, top, right, bottom = font.getbbox(words)
    edge = max(2, round(height * _SHARE / 3))
    picture = Image.new("L", (round(right - left) + 2 * edge, round(bottom - top) + 2 * edge), 16)
    ImageDraw.Draw(picture).text((edge - left, edge - top), words, font=font, fill=240)
    return np.asarray(picture, np.float32)[-height:, -width:, None]
