"""Latent codecs: images to a small grid of channels and back, frozen during all training."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field

from models.codec.codec import Codec
from models.codec.pca import PCACodec, PCACodecConfig
from models.codec.sdxl_vae import SdxlVae, SdxlVaeConfig

CodecConfig = Annotated[PCACodecConfig | SdxlVaeConfig, Field(discriminator="kind")]


def build_codec(config: CodecConfig) -> Codec:
    """The codec of a config; a codec that needs fitting is not fitted yet."""
    match config:
        case PCACodecConfig():
            return PCACodec(config)
        case SdxlVaeConfig():
            return SdxlVae.load(config)


def load_codec(folder: Path) -> Codec:
    """The codec in a folder of `save_pretrained`."""
    kind = json.loads((folder / "config.json").read_text()).get("kind")
    match kind:
        case "pca":
            return PCACodec.from_pretrained(folder)
        case "sdxl_vae":
            return SdxlVae.from_pretrained(folder)
    raise ValueError(f"{folder} holds a codec of kind {kind!r}; known: 'pca', 'sdxl_vae'")


__all__ = ["Codec", "CodecConfig", "PCACodec", "PCACodecConfig", "SdxlVaeConfig", "build_codec", "load_codec"]
