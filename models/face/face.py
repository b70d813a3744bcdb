"""The interface of face embedders: from pictures to faces and identity vectors."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

Image = NDArray[np.uint8]  # RGB, height x width x 3

MOST_FACES = 5  # per frame (Appendix A)


@dataclass(frozen=True)
class Face:
    """One face in one picture; all coordinates are fractions of the picture's width and height."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    score: float
    landmarks_52: NDArray[np.float32] | None = None  # left eye, right eye, nose, mouth corners (as seen)
    embedding: NDArray[np.float32] | None = None  # as wide as the backend's config says


class FaceEmbedder(Protocol):
    """Detects faces and embeds their identity."""

    name: str
    revision: str
    licence: str

    def faces(self, images: Sequence[Image]) -> list[list[Face]]:
        """All faces of each picture, largest first, with embeddings."""
        ...

    def embed(self, image: Image, faces: Sequence[Face]) -> list[Face]:
        """The same faces in the same order, with embeddings; for faces that are already detected."""
        ...


class MtcnnFinderConfig(BaseModel, frozen=True, extra="forbid"):
    """Which faces MTCNN detects."""

    smallest: int = Field(32, ge=12, description="height of the smallest face in pixels")
    thresholds: tuple[float, float, float] = Field(
        (0.6, 0.7, 0.9), description="smallest confidence in each of the three networks"
    )


class ConsentConfig(BaseModel, frozen=True, extra="forbid"):
    """Whose faces may be used: if pictures of consenting people are given, no other face is used."""

    not_identity: ClassVar[tuple[str, ...]] = ("folder",)

    folder: str = Field(
        "", description="folder with pictures, one face in each, of the people whose faces may be used; empty: all may"
    )

    @property
    def pictures(self) -> list[Path]:
        """The files in the folder, sorted, without hidden ones."""
        if not self.folder:
            return []
        return sorted(path for path in Path(self.folder).iterdir() if path.is_file() and path.name[0] != ".")

    @property
    def revision(self) -> str:
        """Hash of the pictures, independent of their paths; part of every fingerprint of this config."""
        if not self.folder:
            return ""
        digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in self.pictures)
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
