"""Upscalers: a keyframe as it was drawn is brought to the size of the movie, for those who watch it.

Metrics are always taken before this step: it invents detail and lowers PSNR. Adding one = one file with a class and a
config, and one line in the union and in `build`.
"""

from typing import Annotated

from pydantic import Field

from models.upscaler.lanczos import LanczosConfig, LanczosUpscaler, lanczos
from models.upscaler.realesrgan import RealEsrganConfig, RealEsrganUpscaler
from models.upscaler.unchanged import Unchanged, UnchangedConfig
from models.upscaler.upscaler import Upscaler

UpscalerConfig = Annotated[UnchangedConfig | LanczosConfig | RealEsrganConfig, Field(discriminator="kind")]


def build(config: UpscalerConfig) -> Upscaler:
    """The upscaler that `config` names.

    Raises:
        PackagedModelError: when its weights are not installed.
    """
    match config:
        case UnchangedConfig():
            return Unchanged()
        case LanczosConfig():
            return LanczosUpscaler()
        case RealEsrganConfig():
            return RealEsrganUpscaler(config)


__all__ = [
    "LanczosConfig",
    "RealEsrganConfig",
    "UnchangedConfig",
    "Upscaler",
    "UpscalerConfig",
    "build",
    "lanczos",
]
