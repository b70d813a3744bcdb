"""Face embeddings by FaRL-B/16 (Zheng et al. 2022): CLIP's image tower, trained on faces and their captions.

The crop is that of the authors' attribute model for 224 pixels: the eyes are a sixth of the side apart, so that it
includes hair and chin. Shapes: N faces, C numbers of an embedding.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.device import device
from models.face.cluster import ClusteringConfig
from models.face.crop import aligned
from models.face.face import ConsentConfig, Face, Image, MtcnnFinderConfig
from models.face.quality import QualityConfig
from models.weights import checkpoint
from models.weights.checkpoint import CheckpointConfig, Origin
from models.weights.clip_layout import DEVIATION, MEAN, is_file, load_vision, saved_width
from models.weights.packaged import MODELS

if TYPE_CHECKING:
    from torch import Tensor

PLACES_52 = np.array(  # eyes, nose, mouth corners in fractions of the crop
    [[0.416, 0.476], [0.582, 0.473], [0.511, 0.578], [0.437, 0.653], [0.591, 0.651]], np.float32
)


class FarlConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """MTCNN detects and aligns, FaRL-B/16 embeds: the paper's face embedding.

    FaRL was trained on faces and their captions, not on identities. Choose `clustering.threshold` with
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
    width: int = Field(512, ge=1, description="numbers of an embedding; read from the checkpoint if it is available")
    batch: int = Field(32, ge=1, description="faces per batch")
    finder: MtcnnFinderConfig = Field(MtcnnFinderConfig(), description="which faces are detected")
    quality: QualityConfig = Field(QualityConfig(), description="which faces enter the face bank")
    consent: ConsentConfig = Field(ConsentConfig(), description="whose faces may be used")
    clustering: ClusteringConfig = Field(
        ClusteringConfig(metric="cosine", threshold=0.25), description="when two faces count as the same person's"
    )

    @property
    def revision(self) -> str:
        """Revision of the detector's pinned weights and of the checkpoint."""
        return f"{MODELS['mtcnn'].revision}, {super().revision}"

    def checkpoint_width(self) -> int | None:
        """Width of the checkpoint's embeddings, None if it isn't on this machine."""
        if self.feature == "projection":
            return saved_width(self.origin, self.source, "projection_dim", "visual.proj", axis=1)
        return saved_width(self.origin, self.source, "hidden_size", "visual.conv1.weight", axis=0)


class FarlFaceEmbedder:
    """MTCNN detects and aligns, FaRL embeds; vectors have unit length for cosine distances."""

    name = "farl"

    def __init__(self, config: FarlConfig) -> None:
        from models.face.mtcnn import FaceFinder

        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self.finder = FaceFinder(config.finder)
        self.device = device()
        self.tower = network(config).to(self.device)
        sizes = self.tower.config
        width = sizes.projection_dim if config.feature == "projection" else sizes.hidden_size
        if width != config.width:
            why = f"its {config.feature} feature has {width} numbers, face.width is {config.width}"
            raise checkpoint.missing(config.origin, config.source, why)
        self._side = sizes.image_size

    def faces(self, images: Sequence[Image]) -> list[list[Face]]:
        """All faces of each picture, largest first, with embeddings [C]."""
        found = self.finder.find(images)
        chips = [self._chip(image, face) for image, faces in zip(images, found, strict=True) for face in faces]
        vectors = iter(self._embed(chips))
        return [[replace(face, embedding=next(vectors)) for face in faces] for faces in found]

    def embed(self, image: Image, faces: Sequence[Face]) -> list[Face]:
        """The same faces in the same order, with embeddings [C]; aligned by their landmarks if they have some."""
        vectors_NC = self._embed([self._chip(image, face) for face in faces])
        return [replace(face, embedding=row_C) for face, row_C in zip(faces, vectors_NC, strict=True)]

    def _chip(self, image: Image, face: Face) -> Image:
        return aligned(image, face, PLACES_52, self._side)

    def _embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        import torch

        made = [np.zeros((0, self.config.width), np.float32)]
        for start in range(0, len(chips), self.config.batch):
            pixels_NHW3 = np.stack(chips[start : start + self.config.batch]).astype(np.float32) / 255
            pixels_NHW3 = (pixels_NHW3 - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
            pixels_N3HW = torch.from_numpy(pixels_NHW3.transpose(0, 3, 1, 2).copy()).to(self.device)
            with torch.inference_mode():
                feature_NC = self._feature(self.tower(pixel_values=pixels_N3HW))
            made.append(torch.nn.functional.normalize(feature_NC, dim=-1).cpu().numpy())
        return np.concatenate(made)

    def _feature(self, seen: Any) -> "Tensor":
        if self.config.feature == "projection":
            vectors_NC: Tensor = seen.image_embeds
            return vectors_NC
        pooled_NC: Tensor = seen.pooler_output
        return pooled_NC


def network(config: FarlConfig) -> Any:
    """FaRL's image tower; raises CheckpointError if it is missing or of another kind."""
    if config.feature == "projection":
        return load_vision(config.origin, config.source, config.hub_revision)
    if is_file(config.source):
        return load_vision(config.origin, config.source, config.hub_revision).vision_model
    from transformers import CLIPVisionModel

    return checkpoint.pretrained(config.origin, CLIPVisionModel, config.source, config.hub_revision)
