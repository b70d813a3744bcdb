"""The interface of person detectors: from pictures to people and their positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.face import Face, Image

MOST_PERSONS = 5  # per frame (Appendix C)


@dataclass(frozen=True)
class Person:
    """One person; the box is x0, y0, x1, y1 as fractions of the picture; `face` is None if none is detected."""

    box: tuple[float, float, float, float]
    score: float
    face: Face | None = None


class PersonDetector(Protocol):
    """Finds people."""

    name: str
    revision: str
    licence: str

    def detect(self, images: Sequence[Image]) -> list[list[Person]]:
        """The people of each picture, at most five, in the order that the backend defines."""
        ...
