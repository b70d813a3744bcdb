"""What the user gave as films: files, folders and patterns, resolved; and what a file says of itself."""

import glob
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pydantic import BaseModel

from storage.container import opened
from storage.errors import FilmError
from storage.fingerprint import file_id
from storage.rejects import Reject
from storage.schemas import SCHEMAS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FILM_ENDINGS = frozenset(
    [
        *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
        *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    ]
)


class FilmSource(BaseModel, frozen=True, extra="forbid"):
    """A file that may be a film; `source` is the path as the user reaches it."""

    film_id: str
    source: str

    @property
    def path(self) -> Path:
        return Path(self.source)

    @property
    def title(self) -> str:
        return self.path.stem.replace("_", " ")


class FilmProbe(BaseModel, frozen=True, extra="forbid"):
    """What a film's header and first frame say. Width and height as shown: after rotation, with square pixels."""

    seconds: float | None  # None when the header doesn't say
    fps: float
    width: int
    height: int
    has_audio: bool
    title: str  # "" when the header doesn't say
    licence: str  # the header's copyright line, else "unknown"


def resolve(inputs: Sequence[str]) -> tuple[list[FilmSource], list[Reject]]:
    """The films behind paths, folders (searched to the bottom, by ending) and patterns such as "films/*.mp4".

    Returns:
        Films in the order given, a folder's sorted by name, each set of bytes once; and what could not be used:
        "missing" and "unreadable" inputs, and "duplicate" files.
    """
    films: dict[str, FilmSource] = {}
    rejects: list[Reject] = []
    seen: set[Path] = set()
    for given in inputs:
        paths = list(_paths(given))
        if not paths:
            rejects.append(Reject(source=given, reason="missing", detail=_nothing_at(given)))
        for path in paths:
            if path.resolve() in seen:  # the same file, named twice
                continue
            seen.add(path.resolve())
            if not path.is_file():  # a pipe or a device: reading it may never end
                detail = f"{str(path)!r} is not a file"
                rejects.append(Reject(source=str(path), reason="not_a_video", detail=detail))
                continue
            try:
                film = FilmSource(film_id=file_id(path), source=str(path))
            except OSError as error:
                detail = f"{str(path)!r} cannot be read: {error.strerror}"
                rejects.append(Reject(source=str(path), reason="unreadable", detail=detail))
                continue
            first = films.setdefault(film.film_id, film)
            if first is not film:
                detail = f"{film.source!r} holds the same bytes as {first.source!r}"
                rejects.append(Reject(source=film.source, reason="duplicate", detail=detail, film_id=film.film_id))
    return list(films.values()), rejects


def probe(path: Path | str) -> FilmProbe:
    """What the film says of itself, from its header and its first frame.

    Raises:
        FilmError: as storage.container.opened does, and decode_failed when there is no first frame.
    """
    import av

    with opened(Path(path)) as (container, stream):
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            if frames:
                return described(container, stream, frames[0])
    raise FilmError("decode_failed", f"not one frame of {str(path)!r} decodes")


def described(container: "InputContainer", stream: "VideoStream", frame: "VideoFrame") -> FilmProbe:
    """The probe of an open film of which one frame is decoded."""
    width, height = round(frame.width * pixel_aspect(stream)), frame.height
    if round(frame.rotation / 90) % 2:
        width, height = height, width
    return FilmProbe(
        seconds=container.duration / 1_000_000 if container.duration else None,
        fps=float(stream.average_rate or stream.guessed_rate or 25),
        width=width,
        height=height,
        has_audio=bool(container.streams.audio),
        title=container.metadata.get("title", "").strip(),
        licence=container.metadata.get("copyright", "").strip() or "unknown",
    )


def pixel_aspect(stream: "VideoStream") -> Fraction:
    """Width of a pixel in heights; 1 when the film doesn't say."""
    return stream.sample_aspect_ratio or Fraction(1)


def film_rows(film: FilmSource, probe: FilmProbe) -> pa.Table:
    """The film's row for the table `films`, without its fingerprint."""
    if probe.seconds is None:
        raise ValueError(f"the length of {film.source!r} is not known: take the probe of its DecodedFilm")
    row = probe.model_dump() | {"film_id": film.film_id, "source": film.source, "title": probe.title or film.title}
    schema = SCHEMAS["films"]
    return pa.Table.from_pylist([row], schema=schema.remove(schema.get_field_index("fingerprint")))


def _paths(given: str) -> Iterator[Path]:
    path = Path(given).expanduser()
    if path.is_dir():
        yield from sorted(_in_folder(path))
    elif path.exists():
        yield path
    else:
        for match in sorted(map(Path, glob.glob(str(path), recursive=True))):  # noqa: PTH207 - takes absolute patterns
            yield from sorted(_in_folder(match)) if match.is_dir() else (match,)


def _in_folder(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in FILM_ENDINGS and path.is_file() and not hidden:
            yield path


def _nothing_at(given: str) -> str:
    if Path(given).expanduser().is_dir():
        return f"the folder {given!r} holds no film: no file that ends in {' '.join(sorted(FILM_ENDINGS))}"
    return f"nothing matches {given!r}" if glob.has_magic(given) else f"there is no file or folder {given!r}"
