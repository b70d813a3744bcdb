"""Any image-to-video pipeline of diffusers: Wan, LTX, CogVideoX, HunyuanVideo and future ones.

A pipeline gets only the arguments in the signature of its `__call__`.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from models.animator.animator import Image
from models.animator.generated import GeneratedAnimator, GeneratedConfig, frames_of
from models.errors import ModelError
from models.upscaler import lanczos
from models.weights.checkpoint import Origin, missing, place

_NAMES: Mapping[str, tuple[str, ...]] = {
    "frames": ("num_frames", "frames"),
    "rate": ("frame_rate", "fps"),
    "steps": ("num_inference_steps",),
    "guidance": ("guidance_scale", "max_guidance_scale"),
}
"""Argument -> its names in different pipelines."""

_COMPRESSION = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio")
"""Names in different pipelines of the number of frames that share a latent."""


class PipelineError(ModelError, ValueError):
    """A pipeline can't animate a keyframe with these settings; the message names the setting to change."""


class DiffusersConfig(GeneratedConfig, frozen=True, extra="forbid"):
    """An image-to-video pipeline; its model card gives the size, rate and number of frames of its training."""

    origin: ClassVar[Origin] = Origin(
        "An image-to-video pipeline",
        "that of the checkpoint, see its model card",
        "a checkpoint in diffusers' layout (model_index.json and a folder for each part)",
        "movie.animator.source",
    )

    kind: Literal["diffusers"] = "diffusers"
    source: str = Field("Wan-AI/Wan2.2-TI2V-5B-Diffusers", description="folder or hub id in diffusers' layout")
    pipeline: str = Field(
        "", description='class of diffusers, such as LTXImageToVideoPipeline; "": the class that the checkpoint names'
    )
    width: int = Field(832, ge=8, multiple_of=8, description="width of the model's pictures, in pixels")
    height: int = Field(480, ge=8, multiple_of=8, description="height of the model's pictures, in pixels")
    frames: int = Field(81, ge=2, description="frames that the model draws at once; longer clips are extended in parts")
    rate: int = Field(16, ge=1, description="the model's frames per second; other frames are interpolated")
    precision: Literal["fp32", "fp16", "bf16"] = Field("bf16", description="number format of weights and arithmetic")
    guidance: float | None = Field(None, ge=0, description="classifier-free guidance; null: the pipeline's own default")
    last_frame: bool = Field(True, description="draw towards the next keyframe of a shot, if the pipeline accepts one")
    negative_prompt: str = Field("", description="what to avoid, if the pipeline accepts it")


class DiffusersAnimator(GeneratedAnimator):
    """The animator of `DiffusersConfig`.

    Raises:
        CheckpointError: the checkpoint can't be loaded.
        PipelineError: it takes no image, or another number of frames.
    """

    name = "diffusers"

    def __init__(self, config: DiffusersConfig) -> None:
        super().__init__(config)
        self.diffusers = config
        self.pipeline = config.placed(_pipeline(config))
        self.accepted = accepted(type(self.pipeline))
        self.compression = next((getattr(self.pipeline, one) for one in _COMPRESSION if hasattr(self.pipeline, one)), 1)
        self.fewest, most = _images(self.pipeline, self.accepted)
        self.reaches = config.last_frame and most == 2
        if self.possible(config.frames) != config.frames:
            raise PipelineError(
                f"{type(self.pipeline).__name__} draws {self.compression} n + 1 frames, not {config.frames}: "
                f"set movie.animator.frames={self.possible(config.frames)}"
            )

    def possible(self, frames: int) -> int:
        """See `GeneratedAnimator.possible`."""
        return math.ceil((frames - 1) / self.compression) * self.compression + 1

    def draw(
        self, first: Image, last: Image | None, anchor: Image, prompt: str, frames: int, generator: Any
    ) -> list[Image]:
        """See `GeneratedAnimator.draw`; if a model needs a last frame, it gets the first one again."""
        from PIL import Image as Pillow

        config = self.diffusers
        if last is None and self.fewest == 2:
            last = first

        def shown(picture: Image) -> Pillow.Image:
            return Pillow.fromarray(lanczos(picture, config.width, config.height))

        given = arguments(
            self.accepted,
            image=shown(first),
            last_image=None if last is None else shown(last),
            prompt=prompt,
            negative_prompt=config.negative_prompt or None,
            height=config.height,
            width=config.width,
            frames=frames,
            rate=config.rate,
            steps=config.steps,
            guidance=config.guidance,
            generator=generator,
            output_type="np",
        )
        return frames_of(self.pipeline(**given).frames[0])


def _images(pipeline: Any, names: Collection[str]) -> tuple[int, int]:
    """Minimum and maximum number of pictures that a clip is drawn from: the first and, perhaps, the last.

    Wan's pipeline accepts a last image for all of its models, but a model with CLIP features has positions for exactly
    one or two pictures, and needs that number.
    """
    if "last_image" not in names:
        return 1, 1
    sizes = getattr(getattr(pipeline, "transformer", None), "config", {})
    if sizes.get("image_dim") is None or "pos_embed_seq_len" not in sizes:
        return 1, 2
    return (1, 1) if sizes["pos_embed_seq_len"] is None else (2, 2)


def accepted(pipeline: type) -> frozenset[str]:
    """Names of the arguments of a pipeline's call.

    Raises:
        PipelineError: no image is among them.
    """
    import inspect

    names = frozenset(inspect.signature(pipeline.__call__).parameters)
    if "image" not in names:
        raise PipelineError(
            f"{pipeline.__name__} takes no image: set movie.animator.pipeline to the image-to-video class of its "
            "family, such as 'LTXImageToVideoPipeline' or 'WanImageToVideoPipeline'"
        )
    return names


def arguments(names: Collection[str], **wanted: Any) -> dict[str, Any]:
    """The wanted arguments that a call accepts, under its own names; arguments that are None are dropped."""
    given = {}
    for what, value in wanted.items():
        name = next((one for one in _NAMES.get(what, (what,)) if one in names), None)
        if name is not None and value is not None:
            given[name] = value
    return given


def _pipeline(config: DiffusersConfig) -> Any:
    import diffusers

    kind: Any = getattr(diffusers, config.pipeline or "DiffusionPipeline", None)
    if not hasattr(kind, "from_pretrained"):
        raise PipelineError(f"diffusers {diffusers.__version__} has no pipeline {config.pipeline!r}: correct the name")
    folder, pinned = place(config.origin, config.source, config.hub_revision)
    try:
        return kind.from_pretrained(folder, torch_dtype=config.dtype(), use_safetensors=True, **pinned)
    except (OSError, ValueError) as error:
        raise missing(config.origin, config.source, str(error).splitlines()[0]) from error
