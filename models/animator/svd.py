"""Stable Video Diffusion, extended with an anchor (section 3.5).

A clip that is longer than the model's frames is extended from its last frame. Only the VAE gets that frame; the U-Net's
cross-attention keeps the CLIP feature of the first keyframe, so that errors do not accumulate.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from models.animator.animator import Image
from models.animator.generated import GeneratedAnimator, GeneratedConfig, frames_of
from models.weights.checkpoint import Origin, missing, place, pretrained

XT = "stabilityai/stable-video-diffusion-img2vid-xt"


class SvdConfig(GeneratedConfig, frozen=True, extra="forbid"):
    """Stable Video Diffusion; it accepts no last frame, so a clip may not end at the start of the next one."""

    origin: ClassVar[Origin] = Origin(
        "Stable Video Diffusion",
        "Stability AI Community License",
        f"{XT} (model_index.json, unet, vae, image_encoder, scheduler, feature_extractor)",
        "movie.animator.source",
    )

    kind: Literal["svd"] = "svd"
    source: str = Field(XT, description="folder or hub id in diffusers' layout")
    variant: Literal["", "fp16"] = Field("fp16", description="fp16 for files that diffusers saved under that name")
    anchored: bool = Field(True, description="extend with the first keyframe's CLIP feature, not the last frame's")
    motion: int = Field(127, ge=1, le=255, description="motion bucket: larger values give more motion")
    noise: float = Field(0.02, ge=0, description="noise on the first frame: more gives more motion and less similarity")
    guidance: float = Field(3.0, ge=1, description="classifier-free guidance of the last frame, from 1 at the first")


class SvdAnimator(GeneratedAnimator):
    """The animator of `SvdConfig`.

    Raises:
        CheckpointError: the weights can't be loaded, or lack a tensor.
    """

    name = "svd"
    reaches = False

    def __init__(self, config: SvdConfig) -> None:
        super().__init__(config)
        self.svd = config
        self.pipeline = config.placed(_pipeline(config))

    def draw(
        self, first: Image, last: Image | None, anchor: Image, prompt: str, frames: int, generator: Any
    ) -> list[Image]:
        """See `GeneratedAnimator.draw`; it ignores a last frame and text."""
        from PIL import Image as Pillow

        config = self.svd
        self.pipeline.anchor = Pillow.fromarray(anchor) if config.anchored else None
        made = self.pipeline(
            Pillow.fromarray(first),
            height=config.height,
            width=config.width,
            num_frames=frames,
            num_inference_steps=config.steps,
            max_guidance_scale=config.guidance,
            fps=config.rate,
            motion_bucket_id=config.motion,
            noise_aug_strength=config.noise,
            decode_chunk_size=8,
            generator=generator,
            output_type="np",
        )
        return frames_of(made.frames[0])


def networks(config: SvdConfig) -> dict[str, Any]:
    """The networks, loaded one by one; raises CheckpointError if one lacks a tensor."""
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionModelWithProjection

    options: dict[str, Any] = {"dtype": config.dtype()} | ({"variant": config.variant} if config.variant else {})
    kinds = {
        "unet": UNetSpatioTemporalConditionModel,
        "vae": AutoencoderKLTemporalDecoder,
        "image_encoder": CLIPVisionModelWithProjection,
    }
    return {
        name: pretrained(config.origin, kind, config.source, config.hub_revision, subfolder=name, **options)
        for name, kind in kinds.items()
    }


def _pipeline(config: SvdConfig) -> Any:
    """diffusers' pipeline; while `anchor` is set, the CLIP feature is the anchor's, and only the VAE gets `image`."""
    from diffusers import EulerDiscreteScheduler, StableVideoDiffusionPipeline
    from transformers import CLIPImageProcessor

    class AnchoredPipeline(StableVideoDiffusionPipeline):  # type: ignore[misc]
        anchor: Any = None

        def _encode_image(self, image: Any, *options: Any, **named: Any) -> Any:
            return super()._encode_image(image if self.anchor is None else self.anchor, *options, **named)

    parts, where = networks(config), (config.origin, config.source, config.hub_revision)
    folder, pinned = place(*where)
    for name, kind in (("scheduler", EulerDiscreteScheduler), ("feature_extractor", CLIPImageProcessor)):
        try:
            parts[name] = kind.from_pretrained(folder, subfolder=name, **pinned)
        except (OSError, ValueError) as error:
            raise missing(config.origin, config.source, f"{name}: {str(error).splitlines()[0]}") from error
    return AnchoredPipeline(**parts)
