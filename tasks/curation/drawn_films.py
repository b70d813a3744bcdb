"""Films that exist as keyframes alone: drawn where they are worked on, at the keyframes' size, without any video."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, gcd
from urllib.parse import parse_qs, urlsplit

import numpy as np
from pydantic import BaseModel

from drawn.film import REVISION, draw_frames, truth
from drawn.truth import Truth
from storage.decode import DecodedFilm, KeyframesConfig, gathered
from storage.films import FilmProbe, FilmSource
from storage.fingerprint import fingerprint
from storage.provenance import Provenance

FPS = 24
LICENCE = "Apache-2.0"
_LEAST = 96  # pixels that a drawn frame has at least, either way


class DrawnFilm(BaseModel, frozen=True, extra="forbid"):
    """The film of a seed; length in seconds, size in pixels, as its video would have them."""

    seed: int
    seconds: int
    width: int
    height: int

    @property
    def uri(self) -> str:
        """Names it among films: drawn://1000?seconds=96&width=896&height=512."""
        return f"drawn://{self.seed}?seconds={self.seconds}&width={self.width}&height={self.height}"

    @property
    def truth(self) -> Truth:
        """What it shows."""
        return truth(self.seed, self.seconds, (self.width, self.height), FPS)

    @property
    def source(self) -> FilmSource:
        """As ingest hands it on; its id changes with the drawing's revision."""
        said = Provenance(title=self.truth.title, origin=f"drawn from seed {self.seed}", licence=LICENCE)
        return FilmSource(film_id=fingerprint("drawn", REVISION, self), source=self.uri, said=said)


def drawn_film(source: str) -> DrawnFilm | None:
    """The film that a source names, None when that is another film."""
    parts = urlsplit(source)
    if parts.scheme != "drawn":
        return None
    values = {name: value for name, (value,) in parse_qs(parts.query).items()}
    return DrawnFilm.model_validate({"seed": parts.netloc, **values})


def keyframes_of(film: DrawnFilm, config: KeyframesConfig) -> DecodedFilm:
    """As storage.decode.decode_film, without a file: shots begin where the truth says.

    Raises:
        FilmError: too_short, when fewer than two keyframes are left.
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
    """Even, exactly of the film's shape, on which the drawing depends, and no smaller than a keyframe."""
    shared = gcd(film.width // 2, film.height // 2)
    wide, high = film.width // shared, film.height // shared
    times = ceil(max(config.width / wide, config.height / high, _LEAST / wide, _LEAST / high))
    return wide * times, high * times


def _fitted(frame: np.ndarray, config: KeyframesConfig) -> np.ndarray:
    """Its largest centred part of the keyframes' shape, in their size."""
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
