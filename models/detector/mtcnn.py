"""People by their faces: MTCNN's face box, extended to a body by human proportions and cut at the picture's border."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from models.detector.detector import MOST_PERSONS, Person
from models.face import Face, Image, MtcnnFinderConfig
from models.weights.packaged import MODELS

# In heights of MTCNN's face box, which spans from the forehead to the chin (0.8 of a head). An adult stands
# 7.5 heads tall and is 2 heads wide at the shoulders; the arms add a little.
ABOVE = 0.35  # from the box up to the crown
BELOW = 8.0  # from the chin down to the soles
ASIDE = 1.35  # from the middle of the face to the end of an arm


class MtcnnConfig(BaseModel, frozen=True, extra="forbid"):
    """MTCNN detects faces, and human proportions give the bodies; people seen from behind are missed."""

    kind: Literal["mtcnn"] = "mtcnn"
    finder: MtcnnFinderConfig = Field(MtcnnFinderConfig(), description="which faces are detected")

    revision: ClassVar[str] = MODELS["mtcnn"].revision


class MtcnnDetector:
    """A box has the score of its face; boxes of lying or leaning bodies are wrong."""

    name = "mtcnn"

    def __init__(self, config: MtcnnConfig) -> None:
        from models.face.mtcnn import FaceFinder

        self._finder = FaceFinder(config.finder)
        self.revision = self._finder.revision
        self.licence = self._finder.licence

    def detect(self, images: Sequence[Image]) -> list[list[Person]]:
        """The people of each picture: at most five, by score times area of the box, largest first."""
        found = self._finder.find(images)
        return [_persons(image, faces) for image, faces in zip(images, found, strict=True)]


def _persons(image: Image, faces: Sequence[Face]) -> list[Person]:
    height, width = image.shape[:2]
    persons = [Person(body_box(face.box, width / height), face.score, face) for face in faces]
    return sorted(persons, key=_weight, reverse=True)[:MOST_PERSONS]


def _weight(person: Person) -> float:
    x0, y0, x1, y1 = person.box
    return person.score * (x1 - x0) * (y1 - y0)


def body_box(face: tuple[float, float, float, float], aspect: float) -> tuple[float, float, float, float]:
    """The body below a face; boxes in fractions of the picture, `aspect` is the picture's width over its height."""
    x0, y0, x1, y1 = face
    tall = y1 - y0
    middle, wide = (x0 + x1) / 2, ASIDE * tall / aspect
    return max(0.0, middle - wide), max(0.0, y0 - ABOVE * tall), min(1.0, middle + wide), min(1.0, y1 + BELOW * tall)
