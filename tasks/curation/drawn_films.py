"""Drawn films without a video file: workers draw their keyframes directly, at the keyframes' size."""

import re
from collections.abc import Iterator
from fractions import Fraction
from math import ceil, gcd
from pathlib import PurePosixPath

import numpy as np
from pydantic import BaseModel

from drawn.film import REVISION, draw_frames, truth
from drawn.truth import Truth
from storage.decoding.decode import DecodedFilm, KeyframesConfig, gathered
from storage.films.films import FilmProbe, FilmSource
from storage.films.provenance import Provenance
from storage.fingerprint import fingerprint
from storage.remote import address, is_remote, local_path
from storage.root import Storage

FPS = 24
LICENCE = "Apache-2.0"
_URI = re.compile(r"drawn://(?P<width>\d+)x(?P<height>\d+)/(?P<seconds>\d+)s/seed-(?P<seed>\d+)")
_LEAST = 96  # smallest width and height of a drawn frame, in pixels


class DrawnFilm(BaseModel, frozen=True, extra="forbid"):
    """The film of a seed; length in seconds and size in pixels are those of its video."""

    seed: int
    seconds: int
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The film's source, such as drawn://896x512/96s/seed-1000."""
        return f"drawn://{self.width}x{self.height}/{self.seconds}s/seed-{self.seed}"

    @property
    def truth(self) -> Truth:
        """What it shows."""
        return truth(self.seed, self.seconds, (self.width, self.height), FPS)

    @property
    def source(self) -> FilmSource:
        """The film for ingest; its id depends on the revision of the drawing code."""
        said = Provenance(title=self.truth.title, origin=f"drawn from seed {self.seed}", licence=LICENCE)
        return FilmSource(film_id=fingerprint("drawn", REVISION, self), source=self.uri, said=said)


def drawn_film(source: str) -> DrawnFilm | None:
    """The drawn film of a source, None if the source is not a drawn film."""
    named = _URI.fullmatch(source)
    return DrawnFilm.model_validate(named.groupdict()) if named else None


def known_truth(storage: Storage, source: str) -> Truth | None:
    """The ground truth of a drawn film, or of a film that has a file <film>.truth.json; None if unknown."""
    if drawn := drawn_film(source):
        return drawn.truth
    here = address(storage.source(""))
    if source.startswith(f"{here}/"):
        rel = str(PurePosixPath(source.removeprefix(f"{here}/")).with_suffix(".truth.json"))
        return Truth.from_json(storage.read_bytes(rel).decode()) if storage.exists(rel) else None
    if is_remote(source):
        return None
    path = local_path(source).with_suffix(".truth.json")
    return Truth.from_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def keyframes_of(film: DrawnFilm, config: KeyframesConfig) -> DecodedFilm:
    """The same as storage.decoding.decode.decode_film, without a file: shots are those of the ground truth.

    Raises:
        FilmError: too_short, if fewer than two keyframes are left.
    """
    told = film.truth
    probe = FilmProbe(
        seconds=told.seconds,
        fps=FPS,
        width=film.width,
        height=film.height,
        has_audio=False,
        title=told.title,
        licence=LICENCE,
    )
    return gathered(film.source, probe, _pictures(film, config), told.cuts, config)


def _pictures(film: DrawnFilm, config: KeyframesConfig) -> Iterator[tuple[int, float, np.ndarray]]:
    steps = [Fraction(config.every) * k for k in range(ceil(film.seconds / config.every))]
    size = _size(film, config)
    for step, frame in zip(steps, draw_frames(film.seed, [float(t) for t in steps], film.seconds, size), strict=True):
        yield int(step), int(step * FPS) / FPS, _fitted(frame, config)


def _size(film: DrawnFilm, config: KeyframesConfig) -> tuple[int, int]:
    """An even size in exactly the film's aspect ratio, on which the drawing depends, no smaller than a keyframe."""
    shared = gcd(film.width // 2, film.height // 2)
    wide, high = film.width // shared, film.height // shared
    times = ceil(max(config.width / wide, config.height / high, _LEAST / wide, _LEAST / high))
    return wide * times, high * times


def _fitted(frame: np.ndarray, config: KeyframesConfig) -> np.ndarray:
    """The largest centred crop in the keyframes' aspect ratio, resized to their size."""
    import cv2

    high, wide = frame.shape[:2]
    part = min(wide / config.width, high / config.height)
    width, height = round(config.width * part), round(config.height * part)
    left, top = (wide - width) // 2, (high - height) // 2
    cut = np.ascontiguousarray(frame[top : top + height, left : left + width])
    if (width, height) == (config.width, config.height):
        return cut
    fitted: np.ndarray = cv2.resize(cut, (config.width, config.height), interpolation=cv2.INTER_AREA)
    return fitted
