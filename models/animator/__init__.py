"""Animators: a keyframe becomes a clip (section 3.5).

Adding one = one file with a class and a config, and one line in the union and in `build`.
"""

from collections.abc import Iterator
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.animator.camera import CameraAnimator, CameraConfig

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


AnimatorConfig = Annotated[CameraConfig, Field(discriminator="kind")]


def build(config: CameraConfig) -> Animator:
    """The animator that `config` names."""
    match config:
        case CameraConfig():
            return CameraAnimator(config)


__all__ = ["Animator", "AnimatorConfig", "CameraAnimator", "CameraConfig", "build"]
