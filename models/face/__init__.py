"""Faces: detection (MTCNN), embedding (dlib, FaRL), quality (quality.py), clustering (cluster.py), bank (bank.py).

To add one, write a file with a class and a config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.face.cluster import ClusteringConfig
from models.face.dlib_resnet import DlibConfig, DlibFaceEmbedder
from models.face.face import Face, FaceEmbedder, Image, MtcnnFinderConfig
from models.face.farl import FarlConfig, FarlFaceEmbedder
from models.face.quality import QualityConfig

FaceConfig = Annotated[DlibConfig | FarlConfig, Field(discriminator="kind")]


def build(config: FaceConfig) -> FaceEmbedder:
    """The face embedder that `config` describes."""
    match config:
        case DlibConfig():
            return DlibFaceEmbedder(config)
        case FarlConfig():
            return FarlFaceEmbedder(config)


__all__ = [
    "ClusteringConfig",
    "DlibConfig",
    "Face",
    "FaceConfig",
    "FaceEmbedder",
    "FarlConfig",
    "Image",
    "MtcnnFinderConfig",
    "QualityConfig",
    "build",
]
