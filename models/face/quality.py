"""Selects faces for the bank: large, sharp and frontal ones, at most the five largest of a frame.

A rejected face keeps its row, with a reason, which is counted. Shapes: as in crop.py.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from models.face.crop import aligned
from models.face.face import MOST_FACES, Face, Image

GOOD = ""
SIDE = 64  # side in pixels of the crop on which sharpness is measured
PLACES_52 = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.58], [0.34, 0.8], [0.66, 0.8]], np.float32)


class QualityConfig(BaseModel, frozen=True, extra="forbid"):
    """Which faces enter the bank; the functions below define the measures."""

    smallest: float = Field(32, ge=0, description="smallest height of a face's box in pixels")
    least_sharpness: float = Field(
        0.02, ge=0, description="smallest sharpness; drawn faces have 0.05 to 0.16, blurred ones 0.006 to 0.018"
    )
    largest_turn: float = Field(
        0.6,
        ge=0,
        description="largest distance of the nose from the middle of the eyes, in distances of the eyes; a "
        "profile has 0.5 or more",
    )


def reasons(image: Image, faces: Sequence[Face], config: QualityConfig) -> list[str]:
    """For each face "" or the reason for its rejection; `faces` are sorted, largest first."""
    found = [_reason(image, face, config) for face in faces]
    good = [place for place, reason in enumerate(found) if reason == GOOD]
    for place in good[MOST_FACES:]:
        found[place] = "beyond_five"
    return found


def _reason(image: Image, face: Face, config: QualityConfig) -> str:
    if (face.box[3] - face.box[1]) * image.shape[0] < config.smallest:
        return "small"
    if sharpness(image, face) < config.least_sharpness:
        return "blurred"
    if turn(face, image.shape[1] / image.shape[0]) > config.largest_turn:
        return "turned"
    return GOOD


def sharpness(image: Image, face: Face) -> float:
    """Mean absolute Laplacian of the aligned face's luma over its contrast, about 0 for a blur and 1 for noise."""
    luma_HW = aligned(image, face, PLACES_52, SIDE).astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    inner_HW = luma_HW[1:-1, 1:-1]
    beside_HW = luma_HW[:-2, 1:-1] + luma_HW[2:, 1:-1] + luma_HW[1:-1, :-2] + luma_HW[1:-1, 2:]
    return float(np.abs(beside_HW / 4 - inner_HW).mean() / max(float(luma_HW.std()), 8.0))


def turn(face: Face, aspect: float) -> float:
    """Offset of the nose from the middle of the eyes, along the line through them, in distances of the eyes.

    0 from the front, about 0.5 in half profile; 0 for a face without landmarks. `aspect`: width over height.
    """
    if face.landmarks_52 is None:
        return 0.0
    left_2, right_2, nose_2 = face.landmarks_52[:3] * np.array([aspect, 1.0])
    across_2 = right_2 - left_2
    return float(abs((nose_2 - (left_2 + right_2) / 2) @ across_2) / max(float(across_2 @ across_2), 1e-12))
