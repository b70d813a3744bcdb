"""What is seen of pictures when they are compared: their pixels in small, image-encoder features, faces.

Shapes: T keyframes, P pixels times colours, E numbers of an embedding, F faces of D numbers.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.upscaler import lanczos
from storage.decoding.pictures import decode
from storage.tables.schemas import film_of
from tasks.figures.retrieval import Bytes, Floats

if TYPE_CHECKING:
    from models.face import FaceEmbedder
    from models.vision.encoder import ImageEncoder


def sample_names(row_ids: Sequence[str]) -> list[str]:
    """What keyframes are called among the samples of a report: "film/keyframe"."""
    return [f"{film_of(row_id)}/{row_id}" for row_id in row_ids]


@dataclass(frozen=True)
class Looks:
    """Keyframes in one version: small pixels [T, P] uint8, embeddings [T, E] by the image encoder, faces [F, D]."""

    row_ids: tuple[str, ...]
    pixels: Bytes
    embeddings: Floats
    faces: Sequence[Floats]

    def at(self, row_ids: Sequence[str]) -> "Looks":
        """The same of some of them."""
        places = {row_id: t for t, row_id in enumerate(self.row_ids)}
        chosen = [places[row_id] for row_id in row_ids]
        return Looks(tuple(row_ids), self.pixels[chosen], self.embeddings[chosen], [self.faces[t] for t in chosen])


@dataclass(frozen=True)
class Eyes:
    """The models that look at pictures, as they were drawn: before any super-resolution.

    Args:
        width, height: of the small pixels.
        size: width and height of the originals. Faces and features of what was drawn smaller or larger are looked for
            once Lanczos has brought it to that size; its pixels are compared without that step.
    """

    width: int
    height: int
    size: tuple[int, int]
    encoder: "ImageEncoder"
    embedder: "FaceEmbedder"

    def look(self, images: Iterable[tuple[str, bytes]], with_faces: Collection[str]) -> Looks:
        """Looks at encoded pictures by row id, one at a time; for faces only at `with_faces`, which takes long."""
        import cv2
        import torch

        row_ids, pixels, embeddings, faces = [], [], [], []
        for row_id, data in images:
            row_ids.append(row_id)
            drawn = decode(data)
            image = lanczos(drawn, *self.size)
            found = self.embedder.faces([image])[0] if row_id in with_faces else []
            known = [one.embedding for one in found if one.embedding is not None]
            faces.append(np.stack(known) if known else np.zeros((0, 1), np.float32))
            with torch.inference_mode():
                image_13HW = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
                half_13HW = torch.nn.functional.interpolate(image_13HW, scale_factor=0.5, mode="area")
                embeddings.append(self.encoder.embed(half_13HW)[0].numpy())
            small = cv2.resize(drawn, (self.width, self.height), interpolation=cv2.INTER_AREA)
            pixels.append(small.reshape(-1))
        return Looks(tuple(row_ids), np.stack(pixels), np.stack(embeddings), faces)
