"""Aligned crops of faces, by the similarity transform that maps landmarks to fixed positions.

Shapes: 5 landmarks of 2 numbers each (left eye, right eye, nose, mouth corners), H x W pixels.
"""

import numpy as np
from numpy.typing import NDArray

from models.face.face import Face, Image

IN_BOX_52 = np.array(  # positions of MTCNN's landmarks in its box, for faces without landmarks
    [[0.31, 0.40], [0.69, 0.40], [0.50, 0.58], [0.35, 0.77], [0.65, 0.77]], np.float32
)


def similarity(from_52: NDArray[np.float32], to_52: NDArray[np.float32]) -> NDArray[np.float64]:
    """[2, 3]: rotation, scale and shift that map points to others by least squares (no mirroring)."""
    from_mean_2, to_mean_2 = from_52.mean(0, dtype=np.float64), to_52.mean(0, dtype=np.float64)
    from_5, to_5 = (from_52 - from_mean_2) @ [1, 1j], (to_52 - to_mean_2) @ [1, 1j]
    spread = (np.abs(from_5) ** 2).sum()
    turn = (from_5.conj() * to_5).sum() / spread if spread > 0 else 1.0 + 0.0j
    matrix_22 = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate([matrix_22, (to_mean_2 - matrix_22 @ from_mean_2)[:, None]], axis=1)


def landmarks(face: Face) -> NDArray[np.float32]:
    """[5, 2] in fractions of the picture: detected ones, or those of an upright face in its box."""
    if face.landmarks_52 is not None:
        return face.landmarks_52
    low, high = np.array(face.box[:2], np.float32), np.array(face.box[2:], np.float32)
    placed_52: NDArray[np.float32] = low + IN_BOX_52 * (high - low)
    return placed_52


def aligned(image: Image, face: Face, places_52: NDArray[np.float32], side: int) -> Image:
    """RGB uint8 [side, side, 3] with the landmarks at `places_52` (fractions); black beyond the picture's border.

    A face much larger than the crop is first reduced by an integer factor, to avoid aliasing.
    """
    from PIL import Image as Pillow

    height, width = image.shape[:2]
    points_52 = landmarks(face) * np.array([width, height], np.float32)
    there_23 = similarity(points_52, places_52 * np.float32(side))
    shrink = max(1, int(1 / max(np.hypot(*there_23[:, 0]), 1e-6)))
    picture = Pillow.fromarray(image).reduce(min(shrink, height, width))
    scale = np.array([picture.width / width, picture.height / height], np.float32)
    back_23 = similarity(places_52 * np.float32(side), points_52 * scale)
    chip = picture.transform((side, side), Pillow.Transform.AFFINE, back_23.ravel().tolist(), Pillow.Resampling.BICUBIC)
    return np.asarray(chip)
