"""The quality gate: a keyframe below a threshold is drawn again, and the best try is kept.

Drawing stops early if it doesn't help: if only the cast's faces are wrong and a try was not more similar to them.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models import face
from models.face import FaceConfig, FaceEmbedder
from storage.decoding.pictures import Pixels


class GateConfig(BaseModel, frozen=True, extra="forbid"):
    """When a keyframe is drawn again, with another seed."""

    tries: int = Field(3, ge=1, description="maximum number of tries per keyframe; the best is kept")
    light: float = Field(8.0, ge=0, description="smallest mean grey level, 0 to 255: no black frames")
    spread: float = Field(6.0, ge=0, description="smallest standard deviation of the grey levels: no flat frames")
    sharpness: float = Field(
        3.0, ge=0, description="smallest variance of the Laplacian of the grey levels: no blurred frames"
    )
    faces: bool = Field(True, description="check that members of the cast with photographs are recognised")
    same_face: float = Field(
        0.6,
        gt=0,
        description="largest Euclidean distance between two faces of one person: 0.55 to 0.6 for dlib, 0.7 for FaRL",
    )
    people: bool = Field(False, description="check that the picture has as many faces as the shot names people")

    @property
    def revision(self) -> str:
        """Version of the rule that decides whether a keyframe is drawn again, see `again`."""
        return "2"


class Look(BaseModel, frozen=True, extra="forbid"):
    """The measurements of one try.

    Attributes:
        faces: for each member of the cast with photographs, the distance of the nearest face; null if there is none.
        strangers: number of the cast's faces that are not recognised.
        people: number of faces; null if it was not measured.
        faults: messages about violated thresholds.
    """

    light: float
    spread: float
    sharpness: float
    faces: tuple[float | None, ...] = ()
    strangers: int = 0
    people: int | None = None
    faults: tuple[str, ...] = ()

    @property
    def unlike(self) -> float:
        """Sum of the distances of the cast's faces; smaller is better."""
        return sum(2.0 if distance is None else distance for distance in self.faces)

    @property
    def rank(self) -> tuple[float, ...]:
        """Smaller is better."""
        return len(self.faults), self.unlike, -self.sharpness


class Judgement(BaseModel, frozen=True, extra="forbid"):
    """All tries of a keyframe; `kept` counts from 1."""

    kept: int
    tries: tuple[Look, ...]

    @classmethod
    def of(cls, tries: Sequence[Look]) -> "Judgement":
        """Keeps the best try, the first of equal ones."""
        return cls(kept=min(range(len(tries)), key=lambda place: tries[place].rank) + 1, tries=tuple(tries))


def again(tries: Sequence[Look]) -> bool:
    """Whether drawing a keyframe again may help.

    Args:
        tries: at least one, in order.
    """
    *before, last = tries
    if last.strangers and len(last.faults) == 1:
        return last.unlike < min((one.unlike for one in before), default=math.inf)
    return bool(last.faults)


class Gate:
    """Judges keyframes; detects faces only if the config asks for it."""

    def __init__(self, config: GateConfig, embedder: FaceConfig) -> None:
        self.config, self._config = config, embedder
        self._embedder: FaceEmbedder | None = None

    def look(self, picture: Pixels, cast_FG: NDArray[np.float32], people: int) -> Look:
        """Measures a picture.

        Args:
            cast_FG: embeddings of the expected faces.
            people: expected number of people.
        """
        import cv2

        config = self.config
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        light, spread = float(grey.mean()), float(grey.std())
        sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
        cast_FG = cast_FG if config.faces else cast_FG[:0]
        seen: list[NDArray[np.float32]] | None = None
        if config.people or len(cast_FG):
            seen = self._faces(picture)
        faces = tuple(_nearest(one_G, seen or []) for one_G in cast_FG)
        faults = [
            f"{what} {value:.1f} is below {least:g}"
            for what, value, least in (
                ("light", light, config.light),
                ("spread", spread, config.spread),
                ("sharpness", sharpness, config.sharpness),
            )
            if value < least
        ]
        if strangers := sum(distance is None or distance > config.same_face for distance in faces):
            faults.append(f"{strangers} of {len(faces)} faces of the cast are not recognised")
        if config.people and seen is not None and len(seen) != people:
            faults.append(f"{len(seen)} faces are seen, the shot names {people} people")
        rounded = tuple(None if distance is None else round(distance, 3) for distance in faces)
        return Look(
            light=round(light, 1),
            spread=round(spread, 1),
            sharpness=round(sharpness, 1),
            faces=rounded,
            strangers=strangers,
            people=None if seen is None else len(seen),
            faults=tuple(faults),
        )

    def _faces(self, picture: Pixels) -> list[NDArray[np.float32]]:
        self._embedder = self._embedder or face.build(self._config)
        found = self._embedder.faces([picture])[0]
        return [one.embedding for one in found if one.embedding is not None]


def _nearest(one_G: NDArray[np.float32], others: Sequence[NDArray[np.float32]]) -> float | None:
    return min((float(np.linalg.norm(one_G - other_G)) for other_G in others), default=None)
