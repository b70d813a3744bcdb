"""The interface of captioners: from keyframes and their measurements to plain sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.detector import Person
from models.face import Image

PROMPTS = Path(__file__).parent / "prompts"
FRAME = -1  # the subject index of a caption that describes the whole picture


@dataclass(frozen=True)
class FrameFacts:
    """One keyframe and its measurements.

    `motion` is the mean absolute difference of luma (0-255) from the picture one second earlier;
    `shot_second` counts the keyframes of the shot from 0.
    """

    row_id: str
    image: Image
    persons: tuple[Person, ...] = ()
    motion: float = 0.0
    shot_second: int = 0


@dataclass(frozen=True)
class Caption:
    """Sentences about the frame (`subject_index` -1) or about one of its persons, with the id of its row.

    `reason` says why the captioner's own answer could not be used, and `text` is then the describer's; otherwise
    `reason` is empty.
    """

    row_id: str
    subject_index: int
    text: str
    reason: str = ""


class Captioner(Protocol):
    """Describes pictures."""

    name: str
    revision: str
    licence: str

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        """For each frame one caption of the whole picture, then one per person in their order."""
        ...
