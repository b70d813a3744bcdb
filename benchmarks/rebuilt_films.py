"""Keyframes of drawn films that an autoencoder never saw, rebuilt from their two tokens, without any fine-tuning.

Films of evaluation seeds, and as many with the looks and the place that no training film has, at 224x128. The baseline
of each figure is a principal component analysis of whole keyframes with as many numbers, fitted to films of training
seeds. Faces of at least 96 of 512 rows are brought to 896x512 by Lanczos, without super-resolution, and count when
dlib's network finds their own person nearest among the film's.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from drawn.film import draw_frames, truth
from drawn.truth import Second
from drawn.worlds import EVALUATION, HELD_OUT, TRAINING
from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.face import DlibConfig, Face, FaceEmbedder, build
from models.vision import LatentsConfig, build_features

SIZE, SHOWN = (224, 128), (896, 512)
SECONDS, TRIM = 96, 4
SMALLEST = 96  # rows of a face, of 512
BASELINE_FILMS = 12
_THERE = 0.3  # intersection over union of a face that was found with the true one

Pictures = NDArray[np.uint8]  # T x height x width x 3


@dataclass(frozen=True)
class Film:
    """A drawn film's keyframes, and what they show."""

    seed: int
    pictures: Pictures
    seconds: Sequence[Second]

    @classmethod
    def draw(cls, seed: int) -> "Film":
        times = range(TRIM, SECONDS - TRIM)
        told = truth(seed, SECONDS, SIZE).timeline
        return cls(seed, np.stack(list(draw_frames(seed, times, SECONDS, SIZE))), [told[t] for t in times])


@dataclass(frozen=True)
class Rebuilt:
    """What came of a film: one value a keyframe, or a face."""

    psnr: NDArray[np.float64]
    first: NDArray[np.float64]
    near: NDArray[np.float64]
    faces: NDArray[np.float64]


def measure(weights: Path, films: int, path: Path | None = None) -> None:
    """Prints all figures; `path` is a PNG of originals and rebuilt keyframes."""
    model = DiffusionAutoencoder.from_pretrained(weights)
    embedder = build(DlibConfig())
    ordinary = [seed for seed in EVALUATION if seed not in HELD_OUT]
    sets = {"": ordinary[-films:], "_held_out": list(HELD_OUT)[:films]}
    components = Components(model.config.compressor.tokens * model.config.compressor.token_width)
    for suffix, seeds in sets.items():
        shown = [Film.draw(seed) for seed in seeds]
        mine, theirs, drawn = [], [], []
        for film in shown:
            rebuilt = rebuild(model, film.pictures)
            drawn.append(rebuilt)
            mine.append(compare(film, rebuilt, embedder))
            theirs.append(compare(film, components(film.pictures), embedder))
        for name, unit, pick in FIGURES:
            tell(name + suffix, unit, [pick(one) for one in mine], [pick(one) for one in theirs], seeds)
        if path:
            image = cv2.cvtColor(sheet(shown, drawn), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(path.with_stem(path.stem + suffix)), image)


def rebuild(model: DiffusionAutoencoder, pictures: Pictures) -> Pictures:
    """Keyframes from their own two tokens, by one step of diffusion."""
    encoder = build_features(LatentsConfig(), model.codec)
    images_T3HW = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        tokens_TLD = torch.cat([model.encode(encoder(some)) for some in torch.split(images_T3HW, 32)])
        latents = model.reconstruct(tokens_TLD, seeds=range(len(tokens_TLD)), steps=1)
        drawn_T3HW = torch.cat([model.codec.decode(some) for some in torch.split(latents, 32)])
    made: Pictures = (drawn_T3HW * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return made


class Components:
    """Whole keyframes by their principal components, fitted to films of training seeds."""

    def __init__(self, numbers: int) -> None:
        times = range(TRIM, SECONDS - TRIM, 2)
        films = (draw_frames(seed, times, SECONDS, SIZE) for seed in range(TRAINING, TRAINING + BASELINE_FILMS))
        rows_TP = np.stack([frame for frames in films for frame in frames]).reshape(BASELINE_FILMS * len(times), -1)
        rows_TP = rows_TP.astype(np.float32) / 255
        self.mean_P = rows_TP.mean(0)
        self.basis_CP = np.linalg.svd(rows_TP - self.mean_P, full_matrices=False)[2][:numbers]

    def __call__(self, pictures: Pictures) -> Pictures:
        rows_TP = pictures.reshape(len(pictures), -1) / 255 - self.mean_P
        made = self.mean_P + rows_TP @ self.basis_CP.T @ self.basis_CP
        rounded: Pictures = (made.clip(0, 1) * 255).round().astype(np.uint8).reshape(pictures.shape)
        return rounded


def compare(film: Film, made: Pictures, embedder: FaceEmbedder) -> Rebuilt:
    """Rebuilt keyframes against all originals of their film."""
    own_TP, made_TP = (some.reshape(len(some), -1).astype(np.float64) / 255 for some in (film.pictures, made))
    errors_TT = np.stack([((own_TP - row_P) ** 2).mean(1) for row_P in made_TP])
    places_T, found_T = np.arange(len(errors_TT)), errors_TT.argmin(1)
    return Rebuilt(
        -10 * np.log10(errors_TT.diagonal().clip(min=1e-6)),
        (found_T == places_T).astype(float),
        (abs(found_T - places_T) <= 2).astype(float),
        recognised(film, made, embedder),
    )


def recognised(film: Film, made: Pictures, embedder: FaceEmbedder) -> NDArray[np.float64]:
    """For each large face whether it is there and its own person's is the nearest in the film."""
    seen = dict[str, list[NDArray[np.float32]]]()
    for name, face in _faces(film, film.pictures, embedder):
        if face is not None and face.embedding is not None:
            seen.setdefault(name, []).append(face.embedding)
    names = sorted(seen)
    typical = np.stack([np.mean(seen[name], axis=0) for name in names])
    right = []
    for name, face in _faces(film, made, embedder):
        embedding = face.embedding if face else None
        right.append(embedding is not None and names[int(np.linalg.norm(typical - embedding, axis=1).argmin())] == name)
    return np.array(right, float)


def _faces(film: Film, pictures: Pictures, embedder: FaceEmbedder) -> Iterator[tuple[str, Face | None]]:
    """(person, the face that was found where theirs should be) of each face of at least SMALLEST rows."""
    for second, picture in zip(film.seconds, pictures, strict=True):
        wanted = [one for one in second.appearances if one.face_pixels * SHOWN[1] / SIZE[1] >= SMALLEST]
        if not wanted:
            continue
        found = embedder.faces([cv2.resize(picture, SHOWN, interpolation=cv2.INTER_LANCZOS4)])[0]
        for one in wanted:
            near = max(found, key=lambda face: _overlap(face.box, one.face), default=None)
            yield one.character, near if near and _overlap(near.box, one.face) >= _THERE else None


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


FIGURES: Sequence[tuple[str, str, Callable[[Rebuilt], NDArray[np.float64]]]] = (
    ("rebuilt_psnr", "dB", lambda one: one.psnr),
    ("rebuilt_top1", "share", lambda one: one.first),
    ("rebuilt_within_2", "share", lambda one: one.near),
    ("rebuilt_faces", "share", lambda one: one.faces),
)


def tell(
    name: str, unit: str, mine: list[NDArray[np.float64]], theirs: list[NDArray[np.float64]], seeds: Sequence[int]
) -> None:
    """One JSON line: the mean over all, and its interval from 2,000 resamplings of films."""
    random = np.random.default_rng(0)
    value, baseline = (float(np.concatenate(some).mean()) for some in (mine, theirs))
    drawn = [np.concatenate([mine[i] for i in random.integers(0, len(mine), len(mine))]).mean() for _ in range(2000)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    line = {"name": name, "value": round(value, 4), "unit": unit, "baseline": round(baseline, 4)}
    line |= {"ratio": round(value / baseline, 3) if baseline else None, "n": int(sum(map(len, mine)))}
    print(
        json.dumps(line | {"low": round(float(low), 4), "high": round(float(high), 4), "seeds": list(seeds)}),
        flush=True,
    )


def sheet(films: Sequence[Film], drawn: Sequence[Pictures], columns: int = 8) -> Pictures:
    """Some keyframes of each film, originals above and rebuilt ones below."""
    rows = []
    for film, made in zip(films, drawn, strict=True):
        some = np.linspace(0, len(made) - 1, columns).astype(int)
        rows += [np.concatenate(list(pictures[some]), axis=1) for pictures in (film.pictures, made)]
    return np.concatenate(rows)
