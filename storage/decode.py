"""From a film to its keyframes: one a second, cropped, resized, with its shot and motion (paper, appendix C)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from storage.container import missing_end, opened
from storage.errors import FilmError
from storage.films import FilmProbe, pixel_aspect
from storage.fingerprint import file_id
from storage.pictures import encode, keyframe, luma
from storage.reader import FilmReader, nearest
from storage.schemas import SCHEMAS, row_id
from storage.shots import CutFinder

FEWEST_KEYFRAMES = 2  # one cannot be held against another


class KeyframesConfig(BaseModel, frozen=True, extra="forbid"):
    """How keyframes are taken from a film; lengths in seconds, sizes in pixels."""

    every: float = Field(1.0, ge=1.0)
    trim_start: float = Field(0.0, ge=0.0)
    trim_end: float = Field(0.0, ge=0.0)
    width: int = Field(896, ge=16)
    height: int = Field(512, ge=16)
    quality: int = Field(90, ge=1, le=100)  # of the WebP pictures
    shot_threshold: float = Field(2.5, gt=1.0)  # see storage.shots
    time_limit: float = Field(3600.0, gt=0.0)  # a film
    memory_limit: float = Field(8.0, gt=0.0)  # GiB of address space of the decoding process

    def identity(self) -> dict[str, object]:
        """What changes the keyframes, for a fingerprint: all but the limits."""
        return self.model_dump(mode="json", exclude={"time_limit", "memory_limit"})


@dataclass(frozen=True)
class DecodedFilm:
    """A film's keyframes.

    Attributes:
        probe: as storage.films.probe, with the measured length.
        rows: columns of the table `keyframes` but for the fingerprint.
        cuts: seconds after the first frame at which shots begin, without the first.
        frames: how many decoded.
        damage: a sentence that quotes the film and says what didn't decode (for a Reject "partly_decoded"), or "".
    """

    film_id: str
    probe: FilmProbe
    rows: pa.Table
    cuts: tuple[float, ...]
    frames: int
    damage: str


@dataclass(frozen=True)
class _Keyframe:
    second: int
    pts: float
    image: bytes
    luma: np.ndarray


def decode_film(path: Path | str, config: KeyframesConfig) -> DecodedFilm:
    """Decodes a film from its first to its last frame, in this process (storage.child has a safer way).

    Keyframes are the frames nearest to each whole step of `config.every`, none farther than half a step. A damaged film
    keeps those that decode.

    Raises:
        FilmError: as storage.container.opened does, and too_short, truncated or decode_failed when fewer than two
            keyframes are left.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        reader = FilmReader(container, stream)
        finder = CutFinder(config.shot_threshold, float(stream.average_rate or 25))
        aspect = pixel_aspect(stream)
        keyframes = []
        for second, pts, frame in nearest(finder.watch(reader), config.every):
            if pts >= config.trim_start:
                image = keyframe(frame, aspect, config.width, config.height)
                keyframes.append(_Keyframe(second, pts, encode(image, config.quality), luma(image)))
    kept = [each for each in keyframes if each.pts < reader.end - config.trim_end]
    if reader.probe is None or len(kept) < FEWEST_KEYFRAMES:
        raise _too_few(path, config, reader, len(kept))
    film_id, cuts, damage = file_id(path), finder.cuts(), reader.damage()
    return DecodedFilm(
        film_id=film_id,
        probe=reader.probe.model_copy(update={"seconds": reader.end}),
        rows=_rows(film_id, kept, cuts, reader.end, config),
        cuts=tuple(cuts),
        frames=reader.frames,
        damage=f"{str(path)!r} is damaged ({damage}): {len(kept)} keyframes are used" if damage else "",
    )


def _rows(film_id: str, kept: list[_Keyframe], cuts: list[float], end: float, config: KeyframesConfig) -> pa.Table:
    edges = np.array([0.0, *cuts, end])
    pts = np.array([each.pts for each in kept])
    lumas = np.stack([each.luma for each in kept]).astype(np.float32)
    motion = np.abs(np.diff(lumas, axis=0, prepend=lumas[:1])).mean(axis=(1, 2))
    columns = {
        "row_id": [row_id(film_id, each.second) for each in kept],
        "film_id": [film_id] * len(kept),
        "second": [each.second for each in kept],
        "pts": pts,
        "shot": np.searchsorted(cuts, pts, side="right"),
        "to_cut": np.abs(pts[:, None] - edges).min(axis=1),
        "motion": motion,
        "image": [each.image for each in kept],
        "width": [config.width] * len(kept),
        "height": [config.height] * len(kept),
    }
    schema = SCHEMAS["keyframes"]
    return pa.table({name: pa.array(values, schema.field(name).type) for name, values in columns.items()})


def _too_few(path: Path, config: KeyframesConfig, reader: FilmReader, kept: int) -> FilmError:
    name, damage = repr(str(path)), reader.damage()
    what = f"{kept} keyframes of {name} decode, two are the least"
    if lost := missing_end(path):
        return FilmError("truncated", f"{what}: {lost}")
    if damage or not reader.frames:
        return FilmError("decode_failed", f"{what}: {damage or 'it holds no picture'}")
    lasts = f"{name} lasts {reader.end:.2f} s"
    if not (config.trim_start or config.trim_end):
        return FilmError("too_short", f"{lasts}: a keyframe every {config.every:g} s makes {kept}, two are the least")
    trim = f"trim_start {config.trim_start:g} s and trim_end {config.trim_end:g} s"
    return FilmError("too_short", f"{lasts}: {trim} leave {kept} keyframes, two are the least; lower them")
