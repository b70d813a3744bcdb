"""Animators: a keyframe becomes a clip (section 3.5).

Adding one = one file with a class and a config, and one line in the union and in `build`.
"""

from typing import Annotated

from pydantic import Field

from models.animator.animator import Animator
from models.animator.camera import CameraAnimator, CameraConfig

AnimatorConfig = Annotated[CameraConfig, Field(discriminator="kind")]


def build(config: CameraConfig) -> Animator:
    """The animator that `config` names."""
    match config:
        case CameraConfig():
            return CameraAnimator(config)


__all__ = ["Animator", "AnimatorConfig", "CameraAnimator", "CameraConfig", "build"]
