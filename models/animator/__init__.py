"""Animators: a keyframe becomes a clip (section 3.5).

Adding one = one file with a class and a config, and one line in the union and in `build`.
"""

from typing import Annotated

from pydantic import Field

from models.animator.animator import Animator
from models.animator.camera import CameraAnimator, CameraConfig
from models.animator.interpolate import InterpolateAnimator, InterpolateConfig

AnimatorConfig = Annotated[CameraConfig | InterpolateConfig, Field(discriminator="kind")]


def build(config: AnimatorConfig) -> Animator:
    """The animator that `config` names.

    Raises:
        PackagedModelError: when its weights are not installed.
    """
    match config:
        case CameraConfig():
            return CameraAnimator(config)
        case InterpolateConfig():
            return InterpolateAnimator(config)


__all__ = ["Animator", "AnimatorConfig", "CameraConfig", "InterpolateConfig", "build"]
