"""People in a picture: who stands where. The paper keeps at most five a frame (Appendix C)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field

from models.face import Face, Image, MtcnnFinderConfig
from models.packaged import MODELS

MOST_PERSONS = 5


@dataclass(frozen=True)
class Person:
    """One person; the box is x0, y0, x1, y1 as fractions of the picture, `face` is None where none is seen."""

    box: tuple[float, float, float, float]
    score: float
    face: Face | None = None


class PersonDetector(Protocol):
    """Finds people."""

    name: str
    revision: str
    licence: str

    def detect(self, images: Sequence[Image]) -> list[list[Person]]:
        """The people of each picture: at most five, by score times area of the box, largest first."""
        ...


class MtcnnConfig(BaseModel, frozen=True, extra="forbid"):
    """Face first: MTCNN finds faces, human proportions give the body; someone seen from behind is missed."""

    kind: Literal["mtcnn"] = "mtcnn"
    finder: MtcnnFinderConfig = MtcnnFinderConfig()

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["mtcnn"].revision


DetectorConfig = Annotated[MtcnnConfig, Field(discriminator="kind")]


def build(config: MtcnnConfig) -> PersonDetector:
    """The person detector that `config` describes."""
    match config:
        case MtcnnConfig():
            from models.detector.mtcnn import MtcnnDetector

            return MtcnnDetector(config)
