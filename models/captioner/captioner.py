"""What every captioner is: from keyframes and what was measured about them to plain sentences."""

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
    """One keyframe and what was measured about it before.

    `motion` is the mean absolute difference of luma (0-255) to the picture one second earlier;
    `shot_second` counts the keyframes since the shot's first, which has 0.
    """

    row_id: str
    image: Image
    persons: tuple[Person, ...] = ()
    motion: float = 0.0
    shot_second: int = 0


@dataclass(frozen=True)
class Caption:
    """Sentences about the frame (`subject_index` -1) or about one of its persons; carries the id of its row.

    `reason` says why the captioner's own answer could not be used, and is empty where it could; `text` is then what the
    describer measured.
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
        """For each frame one caption of the whole, then one for each person in their order."""
        ...
