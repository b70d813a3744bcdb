"""A camera that moves over pictures: its poses, and the source position of each pixel of a frame.

The camera follows a cubic through poses. Between two clips of a shot, pose and velocity are drawn from a seed of both
keyframes, so both clips compute the same values and the move is smooth; at a cut they are drawn from the clip's seed.

Shapes: H, W picture.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.animator.animator import Clip, Image

Array = NDArray[np.float32]


class Lens:
    """Source position of each pixel of a frame, always inside the picture.

    Args:
        near_HW: nearness of each pixel, from -0.5 to 0.5.
        zoom: largest zoom, as a share of the picture.
        parallax: shift of near objects against far ones, as a share of the picture.
    """

    def __init__(self, near_HW: Array, zoom: float, parallax: float) -> None:
        self.zoom, self.parallax = zoom, parallax
        self.height, self.width = height, width = near_HW.shape
        y_H1 = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
        x_1W = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
        self.x_HW = np.broadcast_to(x_1W, (height, width)) * (width - 1)
        self.y_HW = np.broadcast_to(y_H1, (height, width)) * (height - 1)
        self.near_x_HW = (near_HW * parallax * (width - 1)).astype(np.float32)
        self.near_y_HW = (near_HW * parallax * (height - 1)).astype(np.float32)

    def look(self, pose: Array) -> tuple[Array, Array]:
        """Maps for cv2.remap; pose = (zoom in 0-1, pan x, pan y, parallax x, parallax y in -1 to 1)."""
        zoom, pan_x, pan_y, near_x, near_y = (float(value) for value in pose)
        shown = (1 - self.parallax) / (1 + self.zoom * (0.25 + 0.75 * zoom))  # of the picture
        room = (1 - self.parallax - shown) / 2
        x_HW = self.x_HW * np.float32(shown)
        x_HW += np.float32((0.5 + pan_x * room) * (self.width - 1))
        x_HW += self.near_x_HW * np.float32(near_x)
        y_HW = self.y_HW * np.float32(shown)
        y_HW += np.float32((0.5 + pan_y * room) * (self.height - 1))
        y_HW += self.near_y_HW * np.float32(near_y)
        return x_HW, y_HW

    def through(self, image: Any, pose: Array) -> Any:
        """A picture or field of the lens's size, seen from a pose."""
        return looked(image, *self.look(pose))


class Move:
    """The camera's path through a clip, continuous with the neighbouring clips of the shot."""

    def __init__(self, clip: Clip) -> None:
        before, here, after = clip.previous, clip.keyframe_HWC, clip.next
        self.start = _pose(clip.seed, 0) if before is None else _pose(_meeting(before, here), 0)
        self.end = _pose(clip.seed, 1) if after is None else _pose(_meeting(here, after), 0)

    def pose(self, t: float) -> Array:
        """Pose at t in 0-1: a cubic with the given velocities at both ends, clipped so that no border shows."""
        (p, v), (q, w) = self.start, self.end
        square, cube = t * t, t * t * t
        pose: Array = (
            p * (2 * cube - 3 * square + 1)
            + v * (cube - 2 * square + t)
            + q * (3 * square - 2 * cube)
            + w * (cube - square)
        )
        return np.clip(pose, [0, -1, -1, -1, -1], 1).astype(np.float32)


def looked(image: Any, x_HW: Array, y_HW: Array) -> Any:
    """A picture or field sampled at x_HW, y_HW; beyond the border, the border's values are repeated."""
    import cv2

    return cv2.remap(image, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _pose(seed: int, which: int) -> tuple[Array, Array]:
    """(pose, velocity per clip) drawn from a seed."""
    random = np.random.default_rng([seed & 0xFFFFFFFF, which])
    pose = random.uniform([0.2, -0.8, -0.8, -0.8, -0.8], 0.8)
    velocity = random.uniform(-0.5, 0.5, 5)
    return pose.astype(np.float32), velocity.astype(np.float32)


def _meeting(first: Image, second: Image) -> int:
    """A seed from two pictures, the same for the clip before and the clip after their border."""
    return zlib.crc32(second[::16, ::16].tobytes(), zlib.crc32(first[::16, ::16].tobytes()))
