"""Captions: what a frame and each person in it look like, in plain sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field

from models.detector import Person
from models.face import Image

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
    """Sentences about the frame (`subject_index` -1) or about one of its persons; carries the id of its row."""

    row_id: str
    subject_index: int
    text: str


class Captioner(Protocol):
    """Describes pictures."""

    name: str
    revision: str
    licence: str

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        """For each frame one caption of the whole, then one for each person in their order."""
        ...


class DescriberConfig(BaseModel, frozen=True, extra="forbid"):
    """Sentences that state only what was measured; no model, nothing invented."""

    kind: Literal["describer"] = "describer"

    @property
    def revision(self) -> str:
        """Of the code; part of every fingerprint that this config is in."""
        from models.captioner.describer import Describer

        return Describer.revision


CaptionerConfig = Annotated[DescriberConfig, Field(discriminator="kind")]


def build(config: DescriberConfig) -> Captioner:
    """The captioner that `config` describes."""
    match config:
        case DescriberConfig():
            from models.captioner.describer import Describer

            return Describer()
