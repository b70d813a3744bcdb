"""Which way up a frame is shown: its film may ask that it be turned by quarters, and mirrored."""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Kind = TypeVar("Kind", bound=np.generic)


def lies_sideways(frame: "VideoFrame") -> bool:
    """Whether it is shown as wide as it is stored high."""
    return round(frame.rotation / 90) % 2 == 1


def upright(picture: NDArray[Kind], frame: "VideoFrame") -> NDArray[Kind]:
    """A picture [height, width, ...] of a frame as it is stored, made as it is shown."""
    turns = round(frame.rotation / 90)  # counterclockwise quarters; of a mirrored film, half a turn too many
    if _is_mirrored(frame):
        picture, turns = np.fliplr(picture), turns + 2
    return np.ascontiguousarray(np.rot90(picture, turns))


def _is_mirrored(frame: "VideoFrame") -> bool:
    data: Any = frame.side_data.get("DISPLAYMATRIX")  # PyAV types it as another class
    if data is None:
        return False
    matrix = np.frombuffer(data, np.int32).reshape(3, 3).astype(float)
    return bool(np.linalg.det(matrix[:2, :2]) < 0)
