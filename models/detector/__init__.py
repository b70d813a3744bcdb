"""People in a picture: who stands where. The paper keeps at most five a frame (Appendix C)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import BaseModel, Field

from models.checkpoint import CheckpointConfig, Origin, identity
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
        """The people of each picture: at most five, the weightiest first; each backend says how it weighs them."""
        ...


class MtcnnConfig(BaseModel, frozen=True, extra="forbid"):
    """Face first: MTCNN finds faces, human proportions give the body; someone seen from behind is missed."""

    kind: Literal["mtcnn"] = "mtcnn"
    finder: MtcnnFinderConfig = Field(MtcnnFinderConfig(), description="which faces are searched for")

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["mtcnn"].revision


class GroundingDinoConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """GroundingDINO of transformers; the paper's detector."""

    origin: ClassVar[Origin] = Origin(
        name="GroundingDINO",
        licence="Apache-2.0",
        fetch="the folder IDEA-Research/grounding-dino-base (or -tiny) from the Hugging Face hub",
        setting="detector.source",
    )

    kind: Literal["grounding_dino"] = "grounding_dino"
    source: str = Field("IDEA-Research/grounding-dino-base", description="checkpoint: a file, a folder or a hub id")
    threshold: float = Field(0.35, ge=0, lt=1, description="least confidence of a box; the authors' demo uses 0.35")
    overlap: float = Field(
        0.8, gt=0, le=1, description="intersection over union from which on the less confident of two boxes is dropped"
    )
    batch: int = Field(4, ge=1, description="pictures that run together")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="number format of weights and arithmetic"
    )


class GroundingDinoPyConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """GroundingDINO of its authors' package groundingdino-py 0.4.0, with their checkpoint file."""

    origin: ClassVar[Origin] = Origin(
        name="GroundingDINO's original checkpoint",
        licence="Apache-2.0",
        fetch="groundingdino_swint_ogc.pth from the releases of github.com/IDEA-Research/GroundingDINO",
        setting="detector.source",
    )
    words: ClassVar[Origin] = Origin(
        name="the tokenizer and config of GroundingDINO's BERT",
        licence="Apache-2.0",
        fetch="config.json and the tokenizer's files of google-bert/bert-base-uncased from the Hugging Face hub",
        setting="detector.text_encoder",
    )
    not_identity: ClassVar[tuple[str, ...]] = ("source", "hub_revision", "batch", "architecture", "text_encoder")

    kind: Literal["groundingdino_py"] = "groundingdino_py"
    source: str = Field("groundingdino_swint_ogc.pth", description="checkpoint file of groundingdino-py")
    architecture: str = Field(
        "GroundingDINO_SwinT_OGC.py",
        description="config file: a name in the package or a path; it is Python code, and is run",
    )
    text_encoder: str = Field(
        "google-bert/bert-base-uncased",
        description="folder or hub id of BERT's config and tokenizer; its weights are in the checkpoint file",
    )
    threshold: float = Field(0.35, ge=0, lt=1, description="least confidence of a box")
    overlap: float = Field(
        0.8, gt=0, le=1, description="intersection over union from which on the less confident of two boxes is dropped"
    )
    batch: int = Field(4, ge=1, description="pictures that run together")

    @property
    def revision(self) -> str:
        """Of the file; with it counts what reads it."""
        words = identity(self.words, self.text_encoder, self.hub_revision)
        return f"{super().revision}, groundingdino-py 0.4.0 {self.architecture.rsplit('/', 1)[-1]}, {words}"


DetectorConfig = Annotated[MtcnnConfig | GroundingDinoConfig | GroundingDinoPyConfig, Field(discriminator="kind")]


def build(config: MtcnnConfig | GroundingDinoConfig | GroundingDinoPyConfig) -> PersonDetector:
    """The person detector that `config` describes."""
    match config:
        case MtcnnConfig():
            from models.detector.mtcnn import MtcnnDetector

            return MtcnnDetector(config)
        case GroundingDinoConfig():
            from models.detector.grounding_dino import GroundingDino

            return GroundingDino(config)
        case GroundingDinoPyConfig():
            from models.detector.groundingdino_py import GroundingDinoPy

            return GroundingDinoPy(config)
