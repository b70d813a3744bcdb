"""Do descriptions and faces (stage 3) save what two tokens lose of a face? (Fig. 3 of the paper.)

    python benchmarks/face_identity.py [STORAGE]

Rebuilds each keyframe that shows a face, from the same tokens and the same noise, by the decoder of stage 2, which has
tokens alone, and by that of stage 3, which reads the script too. Faces are found in the original; what is seen
at their places of each rebuilt keyframe is compared with it. Held-out keyframes get, as in evaluation, another
keyframe's face of the character.
"""

import json
import sys
import zlib
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from demo import Demo
from numpy.typing import NDArray

from models import face
from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoencoder.decoder import pad
from models.autoregressive.script_tokens import FrameScript
from models.metrics.pictures import cosine
from storage.decoding.pictures import decode
from storage.root import Storage
from tasks import dataset
from tasks.training import tokens

HALVES = {"train": "training", "test": "held-out"}


def main(storage: Storage) -> None:
    """Prints a line a half, and the held-out half's similarity of stage 3 beside that of stage 2 as JSON."""
    demo = Demo.of(storage)
    work, autoencoder = demo.tokens()
    models = []
    for folder in (autoencoder, demo.decoder(work, autoencoder)):
        with storage.local(folder) as path:
            models.append(DiffusionAutoencoder.from_pretrained(path))
    embedder = face.build(demo.settings.face)
    for part, half in HALVES.items():
        films = dataset.load(storage, demo.snapshot, "train" if part == "train" else "test")
        scripts = [script for film in films for script in film.scripts]
        row_ids = [script.row_id for script in scripts]
        tokens_TLD = torch.cat([tokens.read(storage, work, film.row_ids)[0] for film in films])
        pictures = dataset.images(storage, demo.snapshot, row_ids)
        rebuilt = [drawn(demo, model, scripts, tokens_TLD) for model in models]
        similar: tuple[list[float], list[float]] = ([], [])
        for t, row_id in enumerate(row_ids):
            (found,) = embedder.faces([decode(pictures[row_id])])
            for figures, images in zip(similar, rebuilt, strict=True):
                figures += [alike(a, b) for a, b in zip(found, embedder.embed(images[t], found), strict=True)]
        before, after = np.array(similar[0]), np.array(similar[1])
        gain = after - before
        half_width = 1.96 * gain.std(ddof=1) / len(gain) ** 0.5
        print(
            f"{half} half, {len(gain)} faces: similarity to the original's face {before.mean():.3f} by stage 2, "
            f"{after.mean():.3f} by stage 3: {gain.mean():+.3f} +- {half_width:.3f}"
        )
    mine, peer = round(float(after.mean()), 4), round(float(before.mean()), 4)
    result = {"name": "face_similarity_held_out", "value": mine, "unit": "cosine", "baseline": peer}
    print(json.dumps(result | {"ratio": round(mine / peer, 4), "n": len(gain)}))


def drawn(
    demo: Demo, model: DiffusionAutoencoder, scripts: Sequence[FrameScript], tokens_TLD: torch.Tensor
) -> list[NDArray[np.uint8]]:
    """The keyframes that a model makes of their tokens and, if it reads them, their scripts."""
    render, sizes = demo.settings.render, model.config.decoder
    told = [pad([s.sentences for s in scripts], sizes.sentences), pad([s.faces for s in scripts], sizes.faces)]
    seeds = [zlib.crc32(script.row_id.encode()) for script in scripts]
    latents_TCHW = model.reconstruct(tokens_TLD, *(told if sizes.identity else []), seeds=seeds, steps=render.steps)
    size = demo.settings.keyframes.height, demo.settings.keyframes.width
    images = []
    for latents_1CHW in torch.split(latents_TCHW, 1):
        image_1CHW = F.interpolate(model.codec.decode(latents_1CHW), size, mode="bicubic").clamp(0, 1)
        images.append((image_1CHW[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    return images


def alike(one: face.Face, other: face.Face) -> float:
    """Cosine of two faces' embeddings."""
    assert one.embedding is not None
    assert other.embedding is not None
    return float(cosine(one.embedding[None], other.embedding[None])[0])


if __name__ == "__main__":
    with torch.inference_mode():
        main(Storage(sys.argv[1] if len(sys.argv) > 1 else "out"))
