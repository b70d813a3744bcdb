"""Face embeddings by dlib: an aligned 150x150 chip, a ResNet, 128 numbers (Euclidean distance; CC0 weights).

MTCNN's five landmarks align better than dlib's own predictor on film stills (median distance between persons minus that
within a person: 0.21 against 0.19), so the predictor is used only for faces without landmarks.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from models.face.cluster import ClusteringConfig
from models.face.face import ConsentConfig, Face, Image, MtcnnFinderConfig
from models.face.quality import QualityConfig
from models.weights.packaged import MODELS, packaged

CHIP = 150  # pixels, as in the ResNet's training
PADDING = 0.25  # of the face's size on each side
MEAN_FACE_52 = np.array(  # eyes, nose tip, mouth corners in dlib's mean face, where 0 to 1 spans jaw and brows
    [[0.226, 0.216], [0.754, 0.216], [0.490, 0.516], [0.254, 0.780], [0.726, 0.780]], dtype=np.float32
)


class DlibConfig(BaseModel, frozen=True, extra="forbid"):
    """MTCNN detects, dlib's 5-point predictor aligns, dlib's ResNet embeds (a person's distances mostly below 0.5).

    On three real films with MTCNN's landmarks, a threshold of 0.55 joined different faces (two actors in the same kind
    of hat, a machine detected as a face), 0.46 split single actors, and 0.5 did neither.
    """

    kind: Literal["dlib"] = "dlib"
    finder: MtcnnFinderConfig = Field(MtcnnFinderConfig(), description="which faces are detected")
    quality: QualityConfig = Field(QualityConfig(), description="which faces enter the face bank")
    consent: ConsentConfig = Field(ConsentConfig(), description="whose faces may be used")
    clustering: ClusteringConfig = Field(
        ClusteringConfig(metric="euclidean", threshold=0.5), description="when two faces count as the same person's"
    )

    revision: ClassVar[str] = f"{MODELS['mtcnn'].revision}, {MODELS['dlib-face'].revision}"
    width: ClassVar[int] = 128


class DlibFaceEmbedder:
    """MTCNN detects, dlib embeds. Identity is decided by distance; cluster.py applies the threshold."""

    name = "dlib"

    def __init__(self, config: DlibConfig) -> None:
        import dlib

        from models.face.mtcnn import FaceFinder

        folder = packaged("dlib-face")
        self.revision = MODELS["dlib-face"].revision
        self.licence = MODELS["dlib-face"].licence
        self.finder = FaceFinder(config.finder)
        self._dlib = dlib
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._resnet = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def faces(self, images: Sequence[Image]) -> list[list[Face]]:
        """All faces of each picture, largest first, with embeddings [128]."""
        found = self.finder.find(images)
        return [self.embed(image, faces) for image, faces in zip(images, found, strict=True)]

    def embed(self, image: Image, faces: Sequence[Face]) -> list[Face]:
        """The same faces in the same order, with embeddings [128]; aligned by their landmarks if they have some."""
        if not faces:
            return []
        pixels = np.ascontiguousarray(image)
        chips = [self._chip(pixels, face) for face in faces]
        embeddings_N128 = np.asarray(self._resnet.compute_face_descriptor(chips), dtype=np.float32)
        return [replace(face, embedding=row_128) for face, row_128 in zip(faces, embeddings_N128, strict=True)]

    def _chip(self, pixels: Image, face: Face) -> Any:
        height, width = pixels.shape[:2]
        if face.landmarks_52 is None:
            x0, y0, x1, y1 = (round(v * size) for v, size in zip(face.box, [width, height] * 2, strict=True))
            shape = self._landmarks(pixels, self._dlib.rectangle(x0, y0, x1, y1))
            return self._dlib.get_face_chip(pixels, shape, size=CHIP, padding=PADDING)
        target_52 = (MEAN_FACE_52 + PADDING) / (1 + 2 * PADDING) * CHIP
        place = self._dlib.chip_details(
            self._points(target_52),
            self._points(face.landmarks_52 * np.array([width, height])),
            self._dlib.chip_dims(CHIP, CHIP),
        )
        return self._dlib.extract_image_chip(pixels, place)

    def _points(self, points_52: Any) -> Any:
        return self._dlib.dpoints([self._dlib.dpoint(float(x), float(y)) for x, y in points_52])
