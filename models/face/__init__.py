"""Faces: found (MTCNN), embedded (dlib, FaRL), judged (quality.py), grouped (cluster.py), looked up again (bank.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.checkpoint import CheckpointConfig, Origin
from models.packaged import MODELS

Image = NDArray[np.uint8]  # RGB, height x width x 3

MOST_FACES = 5  # of a frame (Appendix A)


@dataclass(frozen=True)
class Face:
    """One face in one picture; all coordinates are fractions of the picture's width and height."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    score: float
    landmarks_52: NDArray[np.float32] | None = None  # left eye, right eye, nose, mouth corners (as seen)
    embedding: NDArray[np.float32] | None = None  # as wide as the backend's config says


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
    """Which faces MTCNN searches for."""

    smallest: int = Field(32, ge=12, description="height of the smallest face in pixels")
    thresholds: tuple[float, float, float] = Field(
        (0.6, 0.7, 0.9), description="least confidence in each of the three networks"
    )


class QualityConfig(BaseModel, frozen=True, extra="forbid"):
    """Which faces enter the bank; the measures are quality.py's."""

    smallest: float = Field(32, ge=0, description="least height of a face's box in pixels")
    least_sharpness: float = Field(
        0.02, ge=0, description="least sharpness of a face; drawn faces have 0.05 to 0.16, blurred ones 0.006 to 0.018"
    )
    largest_turn: float = Field(
        0.6,
        ge=0,
        description="largest distance of the nose from the middle of the eyes, in distances of the eyes; a "
        "profile has 0.5 or more",
    )


class ClusteringConfig(BaseModel, frozen=True, extra="forbid"):
    """When two faces count as alike."""

    metric: Literal["euclidean", "cosine"] = Field(
        description="distance between embeddings; cosine: 1 minus the cosine"
    )
    threshold: float = Field(gt=0, description="distance below which two faces count as one person's")


class DlibConfig(BaseModel, frozen=True, extra="forbid"):
    """MTCNN finds, dlib's 5-point predictor aligns, dlib's ResNet embeds (distances of one person mostly below 0.5).

    With MTCNN's landmarks 0.5 kept apart what 0.55 joined (two actors in one kind of hat, a machine taken for a face)
    on three real films, and 0.46 tore single actors apart.
    """

    kind: Literal["dlib"] = "dlib"
    finder: MtcnnFinderConfig = Field(MtcnnFinderConfig(), description="which faces are searched for")
    quality: QualityConfig = Field(QualityConfig(), description="which faces enter the face bank")
    clustering: ClusteringConfig = Field(
        ClusteringConfig(metric="euclidean", threshold=0.5), description="when two faces show one person"
    )

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return f"{MODELS['mtcnn'].revision}, {MODELS['dlib-face'].revision}"

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return 128


class FarlConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """MTCNN finds and aligns, FaRL-B/16 embeds: the paper's face embedding.

    FaRL learnt faces and their captions, not identities; `clustering.threshold` is a start, to be chosen with
    benchmarks/face_purity.py.
    """

    origin: ClassVar[Origin] = Origin(
        name="FaRL-B/16",
        licence="MIT",
        fetch="FaRL-Base-Patch16-LAIONFace20M-ep64.pth as github.com/FacePerceiver/FaRL says",
        setting="face.source",
    )

    kind: Literal["farl"] = "farl"
    source: str = Field(
        "FaRL-Base-Patch16-LAIONFace20M-ep64.pth",
        description="FaRL's own .pth (a CLIP state dict), or a folder or hub id of transformers",
    )
    feature: Literal["projection", "pooled"] = Field(
        "projection",
        description="projection: CLIP's joint space (512 numbers); pooled: the class token before it (768 numbers)",
    )
    width: int = Field(512, ge=1, description="numbers of an embedding; checked against the checkpoint")
    batch: int = Field(32, ge=1, description="faces that run together")
    finder: MtcnnFinderConfig = Field(MtcnnFinderConfig(), description="which faces are searched for")
    quality: QualityConfig = Field(QualityConfig(), description="which faces enter the face bank")
    clustering: ClusteringConfig = Field(
        ClusteringConfig(metric="cosine", threshold=0.25), description="when two faces show one person"
    )

    @property
    def revision(self) -> str:
        """Of the finder's pinned weights and of the checkpoint."""
        return f"{MODELS['mtcnn'].revision}, {super().revision}"


FaceConfig = Annotated[DlibConfig | FarlConfig, Field(discriminator="kind")]


def build(config: DlibConfig | FarlConfig) -> FaceEmbedder:
    """The face embedder that `config` describes."""
    match config:
        case DlibConfig():
            from models.face.dlib_resnet import DlibFaceEmbedder

            return DlibFaceEmbedder(config)
        case FarlConfig():
            from models.face.farl import FarlFaceEmbedder

            return FarlFaceEmbedder(config)
