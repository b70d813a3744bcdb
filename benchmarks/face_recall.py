"""Does a face detector find the drawn people, and does a face recogniser tell them apart?

    python benchmarks/face_recall.py --seed 7 --step 2

Draws every `step`-th second of a film and asks facenet's MTCNN for faces and dlib's network for identities.
The baseline is chance: how often a box of the faces' mean size, laid anywhere in the frame, would hit a face
(intersection over union of 0.4 or more, as is asked of the detector).
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from drawn.film import draw_frames, truth

Box = tuple[float, float, float, float]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, w) * max(0.0, h)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


class Recogniser:
    """dlib's 128 numbers of a face, from the models that the package face_recognition_models carries."""

    def __init__(self) -> None:
        import dlib

        spec = importlib.util.find_spec("face_recognition_models")
        if spec is None or spec.origin is None:
            raise SystemExit("pip install face-recognition-models")
        models = Path(spec.origin).parent / "models"
        self.rectangle = dlib.rectangle
        self.landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self.network = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def __call__(self, frame: Any, box: Box) -> Any:
        """The embedding [128] of the face in a box of frame uint8 [H, W, 3]."""
        frame = np.ascontiguousarray(frame)
        return np.array(
            self.network.compute_face_descriptor(
                frame, self.landmarks(frame, self.rectangle(*(round(v) for v in box))), 1
            )
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=96)
    parser.add_argument("--step", type=int, default=2)
    parser.add_argument("--smallest", type=float, default=48.0, help="faces lower than this many pixels do not count")
    args = parser.parse_args()
    from facenet_pytorch import MTCNN

    detector, recognise = MTCNN(keep_all=True, device="cpu"), Recogniser()
    told = truth(args.seed, args.seconds)
    entries = told.timeline[:: args.step]
    hits = faces = strangers = lucky = tries = 0
    seen: dict[str, list[Any]] = {name: [] for name in told.characters}
    rng = np.random.default_rng(0)
    for entry, frame in zip(entries, draw_frames(args.seed, [e.second for e in entries], args.seconds), strict=True):
        h, w = frame.shape[:2]
        real: list[tuple[str, Box, float]] = [
            (a.character, (a.face[0] * w, a.face[1] * h, a.face[2] * w, a.face[3] * h), a.face_pixels)
            for a in entry.appearances
        ]
        boxes, _ = detector.detect(frame)
        boxes = [] if boxes is None else boxes
        found: list[Box] = [(float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in boxes]
        strangers += sum(all(overlap(b, r) < 0.2 for _, r, _ in real) for b in found)
        for name, box, pixels in real:
            if pixels < args.smallest:
                continue
            best = max(found, key=lambda b: overlap(b, box), default=None)
            hit = best is not None and overlap(best, box) >= 0.4
            faces, hits = faces + 1, hits + hit
            if hit and best is not None:
                seen[name].append(recognise(frame, best))
            bw, bh = box[2] - box[0], box[3] - box[1]
            for x, y in rng.random((200, 2)) * (w - bw, h - bh):
                tries, lucky = tries + 1, lucky + (overlap((x, y, x + bw, y + bh), box) >= 0.4)
    same = [np.linalg.norm(a - b) for group in seen.values() for a, b in itertools.combinations(group, 2)]
    other = [np.linalg.norm(a - b) for p, q in itertools.combinations(seen.values(), 2) for a in p for b in q]
    cut = float(np.mean([d < 0.6 for d in same]) + np.mean([d >= 0.6 for d in other])) / 2
    recall, chance = hits / max(1, faces), lucky / max(1, tries)
    print(f"frames {len(entries)}, faces {faces}: recall {recall:.3f} (chance {chance:.3f}), false faces {strangers}")
    print(
        f"dlib distance: same person {np.median(same):.3f}, another {np.median(other):.3f}; "
        f"pairs on the right side of 0.6: {cut:.3f}"
    )
    print(
        json.dumps(
            {
                "name": "face_recall",
                "value": round(recall, 4),
                "unit": "share of faces",
                "baseline": round(chance, 4),
                "ratio": round(recall / max(chance, 1e-6), 2),
                "n": faces,
            }
        )
    )


if __name__ == "__main__":
    main()
