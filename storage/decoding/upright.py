"""Which way up, and how wide, a frame is shown: its film may ask that it be turned by quarters, and mirrored."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Kind = TypeVar("Kind", bound=np.generic)


class View(NamedTuple):
    """How a frame is shown.

    Attributes:
        turns: counterclockwise quarters.
        mirrored: left and right change places before it is turned.
        pixel_aspect: width of a pixel in heights; None as long as it is what the film says.
    """

    turns: int = 0
    mirrored: bool = False
    pixel_aspect: Fraction | None = None


def view(frame: "VideoFrame") -> View:
    """As storage.decoding.reader noted it on the frame, else as the frame says itself."""
    return frame.opaque if isinstance(frame.opaque, View) else own_view(frame)


def own_view(frame: "VideoFrame") -> View:
    """As the frame says itself; where the stream says it, and not the container, only key frames do."""
    turns = round(frame.rotation / 90)
    return View((turns + 2) % 4, mirrored=True) if _is_mirrored(frame) else View(turns % 4)


def lies_sideways(frame: "VideoFrame") -> bool:
    """Whether it is shown as wide as it is stored high."""
    return view(frame).turns % 2 == 1


def upright(picture: NDArray[Kind], frame: "VideoFrame") -> NDArray[Kind]:
    """A picture [height, width, ...] of a frame as it is stored, made as it is shown."""
    turns, mirrored, _ = view(frame)
    return np.ascontiguousarray(np.rot90(np.fliplr(picture) if mirrored else picture, turns))


def _is_mirrored(frame: "VideoFrame") -> bool:
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")  # PyAV types it as another class
    except ValueError:  # it carries what PyAV has no name for, such as EXIF or the view of a spatial video
        return False
    if data is None:
        return False
    matrix = np.frombuffer(data, np.int32).reshape(3, 3).astype(float)
    return bool(np.linalg.det(matrix[:2, :2]) < 0)
