"""What do 8 tokens a keyframe give over 2 (the paper's Table 3)?

    python benchmarks/token_count.py [STORAGE] [--recipe laptop] [--tokens 2 8] [--set key=value]

On the newest snapshot of a storage (`make demo` leaves one) trains the recipe's autoencoder once for each number of
tokens, everything else equal, and rebuilds all keyframes at the same seeds. Of the paper's four columns it has the
similarity of image-encoder features (CLIP's with `--set evaluate.vision.kind=clip`); beside it PSNR and how many
find their own original first. A killed run goes on; a second one finds its models trained.
"""

import argparse
import json
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from models import vision
from models.autoencoder.autoencoder import DiffusionAutoencoder
from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.progress import silent
from tasks.training import train_autoencoder
from tasks.training.frozen import keyframes
from tasks.training.tokens import encoded
from tasks.training.views import keyframe_views

SMALL = (128, 224)  # height and width at which pixels are compared


class Figures(NamedTuple):
    """Of some rebuilt keyframes."""

    similarity: float
    psnr: float
    first: float
    keyframes: int


def main() -> None:
    """Prints a line for each number of tokens and half, and the similarity in the training half as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("storage", nargs="?", default="out")
    parser.add_argument("--recipe", default="laptop")
    parser.add_argument("--tokens", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    storage = Storage(args.storage)
    data = snapshots.load(storage, snapshots.ids(storage)[-1])
    found = {}
    for tokens in args.tokens:
        settings = resolve(args.recipe, [*args.set, "fit.workers=0", f"autoencoder.model.compressor.tokens={tokens}"])
        found[tokens] = rebuilt(settings, storage, data)
        for half, figures in found[tokens].items():
            print(
                f"{tokens} tokens, {half:8s} similarity {figures.similarity:.4f}, {figures.psnr:.2f} dB, "
                f"own original first {figures.first:.3f} of {figures.keyframes}",
                flush=True,
            )
    fewest, most = (found[tokens]["training"] for tokens in (args.tokens[0], args.tokens[-1]))
    result = {"name": "token_count", "value": most.similarity, "unit": "cosine", "baseline": fewest.similarity}
    print(json.dumps(result | {"ratio": most.similarity / fewest.similarity, "n": most.keyframes}))


def rebuilt(settings: Recipe, storage: Storage, data: Snapshot) -> dict[str, Figures]:
    """The figures of both halves, once the autoencoder is trained."""
    config = settings.train_autoencoder()
    model = train_autoencoder.run(config, storage, data, settings.cluster, silent)
    eyes = vision.build(settings.evaluate.vision)
    size = settings.frozen.codec.height, settings.frozen.codec.width
    row_ids, learnt, pictures = zip(*keyframes(storage, data, size), strict=True)
    images_T3HW, train = torch.stack(pictures), torch.tensor(learnt)
    with storage.local(model) as folder, torch.inference_mode():
        autoencoder = DiffusionAutoencoder.from_pretrained(folder)
        views = keyframe_views(settings.frozen, storage, data, row_ids, autoencoder.codec)
        tokens_TLD = torch.cat([plain_BLD for plain_BLD, _ in encoded(autoencoder, views)])
        latents = autoencoder.reconstruct(tokens_TLD, seeds=range(len(tokens_TLD)), steps=settings.render.steps)
        drawn_T3HW = torch.cat([autoencoder.codec.decode(part) for part in torch.split(latents, 8)])
        whole_T3HW = images_T3HW.float() / 255
        similar_T = torch.cat(
            [
                (eyes.embed(one) * eyes.embed(other)).sum(1)
                for one, other in zip(torch.split(drawn_T3HW, 8), torch.split(whole_T3HW, 8), strict=True)
            ]
        )
    mine_TP, own_TP = (F.interpolate(some, SMALL, mode="area").flatten(1) for some in (drawn_T3HW, whole_T3HW))
    errors_TT = torch.cdist(mine_TP, own_TP).square() / mine_TP.shape[1]
    halves = {"training": train, "held-out": ~train}
    return {half: _figures(similar_T, errors_TT, rows_T) for half, rows_T in halves.items()}


def _figures(similar_T: Tensor, errors_TT: Tensor, rows_T: Tensor) -> Figures:
    own_T = errors_TT.diagonal().clamp(min=1e-6)
    first_T = errors_TT.argmin(1) == torch.arange(len(errors_TT))
    psnr_T = -10 * own_T.log10()
    similarity, psnr, first = (float(values_T[rows_T].float().mean()) for values_T in (similar_T, psnr_T, first_T))
    return Figures(similarity, psnr, first, int(rows_T.sum()))


if __name__ == "__main__":
    main()
