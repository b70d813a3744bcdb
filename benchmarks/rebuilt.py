"""How well do two tokens rebuild a keyframe?

    python benchmarks/rebuilt.py [STORAGE]

Reads what `make demo` left and compares each keyframe that was rebuilt from its two tokens with all originals, by mean
squared error at 224x128. Beside it what a user would take instead of an autoencoder, with as many numbers a keyframe: a
principal component analysis of whole keyframes, fitted to the same training half.
"""

import json
import sys
from typing import Any

import numpy as np
from demo import Demo

from storage.decoding.pictures import decode
from storage.root import Storage
from storage.tables.tables import Tables

NUMBERS = 2 * 64
Frames = Any


def main(storage: Storage) -> None:
    """Prints one line a half and the training half's retrieval as JSON."""
    tables, demo = Tables(storage), Demo.of(storage)
    films = {film.film_id: film for film in demo.snapshot.films}
    rebuilt = {
        row["row_id"]: small(row["image"])
        for row in tables.read("renders", demo.renders()["renders"], ["row_id", "variant", "image"]).to_pylist()
        if row["variant"] == "rebuilt"
    }
    columns = ["row_id", "film_id", "second", "image"]
    read = tables.read("keyframes", demo.snapshot.work["keyframes"], columns).to_pylist()
    keyframes = [row for row in read if row["row_id"] in rebuilt]
    originals_TP = np.stack([small(row["image"]) for row in keyframes])
    rebuilt_TP = np.stack([rebuilt[row["row_id"]] for row in keyframes])
    learnt_T = np.array([films[row["film_id"]].part(row["second"]) == "train" for row in keyframes])
    peer_TP = by_components(originals_TP, learnt_T)
    figures = {}
    for half, rows_T in (("training", learnt_T), ("held-out", ~learnt_T)):
        mine, peer = (scores(some_TP, originals_TP, rows_T) for some_TP in (rebuilt_TP, peer_TP))
        figures[half] = mine, peer
        print(
            f"{half} half, {rows_T.sum()} keyframes: own original first {mine[0]:.3f}, {mine[1]:.1f} dB; "
            f"components of whole keyframes {peer[0]:.3f}, {peer[1]:.1f} dB"
        )
    (found, _), (found_by_peer, _) = figures["training"]
    result = {"name": "rebuilt_top1", "value": found, "unit": "share", "baseline": found_by_peer}
    result["ratio"] = found / found_by_peer
    print(json.dumps(result | {"n": int(learnt_T.sum())}))


def small(image: bytes) -> Frames:
    """A picture as a flat row of 224x128 colours in 0-1."""
    import cv2

    return (cv2.resize(decode(image), (224, 128), interpolation=cv2.INTER_AREA) / 255.0).ravel()


def by_components(originals_TP: Frames, learnt_T: Frames) -> Frames:
    """Each keyframe rebuilt from its first `NUMBERS` principal components, fitted where `learnt_T`."""
    mean_P = originals_TP[learnt_T].mean(0)
    basis_CP = np.linalg.svd(originals_TP[learnt_T] - mean_P, full_matrices=False)[2][:NUMBERS]
    return mean_P + (originals_TP - mean_P) @ basis_CP.T @ basis_CP


def scores(rebuilt_TP: Frames, originals_TP: Frames, rows_T: Frames) -> tuple[float, float]:
    """Share of `rows_T` whose own original is the nearest of all, and their mean PSNR in dB."""
    errors_TT = np.stack([((originals_TP - row_P) ** 2).mean(1) for row_P in rebuilt_TP])
    own_T = np.diag(errors_TT)
    first_T = errors_TT.argmin(1) == np.arange(len(errors_TT))
    return float(first_T[rows_T].mean()), float(-10 * np.log10(np.maximum(own_T[rows_T], 1e-6)).mean())


if __name__ == "__main__":
    main(Storage(sys.argv[1] if len(sys.argv) > 1 else "out"))
