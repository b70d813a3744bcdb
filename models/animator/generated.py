"""The base of animators with an image-to-video model: long clips in parts, the model's rate, the movie's size.

Shapes: H, W picture, C colours.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from models.animator.animator import Clip, Image
from models.animator.interpolate import InterpolateAnimator, InterpolateConfig
from models.upscaler import lanczos
from models.weights.checkpoint import CheckpointConfig


class GeneratedConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """An image-to-video model of diffusers."""

    not_identity: ClassVar[tuple[str, ...]] = ("source", "hub_revision", "offload")

    width: int = Field(1024, ge=8, multiple_of=8, description="width of the model's pictures, in pixels")
    height: int = Field(576, ge=8, multiple_of=8, description="height of the model's pictures, in pixels")
    frames: int = Field(25, ge=2, description="frames that the model draws at once; longer clips are extended in parts")
    rate: int = Field(8, ge=1, description="the model's frames per second; other frames are interpolated")
    steps: int = Field(25, ge=1, description="denoising steps")
    precision: Literal["fp32", "fp16", "bf16"] = Field("fp16", description="number format of weights and arithmetic")
    offload: bool = Field(False, description="keep idle parts of the model in main memory")

    @property
    def revision(self) -> str:
        """Revision of the weights and of the interpolation; part of every fingerprint of this config."""
        return f"{super().revision}, {InterpolateConfig().revision}"

    @property
    def licence(self) -> str:
        """Of the weights."""
        return self.origin.licence

    @property
    def packages(self) -> list[str]:
        """Packages with the weights of the interpolation."""
        return InterpolateConfig().packages

    def dtype(self) -> Any:
        """Of torch."""
        import torch

        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[self.precision]

    def placed(self, pipeline: Any) -> Any:
        """A pipeline of diffusers on the GPU, or offloaded with `offload`; without progress bars."""
        from models.device import device

        pipeline.set_progress_bar_config(disable=True)
        if self.offload:
            pipeline.enable_model_cpu_offload()
            return pipeline
        return pipeline.to(device())


class GeneratedAnimator(ABC):
    """Draws frames from a keyframe and, if the model accepts it, the next one; extends a clip from its last frame."""

    reaches: bool
    """Whether the model accepts a last frame."""

    def __init__(self, config: GeneratedConfig) -> None:
        self.config = config
        self.revision, self.licence = config.revision, config.licence
        self.motion = InterpolateAnimator(InterpolateConfig())

    @abstractmethod
    def draw(
        self, first: Image, last: Image | None, anchor: Image, prompt: str, frames: int, generator: Any
    ) -> list[Image]:
        """Frames of one part in the model's size, beginning with `first` and, if it is given, ending with `last`.

        Args:
            frames: maximum number of frames, a result of `possible`.
            generator: torch's source of all randomness.
        """

    def possible(self, frames: int) -> int:
        """The smallest number of frames, at least `frames`, that the model can draw."""
        return frames

    def animate(self, clip: Clip) -> Iterator[Image]:
        """See `Animator.animate`."""
        last, count = clip.next if self.reaches else None, clip.count
        step = min(1, self.config.rate / clip.fps)  # frames of the model per frame of the movie
        wanted = math.ceil(count * step) + 1 if last is not None else math.ceil((count - 1) * step) + 1
        drawn = self._extended(clip, wanted, last)
        if last is not None:
            step = (len(drawn) - 1) / count  # the last drawn frame is the first of the next clip
        height, width = clip.keyframe_HWC.shape[:2]
        for frame in self._retimed(drawn, [i * step for i in range(count)]):
            yield lanczos(frame, width, height)

    def _extended(self, clip: Clip, wanted: int, last: Image | None) -> list[Image]:
        """At least `wanted` frames, drawn in parts. Each part starts from the last frame of the previous part."""
        import torch

        anchor = clip.keyframe_HWC if clip.anchor is None else clip.anchor
        drawn: list[Image] = []
        part = 0
        while len(drawn) < wanted:
            missing = wanted - len(drawn) + (part > 0)
            frames = min(self.possible(max(2, missing)), self.config.frames)
            ends = last if missing <= frames else None
            generator = torch.Generator().manual_seed((clip.seed & 0xFFFFFFFF) + part)
            made = self.draw(drawn[-1] if drawn else clip.keyframe_HWC, ends, anchor, clip.prompt, frames, generator)
            drawn += made[1:] if part else made
            part += 1
        return drawn

    def _retimed(self, drawn: Sequence[Image], places: Sequence[float]) -> Iterator[Image]:
        """Frames at fractional positions among the drawn ones; the nearest one where two neighbours differ too much."""
        for before in sorted({*map(int, places)}):
            after = min(before + 1, len(drawn) - 1)
            moments = [place - before for place in places if int(place) == before]
            if max(moments) < 0.01:
                yield from [drawn[before]] * len(moments)
            elif self.motion.apart(drawn[before], drawn[after]):
                yield from (drawn[after if moment >= 0.5 else before] for moment in moments)
            else:
                yield from self.motion.between(drawn[before], drawn[after], moments)


def frames_of(video: Any) -> list[Image]:
    """RGB uint8 frames from a pipeline's output_type="np": [frames, height, width, 3] in 0-1."""
    return list((np.asarray(video) * 255).round().clip(0, 255).astype(np.uint8))
