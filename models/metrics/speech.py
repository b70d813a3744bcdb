"""A speech recogniser of transformers, such as Whisper, for the metric of narration."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.device import device
from models.weights import checkpoint
from models.weights.checkpoint import CheckpointConfig, Origin

if TYPE_CHECKING:
    from transformers import Pipeline

RATE = 16_000
"""Its sample rate in Hz."""


class SpeechConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """Whisper, or another recogniser of transformers."""

    origin: ClassVar[Origin] = Origin(
        name="the speech recogniser",
        licence="MIT",
        fetch="the folder openai/whisper-base, or another recogniser of transformers, from the Hugging Face hub",
        setting="evaluate.metrics.speech.source",
    )

    source: str = Field("openai/whisper-base", description="a folder or hub id of transformers")


class Recogniser:
    """Words of speech."""

    def __init__(self, config: SpeechConfig) -> None:
        from transformers import pipeline

        where, pinned = checkpoint.place(config.origin, config.source, config.hub_revision)
        try:
            self._pipeline: Pipeline = pipeline(
                "automatic-speech-recognition", model=str(where), device=device(), chunk_length_s=30, **pinned
            )
        except (OSError, ValueError, KeyError) as error:
            raise checkpoint.missing(config.origin, config.source, str(error).splitlines()[0]) from error

    def hear(self, samples: NDArray[np.float32]) -> str:
        """The text of mono samples at RATE; "" for silence."""
        if not samples.any():
            return ""
        found: dict[str, Any] = self._pipeline({"raw": samples, "sampling_rate": RATE})
        return str(found["text"]).strip()
