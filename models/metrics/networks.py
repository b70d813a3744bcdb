"""Networks that embed keyframes or the sound of videos, with their settings.

Shapes: N keyframes, E numbers of an embedding.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from models import face, vision
from models.captioner.colours import NAMES, main_colour, nearest, to_lab
from models.face import DlibConfig, Face, FaceEmbedder, FarlConfig
from models.metrics import identity, squares
from models.metrics.aesthetic import AestheticConfig
from models.metrics.clip import ClipMetricConfig, Image, JointSpace
from models.metrics.identity import IdentityConfig
from models.metrics.inception import Inception, InceptionConfig
from models.metrics.speech import SpeechConfig
from models.metrics.style import StyleConfig, StyleTower
from models.vision import ClipConfig, EfficientNetLite0Config
from models.weights.checkpoint import CheckpointConfig, Origin

Module = Literal["clip", "inception", "style", "vision", "faces", "identity", "sound", "speech", "camera"]
MODULES: tuple[Module, ...] = get_args(Module)
"""Networks for pictures, and modules for whole videos."""

OF_VIDEOS: tuple[Module, ...] = ("sound", "speech", "camera")
"""Modules for whole videos: sound, speech and camera motion."""

PLAIN: tuple[Module, ...] = ("clip", "inception", "style", "vision", "sound")
"""Modules whose metrics need no story."""

Vectors = Mapping[str, NDArray[np.float32]]
Encoder = Callable[[Sequence[Image], Sequence[str]], Vectors]
"""Pictures, RGB [H, W, 3], and their plots, "" where there is none -> arrays with a row for each picture or plot."""

HELD = 1000
"""Pictures whose features are held at once, and resampled."""


class SoundMetricsConfig(BaseModel, frozen=True, extra="forbid"):
    """Metrics of sound."""

    revision: ClassVar[str] = "1"

    loudness: float = Field(-16.0, description="target of the integrated loudness in LUFS")


class CameraMetricsConfig(BaseModel, frozen=True, extra="forbid"):
    """Estimation of camera moves, if stories are given."""

    revision: ClassVar[str] = "1"


class FarlFacesConfig(FarlConfig, frozen=True, extra="forbid"):
    """FaRL for metrics of characters."""

    origin: ClassVar[Origin] = FarlConfig.origin._replace(setting="evaluate.metrics.faces.source")


class ClipStandInConfig(ClipConfig, frozen=True, extra="forbid"):
    """CLIP as the encoder of stand-ins."""

    origin: ClassVar[Origin] = ClipConfig.origin._replace(setting="evaluate.metrics.vision.source")


FacesConfig = Annotated[DlibConfig | FarlFacesConfig, Field(discriminator="kind")]
StandInConfig = Annotated[EfficientNetLite0Config | ClipStandInConfig, Field(discriminator="kind")]


class KeyframeMetricsConfig(BaseModel, frozen=True, extra="forbid"):
    """The networks of the metrics. A metric whose weights are missing has no value, but a reason."""

    clip: ClipMetricConfig = Field(ClipMetricConfig(), description="of CLIP score, CLIP-sim, aesthetic score and drift")
    aesthetic: AestheticConfig = Field(AestheticConfig(), description="of the aesthetic score")
    inception: InceptionConfig = Field(InceptionConfig(), description="of FID and Inception Score")
    style: StyleConfig = Field(StyleConfig(), description="of CSD")
    vision: StandInConfig = Field(
        EfficientNetLite0Config(), description="image encoder of the stand-ins, which have its name in theirs"
    )
    faces: FacesConfig = Field(
        DlibConfig(), description="face detector and embedder for metrics of characters, if stories are given"
    )
    identity: tuple[IdentityConfig, ...] = Field(
        (),
        description="further embedders of the faces that `faces` detects, for CIDS and copy-paste: these take the mean "
        "cosine over `faces` and all of them",
    )
    sound: SoundMetricsConfig = Field(SoundMetricsConfig(), description="of videos' sound")
    speech: SpeechConfig = Field(SpeechConfig(), description="recogniser of narration, if stories are given")
    camera: CameraMetricsConfig = Field(
        CameraMetricsConfig(), description="of videos' camera moves, if stories are given"
    )
    splits: int = Field(10, ge=1, description="parts over which the Inception Score is averaged")
    resamples: int = Field(
        100, ge=0, description=f"of the intervals of FID and Inception Score, up to {HELD} pictures; 0: none"
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        embedders = (self.faces, *self.identity)
        every = [(one.kind, getattr(one, "source", ""), getattr(one, "feature", "")) for one in embedders]
        if twice := [key for place, key in enumerate(every) if key in every[:place]]:
            raise ValueError(f"identity: {' '.join(filter(None, twice[0]))!r} is there twice, `faces` counts too")
        return self

    def networks(self, module: Module) -> "tuple[Network, ...]":
        """The configs of a module's networks, none if it has nothing to do."""
        if module == "identity":
            return (self.faces, *self.identity) if self.identity else ()
        return (getattr(self, module),)

    def of_pictures(self, module: Module) -> str:
        """Name of the array of a module that has one row per picture."""
        names = {"clip": "pictures", "inception": "2048", "style": "style", "faces": "counts", "identity": "counts"}
        return names.get(module, self.vision.kind)


Network = CheckpointConfig | StandInConfig | FacesConfig | IdentityConfig | SoundMetricsConfig | CameraMetricsConfig


def encoder(config: KeyframeMetricsConfig, module: Module) -> Encoder:
    """A network with its weights.

    Raises:
        CheckpointError: saying what to fetch and where to put it.
    """
    match module:
        case "clip":
            space = JointSpace(config.clip)
            return lambda images, plots: {"pictures": space.embed(images), "plots": space.read(plots)}
        case "inception":
            network = Inception(config.inception)
            return lambda images, plots: {str(layer): rows for layer, rows in network.embed(images).items()}
        case "style":
            tower = StyleTower(config.style)
            return lambda images, plots: {"style": tower.embed(images)}
        case "vision":
            seeing = vision.build(config.vision)
            return lambda images, plots: {config.vision.kind: squares.vectors(seeing, images)}
        case "faces":
            return partial(_faces, config.faces.width, face.build(config.faces))
        case "identity":
            return partial(_identities, face.build(config.faces), [identity.build(one) for one in config.identity])
        case "sound" | "speech" | "camera":
            raise AssertionError(f"{module} takes videos, not pictures")


def _faces(width: int, embedder: FaceEmbedder, images: Sequence[Image], plots: Sequence[str]) -> Vectors:
    """For each picture its number of faces; for each face its box, its vector, and the colour of the clothes below."""
    known = _known(embedder, images)
    every = [(image, one) for image, faces in zip(images, known, strict=True) for one in faces]
    vectors = [one.embedding for _, one in every if one.embedding is not None]
    return {
        "counts": np.array([len(faces) for faces in known], np.float32),
        "boxes": np.array([one.box for _, one in every], np.float32).reshape(-1, 4),
        "clothes": np.array([_clothes(image, one.box) for image, one in every], np.float32),
        "faces": np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, width), np.float32),
    }


def _identities(
    embedder: FaceEmbedder, others: Sequence[identity.Embed], images: Sequence[Image], plots: Sequence[str]
) -> Vectors:
    """For each picture its number of faces; for each face, in the order of `_faces`, the vectors of other embedders."""
    known = _known(embedder, images)
    found = {"counts": np.array([len(faces) for faces in known], np.float32)}
    for place, embed in enumerate(others):
        found[str(place)] = np.concatenate([embed(image, faces) for image, faces in zip(images, known, strict=True)])
    return found


def _known(embedder: FaceEmbedder, images: Sequence[Image]) -> list[list[Face]]:
    return [[one for one in faces if one.embedding is not None] for faces in embedder.faces(images)]


def _clothes(image: Image, box: tuple[float, float, float, float]) -> int:
    """Index of the most frequent colour one face height below a face, -1 if that is outside the picture."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box
    tall = y1 - y0
    rows = slice(round(min(y1 + tall / 2, 1) * height), round(min(y1 + 1.5 * tall, 1) * height))
    columns = slice(round(max(x0, 0) * width), round(min(x1, 1) * width))
    below = image[rows, columns]
    if below.shape[0] < 4 or below.shape[1] < 4:
        return -1
    return NAMES.index(main_colour(nearest(to_lab(below.astype(np.float32)))))
