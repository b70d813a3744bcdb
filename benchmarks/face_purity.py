"""Do the characters of the face bank show one person each? On drawn films, whose faces are known.

    python benchmarks/face_purity.py --films 5 --seconds 48 --step 3

Every `step`-th second of several drawn films goes through finder, embedder and quality filter, and each film's faces
are clustered into characters. The baseline is plain linking at the same threshold: faces that are alike, and all whom a
chain of likeness connects, are one character. Purity is the share of faces that show the person whom most of their
character's faces show; it is worth little without the share of faces that have a character, and the number of
characters a person falls into, which stand beside it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

import networkx
import numpy as np
from numpy.typing import NDArray

from drawn.film import draw_frames, truth
from drawn.truth import Second
from models.face import ClusteringConfig, DlibConfig, Face, FaceConfig, FarlConfig, build
from models.face.bank import agreement
from models.face.cluster import chinese_whispers, distances
from models.face.quality import GOOD, reasons


def shown(entry: Second, face: Face) -> str | None:
    """The drawn person whose face has its centre in the found one."""
    for one in entry.appearances:
        x, y = (one.face[0] + one.face[2]) / 2, (one.face[1] + one.face[3]) / 2
        if face.box[0] <= x <= face.box[2] and face.box[1] <= y <= face.box[3]:
            return one.character
    return None


def linked(embeddings_NE: NDArray[np.float32], config: ClusteringConfig) -> NDArray[np.int32]:
    """Labels [N] by plain linking; -1 for a face that is like no other."""
    labels_N = np.full(len(embeddings_NE), -1, np.int32)
    alike = networkx.from_numpy_array(distances(embeddings_NE, embeddings_NE, config) < config.threshold)
    for label, group in enumerate(networkx.connected_components(alike)):
        if len(group) > 1:
            labels_N[list(group)] = label
    return labels_N


class Tally:
    """One way of clustering over all films."""

    def __init__(self) -> None:
        self.agreeing: list[bool] = []
        self.known = 0
        self.pieces: list[int] = []

    def add(self, labels_N: NDArray[np.int32], names: list[str | None]) -> None:
        characters = labels_N.tolist()
        self.agreeing += agreement(characters, names)
        self.known += sum(name is not None for name in names)
        met = {(name, label) for name, label in zip(names, characters, strict=True) if name and label >= 0}
        self.pieces += Counter(name for name, _ in met).values()

    @property
    def purity(self) -> float:
        return float(np.mean(self.agreeing)) if self.agreeing else 0.0

    def line(self, name: str) -> str:
        coverage = len(self.agreeing) / max(self.known, 1)
        return (
            f"{name}: purity {self.purity:.3f} of {len(self.agreeing)} faces, {coverage:.3f} of the known faces have a "
            f"character, {np.mean(self.pieces or [0]):.2f} characters a person"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=48)
    parser.add_argument("--step", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the first film")
    parser.add_argument("--farl", default="", help="FaRL's checkpoint; dlib's embedder when empty")
    parser.add_argument("--threshold", type=float, help="of the distance; the embedder's own when left out")
    args = parser.parse_args()
    config: FaceConfig = FarlConfig(source=args.farl) if args.farl else DlibConfig()
    clustering = config.clustering
    if args.threshold is not None:
        clustering = clustering.model_copy(update={"threshold": args.threshold})
    embedder = build(config)
    whispers, links, left_out = Tally(), Tally(), Counter[str]()
    for seed in range(args.seed, args.seed + args.films):
        entries = truth(seed, args.seconds).timeline[:: args.step]
        vectors: list[Any] = []
        names: list[str | None] = []
        for entry, frame in zip(entries, draw_frames(seed, [one.second for one in entries], args.seconds), strict=True):
            (faces,) = embedder.faces([frame])
            for face, reason in zip(faces, reasons(frame, faces, config.quality), strict=True):
                if reason == GOOD:
                    vectors.append(face.embedding)
                    names.append(shown(entry, face))
                else:
                    left_out[reason] += 1
        embeddings_NE = np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)
        whispers.add(chinese_whispers(embeddings_NE, clustering), names)
        links.add(linked(embeddings_NE, clustering), names)
        print(f"film {seed}: {len(vectors)} faces of {len({name for name in names if name})} people", flush=True)
    print(whispers.line("face bank"))
    print(links.line("plain linking"))
    print(f"left out: {dict(left_out) or 'none'}; {embedder.name} {clustering.metric} {clustering.threshold:g}")
    print(
        json.dumps(
            {
                "name": "face_purity",
                "value": round(whispers.purity, 4),
                "unit": "share of faces",
                "baseline": round(links.purity, 4),
                "ratio": round(whispers.purity / max(links.purity, 1e-6), 3),
                "n": len(whispers.agreeing),
            }
        )
    )


if __name__ == "__main__":
    main()
