"""Frozen image encoders: a grid of features for the compressor (§3.2), a vector for retrieval.

To add one, write a file with a class and a config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.codec import Codec
from models.vision.clip import Clip, ClipConfig
from models.vision.efficientnet_lite0 import EfficientNetLite0, EfficientNetLite0Config
from models.vision.encoder import ImageEncoder
from models.vision.latents import Latents, LatentsConfig

VisionConfig = Annotated[EfficientNetLite0Config | ClipConfig, Field(discriminator="kind")]
FeaturesConfig = Annotated[EfficientNetLite0Config | ClipConfig | LatentsConfig, Field(discriminator="kind")]
"""Inputs of the compressor; latents are not suitable for comparing pictures."""


def build(config: VisionConfig) -> ImageEncoder:
    """The image encoder of `config`, with its weights, frozen and in eval mode."""
    match config:
        case EfficientNetLite0Config():
            return EfficientNetLite0(config)
        case ClipConfig():
            return Clip(config)


def build_features(config: FeaturesConfig, codec: Codec) -> ImageEncoder:
    """The encoder that makes the compressor's features; `codec` is the autoencoder's."""
    return Latents(config.patch, codec) if isinstance(config, LatentsConfig) else build(config)


__all__ = [
    "ClipConfig",
    "EfficientNetLite0Config",
    "FeaturesConfig",
    "ImageEncoder",
    "LatentsConfig",
    "VisionConfig",
    "build",
    "build_features",
]
