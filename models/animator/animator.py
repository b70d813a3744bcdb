"""What every animator is: keyframes in, the frames of a clip out."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Animator(Protocol):
    """Turns one keyframe into the frames that follow it until the next keyframe."""

    name: str
    revision: str
    licence: str

    def animate(
        self,
        keyframe_HWC: Image,
        seconds: float,
        fps: int,
        seed: int,
        previous: Image | None = None,
        next: Image | None = None,
        anchor: Image | None = None,
        prompt: str = "",
    ) -> Iterator[Image]:
        """round(seconds * fps) frames, at least one, RGB uint8 of the keyframe's size; a seed gives the same again.

        Args:
            keyframe_HWC: the first frame, RGB uint8 at the size of the movie.
            previous: keyframe before this one in the shot; None after a cut.
            next: keyframe after this one in the shot, with which the next clip begins; None before a cut.
            anchor: first keyframe of the shot, which keeps its look when the clip is extended; None: this keyframe.
            prompt: what happens, for models that read text.

        Raises:
            ValueError: for a length or rate that is not positive, or pictures of different sizes.
        """
        ...


def frame_count(keyframe_HWC: Image, seconds: float, fps: int, *others: Image | None) -> int:
    """How many frames a clip has.

    Raises:
        ValueError: as `Animator.animate`.
    """
    if seconds <= 0 or fps <= 0:
        raise ValueError(f"a clip needs seconds > 0 and fps > 0, got {seconds} s at {fps} fps")
    for other in others:
        if other is not None and other.shape != keyframe_HWC.shape:
            raise ValueError(f"neighbour {other.shape} and keyframe {keyframe_HWC.shape} differ in size")
    return max(1, round(seconds * fps))
