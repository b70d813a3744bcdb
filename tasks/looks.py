"""What is seen of pictures when they are compared: their pixels in small, image-encoder features, faces.

Shapes: T keyframes, P pixels times colours, E numbers of an embedding, F faces of D numbers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from storage.pictures import decode
from tasks.metrics import Floats

if TYPE_CHECKING:
    from models.face import FaceEmbedder
    from models.vision.encoder import ImageEncoder


@dataclass(frozen=True)
class Looks:
    """Keyframes in one version: small pixels [T, P] in 0-1, embeddings [T, E] by the image encoder, faces [F, D]."""

    row_ids: tuple[str, ...]
    pixels: Floats
    embeddings: Floats
    faces: Sequence[Floats]

    def at(self, row_ids: Sequence[str]) -> "Looks":
        """The same of some of them."""
        places = {row_id: t for t, row_id in enumerate(self.row_ids)}
        chosen = [places[row_id] for row_id in row_ids]
        return Looks(tuple(row_ids), self.pixels[chosen], self.embeddings[chosen], [self.faces[t] for t in chosen])


@dataclass(frozen=True)
class Eyes:
    """The models that look at pictures; `width` and `height` of the small pixels."""

    width: int
    height: int
    encoder: "ImageEncoder"
    embedder: "FaceEmbedder"

    def look(self, images: Mapping[str, bytes], with_faces: Collection[str]) -> Looks:
        """Looks at encoded pictures, one after the other; for faces only at those of `with_faces`, which takes long."""
        import torch
        from PIL import Image

        pixels, embeddings, faces = [], [], []
        for row_id, data in images.items():
            image = decode(data)
            found = self.embedder.faces([image])[0] if row_id in with_faces else []
            known = [one.embedding for one in found if one.embedding is not None]
            faces.append(np.stack(known) if known else np.zeros((0, 1), np.float32))
            with torch.inference_mode():
                image_13HW = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
                half_13HW = torch.nn.functional.interpolate(image_13HW, scale_factor=0.5, mode="area")
                embeddings.append(self.encoder.embed(half_13HW)[0].numpy())
            small = Image.fromarray(image).resize((self.width, self.height), Image.Resampling.BOX)
            pixels.append(np.asarray(small, np.float32).reshape(-1) / 255)
        return Looks(tuple(images), np.stack(pixels), np.stack(embeddings), faces)
