"""Title cards: a darkened view of a place with letters, a line that grows, and a light that passes."""

from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from drawn.paint import Array, lay


@lru_cache(maxsize=16)
def lettering(text: str, width: int, height: int) -> Array:
    """The words in the frame's middle, premultiplied uint8 [height, width, 4], with a soft shadow."""
    size = height * 0.15
    while True:
        font = ImageFont.load_default(size)
        box = font.getbbox(text)
        if box[2] - box[0] <= width * 0.84 or size < 8:
            break
        size *= 0.92
    image = Image.new("L", (width, height), 0)
    at = ((width - box[0] - box[2]) / 2, height * 0.46 - (box[1] + box[3]) / 2)
    ImageDraw.Draw(image).text(at, text, fill=255, font=font)
    ink = np.asarray(image, np.float32) / 255
    shadow = cv2.GaussianBlur(ink, (0, 0), height * 0.012) * 0.8
    alpha = ink + shadow * (1 - ink)
    out = np.stack([ink * 0.98, ink * 0.94, ink * 0.84, alpha], -1)
    return cast(Array, np.round(out * 255).astype(np.uint8))


def card(frame: Array, text: str, kind: str, share: float) -> None:
    """Letter a frame uint8 [H, W, 3], in place; `share` 0..1 of the card's time has passed."""
    h, w = frame.shape[:2]
    light = share if kind == "title" else 1 - share
    glow = np.exp(-(((np.arange(w, dtype=np.float32) / w - light) / 0.22) ** 2))
    dim = np.broadcast_to(np.round(255 * (0.36 + 0.40 * glow)).astype(np.uint8)[None, :, None], frame.shape)
    frame[...] = cv2.multiply(frame, np.ascontiguousarray(dim), scale=1 / 255)
    words = lettering(text, w, h)
    zoom = 0.92 + 0.10 * share
    m = np.array([[zoom, 0, (1 - zoom) * w / 2], [0, zoom, (1 - zoom) * h * 0.46]])
    lay(frame, cv2.warpAffine(words, m, (w, h), flags=cv2.INTER_LINEAR))
    half = w * (0.05 + 0.28 * light)
    y = round(h * 0.60)
    thick = max(1, round(h * 0.006))
    cv2.rectangle(frame, (round(w / 2 - half), y), (round(w / 2 + half), y + thick), (240, 214, 160), -1, cv2.LINE_AA)
