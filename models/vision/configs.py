"""The configs of image encoders, separate from the encoders so that configs are read without torch."""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from models.checkpoint import CheckpointConfig, Origin
from models.clip_layout import Activation
from models.packaged import MODELS


class EfficientNetLite0Config(BaseModel, frozen=True, extra="forbid"):
    """EfficientNet-Lite0 (ImageNet): a grid of 1280 channels at 1/32 of the picture."""

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    middle: bool = Field(True, description="add 112 channels of the previous stage, which keep more spatial detail")

    @property
    def revision(self) -> str:
        """Hash of the pinned weights; part of every fingerprint of this config."""
        return MODELS["efficientnet-lite0"].revision


class ClipConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """CLIP ViT-L/14, the paper's encoder E: 1024 channels at 1/14 of the picture, retrieval vectors of 768."""

    origin: ClassVar[Origin] = Origin(
        name="CLIP ViT-L/14",
        licence="MIT",
        fetch="the folder openai/clip-vit-large-patch14, or an open_clip checkpoint, from the Hugging Face hub",
        setting="frozen.vision.source",
    )

    kind: Literal["clip"] = "clip"
    source: str = Field(
        "openai/clip-vit-large-patch14",
        description="a folder or hub id of transformers, or a checkpoint file of open_clip",
    )
    activation: Activation = Field(
        "quick_gelu", description="of a checkpoint file: quick_gelu for OpenAI's weights, gelu for most of open_clip"
    )


class LatentsConfig(BaseModel, frozen=True, extra="forbid"):
    """No image encoder: the codec's own latents, in patches."""

    kind: Literal["latents"] = "latents"
    patch: int = Field(1, gt=0, description="side of a patch in cells of the latent grid")
