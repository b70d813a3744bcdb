"""Frozen image encoders: a grid of features for the compressor (§3.2), a vector for retrieval."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from models.packaged import MODELS

if TYPE_CHECKING:
    from models.vision.encoder import ImageEncoder


class EfficientNetLite0Config(BaseModel, frozen=True, extra="forbid"):
    """EfficientNet-Lite0 (ImageNet): a grid of 1280 channels at 1/32 of the picture.

    `middle` adds the 112 channels of the stage before (at 1/16, averaged to the same grid), which keep more of the
    place of things.
    """

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    middle: bool = True

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["efficientnet-lite0"].revision


VisionConfig = Annotated[EfficientNetLite0Config, Field(discriminator="kind")]


def build(config: EfficientNetLite0Config) -> "ImageEncoder":
    """The image encoder that `config` describes, with its weights, frozen and in evaluation mode."""
    match config:
        case EfficientNetLite0Config():
            from models.vision.efficientnet_lite0 import EfficientNetLite0

            return EfficientNetLite0(config)
