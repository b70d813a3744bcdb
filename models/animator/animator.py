"""What every animator is: a keyframe in, frames out."""

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
    ) -> Iterator[Image]:
        """round(seconds * fps) frames, at least one, RGB uint8 of the keyframe's size.

        `previous` and `next` are the neighbouring keyframes of the same shot; None means a cut.
        """
        ...
