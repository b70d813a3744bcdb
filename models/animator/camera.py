"""Camera moves over a still picture: pan, zoom and parallax, cross-fades inside a shot, hard cuts between shots.

There is no depth estimation: pixels that are low and central in the picture count as near.

Shapes: H, W picture, C colours.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from models.animator.animator import Clip, Image
from models.animator.lens import Array, Lens, Move


class CameraConfig(BaseModel, frozen=True, extra="forbid"):
    """A moving camera over a still keyframe."""

    kind: Literal["camera"] = "camera"
    zoom: float = Field(0.10, ge=0, le=1, description="largest zoom, as a share of the picture")
    parallax: float = Field(
        0.012, ge=0, le=0.2, description="shift of near objects against far ones, as a share of the picture"
    )
    fade: float = Field(0.6, ge=0, description="seconds of a cross-fade between keyframes of one shot")

    revision: ClassVar[str] = "1"
    licence: ClassVar[str] = "Apache-2.0"


class CameraAnimator:
    """The animator of `CameraConfig`: no model, deterministic, a few milliseconds per frame."""

    name = "camera"
    revision = CameraConfig.revision
    licence = CameraConfig.licence

    def __init__(self, config: CameraConfig) -> None:
        self.config = config

    def animate(self, clip: Clip) -> Iterator[Image]:
        """See `Animator.animate`."""
        import cv2

        keyframe_HWC, seconds, move = clip.keyframe_HWC, clip.seconds, Move(clip)
        height, width = keyframe_HWC.shape[:2]
        lens = Lens(low_and_central(height, width), self.config.zoom, self.config.parallax)
        for i in range(clip.count):
            t = (i + 0.5) / clip.count  # the step between clips is the same as inside them
            seen = keyframe_HWC
            for neighbour, away in ((clip.previous, t * seconds), (clip.next, (1 - t) * seconds)):
                if neighbour is not None and (share := self._share(away, seconds)) > 0:
                    seen = cv2.addWeighted(keyframe_HWC, 1 - share, neighbour, share, 0).astype(np.uint8, copy=False)
            yield lens.through(seen, move.pose(t))

    def _share(self, away: float, seconds: float) -> float:
        """Opacity of the neighbour `away` seconds from the border of the clips: 0.5 at the border, 0 after fade / 2."""
        reach = min(self.config.fade, seconds) / 2
        if away >= reach:
            return 0.0
        u = away / reach
        return 0.5 * (1 - u * u * (3 - 2 * u))


def low_and_central(height: int, width: int) -> Array:
    """A guess of each pixel's nearness, from -0.5 to 0.5."""
    y_H1 = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x_1W = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
    near_HW: Array = y_H1 * np.exp(-6 * x_1W**2)
    near_HW -= 0.5
    return near_HW
