"""What drifts through a place: snow, rain, motes of light; each flake's way is a function of time."""

from functools import lru_cache

import cv2
import numpy as np

from drawn.paint import Array
from drawn.places import Place

COUNT = {"snow": 150, "rain": 120, "motes": 40, "none": 0}
TONES = {"snow": (235, 240, 255), "rain": (215, 225, 255), "motes": (255, 235, 170)}


@lru_cache(maxsize=8)
def _flakes(seed: int, count: int) -> Array:
    return np.random.default_rng(seed).random((count, 4))


def drift(frame: Array, place: Place, time: float, near: float = 1.0) -> None:
    """Draw the air of a place over frame uint8 [H, W, 3], in place; `near` enlarges."""
    count = COUNT[place.air]
    if not count:
        return
    h, w = frame.shape[:2]
    light = np.zeros((h, w, 3), np.uint8)
    tone = np.array(TONES[place.air]) / 255
    for x, y, z, p in _flakes(place.seed, count):
        depth = (0.4 + z) * near
        if place.air == "rain":
            py, px = (y + time * (1.6 + 0.8 * z)) % 1.1 * h, (x + time * 0.10) % 1.0 * w
            end = (int(px - 0.004 * h), int(py - 0.05 * h * depth))
            cv2.line(light, (int(px), int(py)), end, tuple(float(v) for v in tone * (60 + 60 * z)), 1, cv2.LINE_AA)
            continue
        fall = 0.16 if place.air == "snow" else -0.03
        px = (x + 0.03 * np.sin(time * (0.6 + p) + 9 * p) + 0.02 * time) % 1.0 * w
        py = (y + time * fall * (0.5 + z)) % 1.0 * h
        r = h * (0.0045 if place.air == "snow" else 0.003) * depth
        bright = 200 if place.air == "snow" else 70 + 80 * np.sin(time * 2 + 20 * p)
        centre, radius = (round(px * 16), round(py * 16)), max(8, round(r * 16))
        cv2.circle(light, centre, radius, tuple(float(v) for v in tone * max(0.0, bright)), -1, cv2.LINE_AA, 4)
    cv2.multiply(frame, cv2.bitwise_not(light), dst=frame, scale=1 / 255)
    cv2.add(frame, light, dst=frame)
