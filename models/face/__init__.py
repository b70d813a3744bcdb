"""Faces: found (MTCNN), embedded (dlib), grouped into characters (cluster.py) and looked up again (bank.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.packaged import MODELS

Image = NDArray[np.uint8]  # RGB, height x width x 3


@dataclass(frozen=True)
class Face:
    """One face in one picture; all coordinates are fractions of the picture's width and height."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    score: float
    landmarks_52: NDArray[np.float32] | None = None  # left eye, right eye, nose, mouth corners (as seen)
    embedding: NDArray[np.float32] | None = None  # [128]


class FaceEmbedder(Protocol):
    """Finds faces and describes who they show."""

    name: str
    revision: str
    licence: str

    def faces(self, images: Sequence[Image]) -> list[list[Face]]:
        """All faces of each picture, largest first, with embeddings."""
        ...

    def embed(self, image: Image, faces: Sequence[Face]) -> list[Face]:
        """The same faces in the same order, with embeddings; for a caller whose detector has already found them."""
        ...


class MtcnnFinderConfig(BaseModel, frozen=True, extra="forbid"):
    """Which faces are searched for. Heights in pixels of the given picture; thresholds of the three networks."""

    smallest: int = Field(default=32, ge=12)
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.9)


class DlibConfig(BaseModel, frozen=True, extra="forbid"):
    """MTCNN finds, dlib's 5-point predictor aligns, dlib's ResNet embeds (distances of one person mostly below 0.5)."""

    kind: Literal["dlib"] = "dlib"
    finder: MtcnnFinderConfig = MtcnnFinderConfig()

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return f"{MODELS['mtcnn'].revision}, {MODELS['dlib-face'].revision}"


FaceConfig = Annotated[DlibConfig, Field(discriminator="kind")]


def build(config: DlibConfig) -> FaceEmbedder:
    """The face embedder that `config` describes."""
    match config:
        case DlibConfig():
            from models.face.dlib_resnet import DlibFaceEmbedder

            return DlibFaceEmbedder(config)
