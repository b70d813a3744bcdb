"""Camera moves over a still: pan, zoom and parallax, cross-fades inside a shot, hard cuts between shots.

The camera follows a cubic through poses. Where two keyframes of a shot meet, pose and velocity are drawn from the
two pictures, so that both clips compute the same ones and the move goes on without a jolt; at a cut they are drawn from
the clip's seed. Depth is only a proxy: what is low and central counts as near.

Shapes: H, W picture, C colours.
"""

import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.animator.animator import Image

Array = NDArray[np.float32]


class CameraConfig(BaseModel, frozen=True, extra="forbid"):
    """A camera over a still keyframe."""

    kind: Literal["camera"] = "camera"
    zoom: float = Field(0.10, ge=0, le=1, description="how far the camera goes in at most, as a share of the picture")
    parallax: float = Field(
        0.012, ge=0, le=0.2, description="how far near things shift against far ones, as a share of the picture"
    )
    fade: float = Field(0.6, ge=0, description="seconds of a cross-fade between keyframes of one shot")

    @property
    def revision(self) -> str:
        """Of the code; part of every fingerprint that this config is in."""
        return CameraAnimator.revision


class CameraAnimator:
    """The animator of `CameraConfig`: no model, deterministic, a few milliseconds a frame."""

    name = "camera"
    revision = "1"
    licence = "Apache-2.0"

    def __init__(self, config: CameraConfig) -> None:
        self.config = config

    def animate(
        self,
        keyframe_HWC: Image,
        seconds: float,
        fps: int,
        seed: int,
        previous: Image | None = None,
        next: Image | None = None,
    ) -> Iterator[Image]:
        """See `Animator.animate`.

        Raises:
            ValueError: for a length or rate that is not positive, or neighbours of another size.
        """
        if seconds <= 0 or fps <= 0:
            raise ValueError(f"a clip needs seconds > 0 and fps > 0, got {seconds} s at {fps} fps")
        for neighbour in (previous, next):
            if neighbour is not None and neighbour.shape != keyframe_HWC.shape:
                raise ValueError(f"neighbour {neighbour.shape} and keyframe {keyframe_HWC.shape} differ in size")
        return self._frames(keyframe_HWC, seconds, fps, seed, previous, next)

    def _frames(
        self, keyframe_HWC: Image, seconds: float, fps: int, seed: int, previous: Image | None, next: Image | None
    ) -> Iterator[Image]:
        import cv2

        count = max(1, round(seconds * fps))
        lens = _Lens(keyframe_HWC.shape[0], keyframe_HWC.shape[1], self.config)
        start = _pose(seed, 0) if previous is None else _pose(_meeting(previous, keyframe_HWC), 0)
        end = _pose(seed, 1) if next is None else _pose(_meeting(keyframe_HWC, next), 0)
        for i in range(count):
            t = (i + 0.5) / count  # between clips the step is the same as inside them
            seen = keyframe_HWC
            for neighbour, away in ((previous, t * seconds), (next, (1 - t) * seconds)):
                if neighbour is not None and (share := self._share(away, seconds)) > 0:
                    seen = cv2.addWeighted(keyframe_HWC, 1 - share, neighbour, share, 0).astype(np.uint8, copy=False)
            x_HW, y_HW = lens.look(_between(start, end, t))
            frame: Image = cv2.remap(seen, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            yield frame

    def _share(self, away: float, seconds: float) -> float:
        """How much of the neighbour shows `away` seconds from where the clips meet: half there, none after fade / 2."""
        reach = min(self.config.fade, seconds) / 2
        if away >= reach:
            return 0.0
        u = away / reach
        return 0.5 * (1 - u * u * (3 - 2 * u))


class _Lens:
    """Where each pixel of a frame looks in the keyframe, always inside of it."""

    def __init__(self, height: int, width: int, config: CameraConfig) -> None:
        self.config = config
        self.height, self.width = height, width
        y_H1 = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
        x_1W = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
        near_HW = np.clip(0.5 + y_H1, 0, 1) * np.exp(-6 * x_1W**2)
        near_HW = near_HW / near_HW.max() - 0.5
        self.x_HW = np.broadcast_to(x_1W, (height, width)) * (width - 1)
        self.y_HW = np.broadcast_to(y_H1, (height, width)) * (height - 1)
        self.near_x_HW = (near_HW * config.parallax * (width - 1)).astype(np.float32)
        self.near_y_HW = (near_HW * config.parallax * (height - 1)).astype(np.float32)

    def look(self, pose: Array) -> tuple[Array, Array]:
        """Maps for cv2.remap; pose = (zoom in 0-1, pan x, pan y, parallax x, parallax y in -1 to 1)."""
        zoom, pan_x, pan_y, near_x, near_y = (float(value) for value in pose)
        shown = (1 - self.config.parallax) / (1 + self.config.zoom * (0.25 + 0.75 * zoom))  # of the picture
        room = (1 - self.config.parallax - shown) / 2
        x_HW = self.x_HW * np.float32(shown)
        x_HW += np.float32((0.5 + pan_x * room) * (self.width - 1))
        x_HW += self.near_x_HW * np.float32(near_x)
        y_HW = self.y_HW * np.float32(shown)
        y_HW += np.float32((0.5 + pan_y * room) * (self.height - 1))
        y_HW += self.near_y_HW * np.float32(near_y)
        return x_HW, y_HW


def _pose(seed: int, which: int) -> tuple[Array, Array]:
    """(pose, velocity a clip) drawn from a seed."""
    random = np.random.default_rng([seed & 0xFFFFFFFF, which])
    pose = random.uniform([0.2, -0.8, -0.8, -0.8, -0.8], 0.8)
    velocity = random.uniform(-0.5, 0.5, 5)
    return pose.astype(np.float32), velocity.astype(np.float32)


def _meeting(first: Image, second: Image) -> int:
    """A seed from two pictures, the same for the clip that ends there and the clip that begins there."""
    return zlib.crc32(second[::16, ::16].tobytes(), zlib.crc32(first[::16, ::16].tobytes()))


def _between(start: tuple[Array, Array], end: tuple[Array, Array], t: float) -> Array:
    """The cubic from pose to pose with the given velocities at both ends, kept where no border shows."""
    (p, v), (q, w) = start, end
    square, cube = t * t, t * t * t
    pose: Array = (
        p * (2 * cube - 3 * square + 1)
        + v * (cube - 2 * square + t)
        + q * (3 * square - 2 * cube)
        + w * (cube - square)
    )
    return np.clip(pose, [0, -1, -1, -1, -1], 1).astype(np.float32)
