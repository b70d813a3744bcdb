"""Shared by both GroundingDINO backends: the prompt, preprocessing of pictures, and selection of boxes.

Shapes: B pictures of one size, H x W pixels as given, h x w as the model sees them, Q queries, T text tokens.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from models.detector.detector import MOST_PERSONS, Person
from models.face import Image

if TYPE_CHECKING:
    from torch import Tensor

PROMPT = "person."  # the paper's "Person" in the model's format: lower case, with a full stop
SHORTER, LONGER = 800, 1333  # maximum sides of the model's input in pixels
MEAN_3 = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION_3 = np.array([0.229, 0.224, 0.225], np.float32)

Look = Callable[["Tensor"], "tuple[Tensor, Tensor]"]
"""pixels_B3hw -> (logits_BQT, boxes_BQ4 as centre x, centre y, width, height in 0-1)."""


def detect(look: Look, images: Sequence[Image], batch: int, threshold: float, overlap: float) -> list[list[Person]]:
    """The people of each picture: at most five, the most confident first (Appendix C).

    Only pictures of one size are batched, so that none is padded and no result depends on the rest of the batch.
    """
    import torch

    found: list[list[Person]] = []
    for _, same in groupby(images, key=lambda image: image.shape):
        group = list(same)
        for start in range(0, len(group), batch):
            pixels_B3hw = torch.stack([prepare(image) for image in group[start : start + batch]])
            with torch.inference_mode():
                logits_BQT, boxes_BQ4 = look(pixels_B3hw)
            pairs = zip(logits_BQT.float().cpu(), boxes_BQ4.float().cpu(), strict=True)
            found += [persons(logits_QT, boxes_Q4, threshold, overlap) for logits_QT, boxes_Q4 in pairs]
    return found


def prepare(image: Image) -> "Tensor":
    """RGB uint8 [H, W, 3] -> normalised [3, h, w]; raises ValueError for other arrays."""
    import torch
    from PIL import Image as Pillow

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an RGB picture is uint8 [height, width, 3], got {image.dtype} {list(image.shape)}")
    height, width = seen_size(*image.shape[:2])
    resized = np.asarray(Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BILINEAR), np.float32)
    pixels_HW3 = (resized / 255 - MEAN_3) / DEVIATION_3
    return torch.from_numpy(pixels_HW3.transpose(2, 0, 1).copy())


def seen_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the model's input: the shorter side is `SHORTER`, unless the longer would exceed `LONGER`."""
    scale = min(SHORTER / min(height, width), LONGER / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def persons(logits_QT: "Tensor", boxes_Q4: "Tensor", threshold: float, overlap: float) -> list[Person]:
    """A query's score is that of its best token; of two boxes that overlap more than `overlap`, the better is kept."""
    from torchvision.ops import box_convert, nms

    scores_Q = logits_QT.sigmoid().amax(-1)
    sure = scores_Q > threshold
    scores_N, boxes_N4 = scores_Q[sure], box_convert(boxes_Q4[sure], "cxcywh", "xyxy").clamp(0, 1)
    kept = nms(boxes_N4, scores_N, overlap)[:MOST_PERSONS].tolist()
    return [Person(tuple(boxes_N4[i].tolist()), float(scores_N[i])) for i in kept]
