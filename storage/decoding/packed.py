"""A frame's own memory as an array, where its colours lie together."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


def packed(frame: "VideoFrame", colours: int) -> NDArray[np.uint8]:
    """[height, width * colours] uint8 of a frame in gray8 (1) or rgb24 (3); nothing is copied."""
    plane = frame.planes[0]
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * colours]
