"""diffusers' Stable Video Diffusion with a path of its own for the anchor."""

from typing import Any

from diffusers import StableVideoDiffusionPipeline
from PIL import Image


class AnchoredPipeline(StableVideoDiffusionPipeline):  # type: ignore[misc]
    """Its `image` goes to the VAE alone while `anchor` is set; the CLIP feature is then that of `anchor`."""

    anchor: Image.Image | None = None

    def _encode_image(self, image: Any, *options: Any, **named: Any) -> Any:
        return super()._encode_image(image if self.anchor is None else self.anchor, *options, **named)
