"""Upscalers enlarge a drawn keyframe to the size of the movie.

Metrics are always computed before this step, because it invents detail and lowers PSNR. To add one, write a file with a
class and a config, and add it to the union and to `build`.
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
