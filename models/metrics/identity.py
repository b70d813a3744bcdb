"""Further embedders of detected faces, so that CIDS doesn't depend on a single one.

Shapes: F faces, C numbers of an embedding.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models import face, vision
from models.face import DlibConfig, Face, FarlConfig
from models.metrics import squares
from models.metrics.clip import Image
from models.vision import ClipConfig, EfficientNetLite0Config
from models.weights.checkpoint import Origin

_SETTING = "the source of its entry in evaluate.metrics.identity"
_AROUND = 2.0  # side of the square that an image encoder sees, in sides of the face's box: with hair and shoulders


class FarlIdentityConfig(FarlConfig, frozen=True, extra="forbid"):
    """FaRL as one of several embedders."""

    origin: ClassVar[Origin] = FarlConfig.origin._replace(setting=_SETTING)


class ClipIdentityConfig(ClipConfig, frozen=True, extra="forbid"):
    """CLIP as one of several embedders: ViStoryBench's for drawings."""

    origin: ClassVar[Origin] = ClipConfig.origin._replace(setting=_SETTING)


IdentityConfig = Annotated[
    DlibConfig | FarlIdentityConfig | EfficientNetLite0Config | ClipIdentityConfig, Field(discriminator="kind")
]

Embed = Callable[[Image, Sequence[Face]], NDArray[np.float32]]
"""A picture and its detected faces -> vectors [F, C]."""


def build(config: IdentityConfig) -> Embed:
    """The embedder of `config`; image encoders see the square around a face.

    Raises:
        CheckpointError: saying what to fetch and where to put it.
    """
    match config:
        case DlibConfig() | FarlConfig():
            embedder = face.build(config)
            return lambda image, faces: _vectors([one.embedding for one in embedder.embed(image, faces)], config.width)
        case EfficientNetLite0Config() | ClipConfig():
            network = vision.build(config)
            return lambda image, faces: squares.vectors(network, [around(image, one.box) for one in faces])


def around(image: Image, box: tuple[float, float, float, float]) -> Image:
    """The part of a picture around a face's box, which is in fractions of the picture."""
    height, width = image.shape[:2]
    x, y = (box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height
    half = _AROUND / 2 * max((box[2] - box[0]) * width, (box[3] - box[1]) * height, 1.0)
    rows = slice(round(max(y - half, 0)), max(round(y + half), 1))
    return image[rows, round(max(x - half, 0)) : max(round(x + half), 1)]


def _vectors(rows: Sequence[NDArray[np.float32] | None], width: int) -> NDArray[np.float32]:
    known = [row_C for row_C in rows if row_C is not None]
    return np.stack(known).astype(np.float32) if known else np.zeros((0, width), np.float32)
