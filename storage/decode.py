"""From a film to its keyframes: one a second, cropped, resized, with its shot and motion (paper, appendix C)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from storage.bars import BarFinder, Bars, guess
from storage.container import missing_end, opened
from storage.errors import FilmError
from storage.films import FilmProbe, FilmSource, pixel_aspect
from storage.fingerprint import file_id
from storage.perceptual import look
from storage.pictures import Developer, encode, luma
from storage.plan import PlanError, nearest
from storage.reader import FilmReader
from storage.schemas import SCHEMAS, row_id
from storage.shots import CutFinder
from storage.trim import Signs, Trim, TrimAutomatic, TrimSeconds, kept, signs

FEWEST_KEYFRAMES = 2  # one cannot be held against another
BATCH = 64  # keyframes


class KeyframesConfig(BaseModel, frozen=True, extra="forbid"):
    """How keyframes are taken from a film; lengths in seconds, sizes in pixels."""

    every: float = Field(1.0, ge=1.0)
    trim: Trim = TrimSeconds()
    width: int = Field(896, ge=16)
    height: int = Field(512, ge=16)
    quality: int = Field(90, ge=1, le=100)  # of the WebP pictures
    shot_threshold: float = Field(2.5, gt=1.0)  # see storage.shots
    time_limit: float = Field(3600.0, gt=0.0)  # a film
    cpu_limit: float = Field(7200.0, gt=0.0)  # of the decoding process, in seconds of CPU time
    memory_limit: float = Field(8.0, gt=0.0)  # GiB of address space of the decoding process

    def identity(self) -> dict[str, object]:
        """What changes the keyframes, for a fingerprint: all but the limits."""
        return self.model_dump(mode="json", exclude={"time_limit", "cpu_limit", "memory_limit"}) | {"revision": 5}


@dataclass(frozen=True)
class DecodedFilm:
    """A film's keyframes; their pictures lie in a file that is gone when this is closed.

    Attributes:
        probe: as storage.films.probe, with the measured length.
        numbers: columns of the table `keyframes` but for picture and fingerprint, and each picture's place in `spool`.
        cuts: seconds after the first frame at which shots begin, without the first.
        frames: how many decoded.
        damage: a sentence that quotes the film and says what didn't decode (for a Reject "partly_decoded"), or "".
    """

    film_id: str
    probe: FilmProbe
    numbers: pa.Table
    cuts: tuple[float, ...]
    frames: int
    damage: str
    spool: IO[bytes]

    def batches(self, rows: int = BATCH) -> Iterator[pa.Table]:
        """Rows of the table `keyframes` without their fingerprint, at most `rows` at a time, in order."""
        schema = SCHEMAS["keyframes"]
        names = [name for name in schema.names if name != "fingerprint"]
        for start in range(0, self.numbers.num_rows, rows):
            part = self.numbers.slice(start, rows)
            images = []
            for place, size in zip(part["place"].to_numpy(), part["size"].to_numpy(), strict=True):
                self.spool.seek(int(place))
                images.append(self.spool.read(int(size)))
            image = schema.field("image")
            yield part.append_column(image, pa.array(images, image.type)).select(names)

    def rows(self) -> pa.Table:
        """All of them, in memory."""
        return pa.concat_tables(self.batches())

    def close(self) -> None:
        """Gives the pictures' file back."""
        self.spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@dataclass
class _Keyframes:
    """Numbers of the keyframes so far; their pictures are in the spool."""

    spool: IO[bytes]
    signed: bool  # whether signs of titles are asked for
    seconds: list[int] = field(default_factory=list)
    pts: list[float] = field(default_factory=list)
    motion: list[float] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    shown: list[Signs] = field(default_factory=list)
    places: list[int] = field(default_factory=lambda: [0])
    _before: np.ndarray | None = None

    def add(self, second: int, pts: float, image: bytes, small: np.ndarray) -> None:
        before = small if self._before is None else self._before
        self.seconds.append(second)
        self.pts.append(pts)
        self.motion.append(float(np.abs(small.astype(np.float32) - before).mean()))
        self.looks.append(look(small.astype(np.float32)))
        if self.signed:
            self.shown.append(signs(small, self._before))
        self.places.append(self.places[-1] + self.spool.write(image))
        self._before = small


@dataclass(frozen=True)
class _Pass:
    """What one reading of the film found."""

    reader: FilmReader
    keyframes: _Keyframes
    cuts: list[float]
    bars: Bars


def decode_film(path: Path | str, config: KeyframesConfig, spool: IO[bytes] | None = None) -> DecodedFilm:
    """Decodes a film from its first to its last frame, in this process (storage.child has a safer way).

    Keyframes are the frames nearest to each whole step of `config.every`, none farther than half a step; a frame that
    stands for long (storage.stills) is the keyframe of each step until the next. A damaged film keeps those that
    decode. Memory holds numbers; the pictures go to `spool`, by default a temporary file.

    Raises:
        FilmError: as storage.container.opened does, and too_short, truncated or decode_failed when fewer than two
            keyframes are left.
    """
    path = Path(path)
    spool = spool or TemporaryFile()  # noqa: SIM115 - the film that is returned closes it
    try:
        return _decoded(path, config, spool)
    except BaseException:
        spool.close()
        raise


def gathered(
    film: FilmSource,
    probe: FilmProbe,
    pictures: Iterable[tuple[int, float, np.ndarray]],
    cuts: Sequence[float],
    config: KeyframesConfig,
) -> DecodedFilm:
    """A film of keyframes that are there already.

    Args:
        probe: with the film's length.
        pictures: nominal second, seconds after the first frame, and RGB uint8 [height, width, 3] of each.
        cuts: seconds at which shots begin, without the first.

    Raises:
        FilmError: too_short, when fewer than two are left.
    """
    assert probe.seconds is not None
    spool = TemporaryFile()  # noqa: SIM115 - the film that is returned closes it
    try:
        keyframes = _Keyframes(spool, isinstance(config.trim, TrimAutomatic))
        for second, pts, image in pictures:
            keyframes.add(second, pts, encode(image, config.quality), luma(image))
        left = kept(config.trim, keyframes.shown, keyframes.pts, probe.seconds)
        if (count := len(keyframes.pts[left])) < FEWEST_KEYFRAMES:
            raise _too_short(film.source, config, probe.seconds, len(keyframes.pts), count)
        return DecodedFilm(
            film_id=film.film_id,
            probe=probe,
            numbers=_numbers(film.film_id, keyframes, left, list(cuts), probe.seconds, config),
            cuts=tuple(cuts),
            frames=len(keyframes.pts),
            damage="",
            spool=spool,
        )
    except BaseException:
        spool.close()
        raise


def _decoded(path: Path, config: KeyframesConfig, spool: IO[bytes]) -> DecodedFilm:
    taken = _taken(path, config, spool)
    reader, keyframes = taken.reader, taken.keyframes
    left = kept(config.trim, keyframes.shown, keyframes.pts, reader.end)
    count = len(keyframes.pts[left])
    if reader.probe is None or count < FEWEST_KEYFRAMES:
        raise _too_few(path, config, reader, len(keyframes.pts), count)
    film_id, damage = file_id(path), reader.damage()
    return DecodedFilm(
        film_id=film_id,
        probe=reader.probe.model_copy(update={"seconds": reader.end}),
        numbers=_numbers(film_id, keyframes, left, taken.cuts, reader.end, config),
        cuts=tuple(taken.cuts),
        frames=reader.frames,
        damage=f"{str(path)!r} is damaged ({damage}): {count} keyframes are used" if damage else "",
        spool=spool,
    )


def _taken(path: Path, config: KeyframesConfig, spool: IO[bytes]) -> _Pass:
    """All keyframes; the film is read again if it can't be planned, or if its bars aren't those that were guessed."""
    bars, planned, settled = guess(path), True, False
    while True:
        try:
            taken = _read(path, config, spool, bars, planned)
        except PlanError:
            planned = False
            continue
        if settled or taken.bars.like(bars):
            return taken
        bars, settled = taken.bars, True


def _read(path: Path, config: KeyframesConfig, spool: IO[bytes], bars: Bars, planned: bool) -> _Pass:
    spool.seek(0)
    spool.truncate()
    keyframes, finder = _Keyframes(spool, isinstance(config.trim, TrimAutomatic)), BarFinder()
    with opened(path) as (container, stream):
        reader = FilmReader(container, stream, config.every if planned else None)
        cuts = CutFinder(config.shot_threshold, float(stream.average_rate or 25))
        developer = Developer(config.width, config.height, pixel_aspect(stream), bars)
        for second, pts, frame in nearest(cuts.watch(reader), config.every):
            finder.see(frame)
            image = developer.keyframe(frame)
            keyframes.add(second, pts, encode(image, config.quality), luma(image))
    spool.flush()
    return _Pass(reader, keyframes, cuts.cuts(), finder.bars())


def _numbers(
    film_id: str, keyframes: _Keyframes, left: slice, cuts: list[float], end: float, config: KeyframesConfig
) -> pa.Table:
    edges = np.array([0.0, *cuts, end])
    pts, places = np.array(keyframes.pts[left]), np.array(keyframes.places)
    after = np.searchsorted(edges, pts, side="right")
    columns = {
        "row_id": [row_id(film_id, second) for second in keyframes.seconds[left]],
        "film_id": [film_id] * len(pts),
        "second": keyframes.seconds[left],
        "pts": pts,
        "shot": np.searchsorted(cuts, pts, side="right"),
        "to_cut": np.minimum(pts - edges[after - 1], edges[np.minimum(after, len(edges) - 1)] - pts),
        "motion": [0.0, *keyframes.motion[left][1:]],
        "look": keyframes.looks[left],
        "width": [config.width] * len(pts),
        "height": [config.height] * len(pts),
    }
    schema = SCHEMAS["keyframes"]
    rows = {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    where = {"place": pa.array(places[:-1][left]), "size": pa.array(np.diff(places)[left])}
    return pa.table(rows | where)


def _too_few(path: Path, config: KeyframesConfig, reader: FilmReader, made: int, left: int) -> FilmError:
    name, damage = repr(str(path)), reader.damage()
    what = f"{left} keyframes of {name} decode, two are the least"
    if lost := missing_end(path):
        return FilmError("truncated", f"{what}: {lost}")
    if damage or not reader.frames:
        return FilmError("decode_failed", f"{what}: {damage or 'it holds no picture'}")
    return _too_short(str(path), config, reader.end, made, left)


def _too_short(source: str, config: KeyframesConfig, end: float, made: int, left: int) -> FilmError:
    lasts = f"{source!r} lasts {end:.2f} s"
    if made < FEWEST_KEYFRAMES:
        return FilmError("too_short", f"{lasts}: a keyframe every {config.every:g} s makes {made}, two are the least")
    return FilmError("too_short", f"{lasts}: {config.trim} leave {left} keyframes, two are the least; lower them")
