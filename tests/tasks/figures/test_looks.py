"""Pictures are compared as they were drawn, and looked at in the size of their originals."""

import numpy as np
import torch

from models.face import Face
from models.upscaler import lanczos
from storage.decoding.pictures import decode, encode
from tasks.figures.looks import Eyes


class Encoder:
    def embed(self, images_B3HW: torch.Tensor) -> torch.Tensor:
        return images_B3HW.mean((2, 3)) * torch.tensor(images_B3HW.shape[3])


class Embedder:
    def faces(self, images):
        height, width = images[0].shape[:2]
        embedding = np.array([width, height], np.float32)
        return [[Face(box=(0, 0, 1, 1), score=1, landmarks_52=np.zeros((5, 2), np.float32), embedding=embedding)]]


def test_what_was_drawn_small_is_looked_at_large_and_compared_small():
    small = encode(np.random.default_rng(0).integers(0, 256, (16, 28, 3), np.uint8), 90)
    large = encode(lanczos(decode(small), 112, 64), 90)
    eyes = Eyes(28, 16, (112, 64), Encoder(), Embedder())
    seen = eyes.look([("small", small), ("large", large)], {"small", "large"})
    assert np.array_equal(seen.pixels[0], decode(small).reshape(-1))
    assert [face.tolist() for face in seen.faces] == [[[112, 64]], [[112, 64]]]
    np.testing.assert_allclose(seen.embeddings[0], seen.embeddings[1], rtol=0.02)
    assert seen.pixels.shape == (2, 28 * 16 * 3)
