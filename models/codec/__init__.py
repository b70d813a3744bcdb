"""Latent codecs: images to a small grid of channels and back, frozen while everything else trains."""

import json
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from models.autoencoder.sdxl import SdxlPartConfig
from models.checkpoint import Origin
from models.codec.codec import Codec
from models.codec.pca import PCACodec, PCACodecConfig


class SdxlVaeConfig(SdxlPartConfig, frozen=True, extra="forbid"):
    """SDXL's autoencoder, the paper's: four channels at an eighth of the picture, scaled to about unit variance."""

    origin: ClassVar[Origin] = Origin(
        name="SDXL base's VAE",
        licence="CreativeML Open RAIL++-M",
        fetch="the folder vae/ of stabilityai/stable-diffusion-xl-base-1.0 from the Hugging Face hub",
        setting="frozen.codec.source",
    )
    part: ClassVar[str] = "vae"

    kind: Literal["sdxl_vae"] = "sdxl_vae"
    width: int = Field(896, gt=0, multiple_of=8, description="width in pixels, a multiple of eight")
    height: int = Field(512, gt=0, multiple_of=8, description="height in pixels, a multiple of eight")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="number format of its arithmetic; SDXL's own weights overflow in float16"
    )


CodecConfig = Annotated[PCACodecConfig | SdxlVaeConfig, Field(discriminator="kind")]


def build_codec(config: PCACodecConfig | SdxlVaeConfig) -> Codec:
    """The codec of a config; one that learns from pictures is not fitted yet."""
    match config:
        case PCACodecConfig():
            return PCACodec(config)
        case SdxlVaeConfig():
            from models.codec.sdxl_vae import SdxlVae

            return SdxlVae.load(config)


def load_codec(folder: Path) -> Codec:
    """The codec that was saved in a folder."""
    kind = json.loads((folder / "config.json").read_text()).get("kind")
    match kind:
        case "pca":
            return PCACodec.from_pretrained(folder)
        case "sdxl_vae":
            from models.codec.sdxl_vae import SdxlVae

            return SdxlVae.from_pretrained(folder)
    raise ValueError(f"{folder} holds a codec of kind {kind!r}; known: 'pca', 'sdxl_vae'")


__all__ = ["Codec", "CodecConfig", "PCACodec", "PCACodecConfig", "SdxlVaeConfig", "build_codec", "load_codec"]
