"""From a film to its keyframes: one a second, cropped, resized, with its shot and motion (paper, appendix C)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from storage.decoding.bars import BarFinder, Bars, guess
from storage.decoding.container import frame_rate, missing_end, opened, picture_instead
from storage.decoding.encryption import is_noise
from storage.decoding.look import look
from storage.decoding.pictures import Developer, encode, luma
from storage.decoding.plan import PlanError, nearest
from storage.decoding.reader import FilmReader
from storage.decoding.shots import CutFinder
from storage.decoding.trim import Signs, Trim, TrimAutomatic, TrimSeconds, kept, signs
from storage.decoding.upright import view
from storage.errors import FilmError
from storage.films.films import FilmProbe, FilmSource, pixel_aspect
from storage.fingerprint import file_id
from storage.tables.schemas import SCHEMAS, row_id

FEWEST_KEYFRAMES = 2  # one cannot be held against another
BATCH = 64  # keyframes
_NOISE = 0.3  # damaged packets for each frame: noise seldom looks like more frames than that


class KeyframesConfig(BaseModel, frozen=True, extra="forbid"):
    """How keyframes are taken from a film.

    What is transparent becomes black; the alpha of VP8 and VP9, which libav does not decode, is ignored.
    """

    every: float = Field(1.0, ge=1.0, description="seconds between two keyframes")
    trim: Trim = Field(TrimSeconds(), description="what is cut off at the beginning and end of a film")
    width: int = Field(896, ge=16, description="width of a keyframe in pixels")
    height: int = Field(512, ge=16, description="height of a keyframe in pixels")
    quality: int = Field(90, ge=1, le=100, description="WebP quality, 1 to 100")
    shot_threshold: float = Field(
        2.5,
        gt=1.0,
        description="how much a shot's first picture differs from its neighbours at least (storage.decoding.shots)",
    )
    time_limit: float = Field(3600.0, gt=0.0, description="seconds that the decoding of a film may take")
    cpu_limit: float = Field(7200.0, gt=0.0, description="seconds of CPU time that the decoding of a film may take")
    memory_limit: float = Field(8.0, gt=0.0, description="GiB of address space of the decoding process")

    def identity(self) -> dict[str, object]:
        """What changes the keyframes, for a fingerprint: all but the limits."""
        return self.model_dump(mode="json", exclude={"time_limit", "cpu_limit", "memory_limit"}) | {"revision": 9}


@dataclass(frozen=True)
class DecodedFilm:
    """A film's keyframes; their pictures lie in a file that is gone when this is closed.

    Attributes:
        probe: as storage.films.films.probe, with the measured length.
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

    def add(self, second: int, pts: float, image: bytes, small: np.ndarray, whole: np.ndarray) -> None:
        """`small`: the picture's luma; `whole`: that of all that the frame shows, of which it may be a part."""
        before = small if self._before is None else self._before
        self.seconds.append(second)
        self.pts.append(pts)
        self.motion.append(float(np.abs(small.astype(np.float32) - before).mean()))
        self.looks.append(look(whole))
        if self.signed:
            self.shown.append(signs(small, self._before))
        self.places.append(self.places[-1] + self.spool.write(image))
        self._before = small


_Part = tuple[int, int, Fraction]
"""Of a film whose picture changes: width and height as they are stored, and the width of a pixel in heights."""


@dataclass(frozen=True)
class _Pass:
    """What one reading of the film found."""

    reader: FilmReader
    keyframes: _Keyframes
    cuts: list[float]
    bars: dict[_Part, Bars]


def decode_film(path: Path | str, config: KeyframesConfig, spool: IO[bytes] | None = None) -> DecodedFilm:
    """Decodes a film from its first to its last frame, in this process (storage.decoding.child has a safer way).

    Keyframes are the frames nearest to each whole step of `config.every`, none farther than half a step; a frame that
    is held for long (storage.decoding.stills) is the keyframe of each step until the next. A damaged film keeps those
    that decode. Memory holds numbers; the pictures go to `spool`, by default a temporary file.

    Raises:
        FilmError: as storage.decoding.container.opened does, and too_short, truncated or decode_failed when fewer than
            two keyframes are left.
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
            small = luma(image)
            keyframes.add(second, pts, encode(image, config.quality), small, small)
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
    if reader.bad >= _NOISE * reader.frames:
        with opened(path) as (container, stream):
            if is_noise(container, stream):
                raise FilmError("encrypted", f"{str(path)!r} is encrypted, or noise: a copy that lost its marks (CENC)")
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
    guessed, planned, settled = guess(path), True, False
    bars: Mapping[_Part, Bars] = defaultdict(lambda: guessed)
    while True:
        try:
            taken = _read(path, config, spool, bars, planned)
        except PlanError:
            planned = False
            continue
        if settled or all(found.like(bars[part]) for part, found in taken.bars.items()):
            return taken
        bars, settled = taken.bars, True


def _read(path: Path, config: KeyframesConfig, spool: IO[bytes], bars: Mapping[_Part, Bars], planned: bool) -> _Pass:
    spool.seek(0)
    spool.truncate()
    keyframes = _Keyframes(spool, isinstance(config.trim, TrimAutomatic))
    finders: defaultdict[_Part, BarFinder] = defaultdict(BarFinder)
    developers: dict[_Part, Developer] = {}
    with opened(path) as (container, stream):
        reader = FilmReader(container, stream, config.every if planned else None)
        cuts = CutFinder(config.shot_threshold, float(frame_rate(container, stream)))
        aspect = pixel_aspect(stream)
        for second, pts, frame in nearest(cuts.watch(reader), config.every):
            part = frame.width, frame.height, view(frame).pixel_aspect or aspect
            finders[part].see(frame)
            if part not in developers:
                developers[part] = Developer(config.width, config.height, part[-1], bars[part])
            image, whole = developers[part].keyframe(frame), developers[part].whole(frame)
            keyframes.add(second, pts, encode(image, config.quality), luma(image), whole)
    spool.flush()
    return _Pass(reader, keyframes, cuts.cuts(), {part: finder.bars() for part, finder in finders.items()})


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
    what = f"only {left} keyframes of {name} decode, at least two are needed"
    if lost := missing_end(path):
        return FilmError("truncated", f"{what}: {lost}")
    if made < FEWEST_KEYFRAMES and reader.frames == 1:
        if picture := picture_instead(path):
            return picture
        if not damage and reader.last_end > reader.end + config.every:
            shows = f"{name} shows one picture to {reader.last_end:.1f} s of sound"
            return FilmError("no_video_stream", f"{shows}, as music with a cover does")
    if damage or not reader.frames:
        return FilmError("decode_failed", f"{what}: {damage or 'it holds no picture'}")
    return _too_short(str(path), config, reader.end, made, left)


def _too_short(source: str, config: KeyframesConfig, end: float, made: int, left: int) -> FilmError:
    lasts = f"{source!r} lasts {end:.2f} s"
    if made < FEWEST_KEYFRAMES:
        return FilmError(
            "too_short", f"{lasts}: one keyframe every {config.every:g} s makes {made}, at least two are needed"
        )
    return FilmError("too_short", f"{lasts}: {config.trim} leave {left} keyframes, at least two are needed; lower them")
