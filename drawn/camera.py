"""The camera: where it looks at a moment, how far each depth moves with it, and a place seen through it."""

from dataclasses import dataclass

import cv2
import numpy as np

from drawn.paint import Array, Canvas, Sprite
from drawn.places import Layers
from drawn.script import Shot

PARALLAX = {"far": 0.5, "mid": 0.8, "ground": 1.0, "near": 1.35}


@dataclass(frozen=True)
class Camera:
    """x, y (frame heights from the frame's middle) and zoom for the people's plane, and the background's view."""

    x: float
    y: float
    zoom: float
    view: tuple[float, float, float]

    @classmethod
    def at(cls, shot: Shot, time: float) -> "Camera":
        """The camera of a shot at `time` seconds of the film."""
        u = (time - shot.start) / (shot.end - shot.start)
        u = 0.75 * u + 0.25 * u * u * (3 - 2 * u)
        a, b = shot.move.start, shot.move.end
        x, y, zoom = (p + (q - p) * u for p, q in zip(a, b, strict=True))
        return cls(x, y, zoom, shot.move.view)

    def project(self, x: float, y: float, size: tuple[int, int]) -> tuple[float, float]:
        """The pixel of a point in the people's plane."""
        w, h = size
        return w / 2 + h * self.zoom * (x - self.x), h / 2 + h * self.zoom * (y - 0.5 - self.y)


@dataclass(frozen=True)
class Backdrop:
    """A place prepared for one focus: the layers behind and in front of the people, nearest last."""

    behind: tuple[tuple[Sprite, float], ...]
    before: tuple[tuple[Sprite, float], ...]

    @classmethod
    def of(cls, layers: Layers, focus: str) -> "Backdrop":
        """Wide shots keep all depths separate; nearer shots merge and blur them."""
        c = layers.canvas
        ground = (_cut(c, layers.ground), PARALLAX["ground"])
        if focus == "sharp":
            behind = ((_cut(c, layers.far), PARALLAX["far"]), (_cut(c, layers.mid), PARALLAX["mid"]), ground)
            return cls(behind, ((_cut(c, layers.near), PARALLAX["near"]),))
        rest = layers.mid * (1 - layers.ground[..., 3:]) + layers.ground
        if focus == "soft":
            return cls(((_cut(c, c.blur(layers.far, 0.006)), 0.45), (_cut(c, c.blur(rest, 0.0035)), 0.75)), ())
        whole = layers.far * (1 - rest[..., 3:]) + rest
        return cls(((_cut(c, c.blur(whole, 0.014)), 0.5),), ())

    def paint(self, frame: Array, camera: Camera, before: bool = False) -> None:
        """Paints the layers behind (or in front of) the people onto frame uint8 [H, W, 3]."""
        h, w = frame.shape[:2]
        bx, by, bz = camera.view
        for sprite, depth in self.before if before else self.behind:
            zoom = bz * (1 + (camera.zoom - 1) * depth)
            pivot = (bx + depth * camera.x, 0.5 + by + depth * camera.y)
            if sprite is self.behind[0][0]:
                _fill(frame, sprite, h * zoom, pivot)
            else:
                sprite.put(frame, h * zoom, w / 2, h / 2, 0.0, pivot)


def _fill(frame: Array, sprite: Sprite, scale: float, pivot: tuple[float, float]) -> None:
    """The opaque layer: a plain warp whose edges repeat."""
    h, w = frame.shape[:2]
    c = sprite.canvas
    k = scale / c.unit
    m = np.array(
        [
            [k, 0, w / 2 + scale * (c.left - pivot[0]) + k / 2 - 0.5],
            [0, k, h / 2 + scale * (c.top - pivot[1]) + k / 2 - 0.5],
        ]
    )
    cv2.warpAffine(sprite.levels[0], m, (w, h), dst=frame, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _cut(canvas: Canvas, layer: Array) -> Sprite:
    """A layer without its empty margins."""
    image = np.round(np.clip(layer, 0, 1) * 255).astype(np.uint8)
    image[..., :3] = np.minimum(image[..., :3], image[..., 3:])
    if image[..., 3].min() == 255:  # opaque: the farthest layer
        return Sprite(canvas, (np.ascontiguousarray(image[..., :3]),))
    rows, cols = np.flatnonzero(image[..., 3].any(1)), np.flatnonzero(image[..., 3].any(0))
    if not len(rows):
        return Sprite(
            Canvas(canvas.unit, 0, -9, 2 / canvas.unit, -9 + 2 / canvas.unit), (np.zeros((2, 2, 4), np.uint8),)
        )
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
    u = canvas.unit
    part = Canvas(u, canvas.left + x0 / u, canvas.top + y0 / u, canvas.left + x1 / u, canvas.top + y1 / u)
    return Sprite(part, (np.ascontiguousarray(image[y0:y1, x0:x1]),))
