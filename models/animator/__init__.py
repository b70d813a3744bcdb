"""Animators turn a keyframe into a clip (section 3.5).

To add one, write a file with a class and a config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.animator.animator import Animator, Clip
from models.animator.camera import CameraAnimator, CameraConfig
from models.animator.diffusers_pipeline import DiffusersAnimator, DiffusersConfig
from models.animator.generated import GeneratedConfig
from models.animator.interpolate import InterpolateAnimator, InterpolateConfig
from models.animator.svd import SvdAnimator, SvdConfig

AnimatorConfig = Annotated[CameraConfig | InterpolateConfig | SvdConfig | DiffusersConfig, Field(discriminator="kind")]


def build(config: AnimatorConfig) -> Animator:
    """The animator that `config` names.

    Raises:
        PackagedModelError: its packaged weights are not installed.
        CheckpointError: its checkpoint can't be loaded.
        PipelineError: a pipeline of diffusers can't do what the config asks for.
    """
    match config:
        case CameraConfig():
            return CameraAnimator(config)
        case InterpolateConfig():
            return InterpolateAnimator(config)
        case SvdConfig():
            return SvdAnimator(config)
        case DiffusersConfig():
            return DiffusersAnimator(config)


__all__ = [
    "Animator",
    "AnimatorConfig",
    "CameraConfig",
    "Clip",
    "DiffusersConfig",
    "GeneratedConfig",
    "InterpolateConfig",
    "SvdConfig",
    "build",
]
