"""The interface of animators: from a keyframe and its neighbours to the frames of a clip."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Clip:
    """The input of an animator, which makes the frames from one keyframe to the next.

    Args:
        keyframe_HWC: the first frame, RGB uint8 at the size of the movie.
        seed: equal seeds give equal clips.
        previous: keyframe before this one in the shot; None after a cut.
        next: keyframe after this one in the shot, the first frame of the next clip; None before a cut.
        anchor: first keyframe of the shot, whose look an extended clip keeps; None: this keyframe.
        prompt: what happens, for models that read text.

    Raises:
        ValueError: the length or rate is not positive, or the pictures differ in size.
    """

    keyframe_HWC: Image
    seconds: float
    fps: int
    seed: int
    previous: Image | None = None
    next: Image | None = None
    anchor: Image | None = None
    prompt: str = ""

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.fps <= 0:
            raise ValueError(f"a clip needs seconds > 0 and fps > 0, got {self.seconds} s at {self.fps} fps")
        for other in (self.previous, self.next, self.anchor):
            if other is not None and other.shape != self.keyframe_HWC.shape:
                raise ValueError(f"neighbour {other.shape} and keyframe {self.keyframe_HWC.shape} differ in size")

    @property
    def count(self) -> int:
        """Number of frames."""
        return max(1, round(self.seconds * self.fps))


class Animator(Protocol):
    """Turns one keyframe into the frames that follow it until the next keyframe."""

    name: str
    revision: str
    licence: str

    def animate(self, clip: Clip) -> Iterator[Image]:
        """`clip.count` frames, RGB uint8 of the keyframe's size."""
        ...
