"""What the user gave as films, each set of bytes once; and what a file says of itself."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import BaseModel

from storage.container import opened
from storage.errors import FilmError
from storage.hashing import Hashed, by_bytes
from storage.inputs import found
from storage.perceptual import near_duplicates
from storage.provenance import UNKNOWN, Named, Provenance
from storage.rejects import Reject
from storage.remote import is_remote, local_path
from storage.schemas import SCHEMAS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class FilmSource(BaseModel, frozen=True, extra="forbid"):
    """A file that may be a film; `source` is the path or URI as the user reaches it."""

    film_id: str
    source: str
    phash: str = ""
    said: Provenance = Provenance()

    @property
    def path(self) -> Path:
        """Of a local film."""
        return local_path(self.source)

    @property
    def title(self) -> str:
        """As somebody said it, else the file's name."""
        place = urlsplit(self.source).path if is_remote(self.source) else self.source
        return self.said.title or PurePosixPath(place).stem.replace("_", " ")


class FilmProbe(BaseModel, frozen=True, extra="forbid"):
    """What a film's header and first frame say. Width and height as shown: after rotation, with square pixels."""

    seconds: float | None  # None when the header doesn't say
    fps: float
    width: int
    height: int
    has_audio: bool
    title: str  # "" when the header doesn't say
    licence: str  # the header's copyright line, else "unknown"


def resolve(
    inputs: Sequence[str], hashed: Callable[[Sequence[str]], Hashed] = by_bytes
) -> tuple[list[FilmSource], list[Reject]]:
    """The films behind what a user may name: see storage.inputs.

    Args:
        hashed: names the bytes of files, and may look at their pictures too (storage.hashing.Hasher).

    Returns:
        Films in the order given, each set of bytes once; and what could not be used: "missing", "unreadable" and
        "unreachable" inputs, rows of manifests, and "duplicate" files.
    """
    named: dict[str, Named] = {}
    rejects: list[Reject] = []
    for one in (one for given in inputs for one in found(given)):
        if isinstance(one, Reject):
            rejects.append(one)
        else:
            named.setdefault(_place(one.source), one)  # the same file may be named twice
    hashes = hashed([one.source for one in named.values()])
    films: dict[str, FilmSource] = {}
    for one in named.values():
        result = hashes[one.source]
        if isinstance(result, FilmError):
            rejects.append(Reject.of(result, one.source))
            continue
        film = FilmSource(source=one.source, said=one.said, **result.model_dump())
        first = films.setdefault(film.film_id, film)
        if first is not film:
            detail = f"{film.source!r} holds the same bytes as {first.source!r}"
            rejects.append(Reject(source=film.source, reason="duplicate", detail=detail, film_id=film.film_id))
    return list(films.values()), rejects


def without_near_duplicates(films: Sequence[FilmSource]) -> tuple[list[FilmSource], list[Reject]]:
    """The films without those whose pictures are an earlier one's, and "near_duplicate" for each of these."""
    near = near_duplicates([film.phash for film in films])
    rejects = []
    for place, first in near.items():
        film = films[place]
        detail = (
            f"{film.source!r} shows the same pictures as {films[first].source!r}; "
            "if they are two films, set ingest.near_duplicates=false"
        )
        rejects.append(Reject(source=film.source, reason="near_duplicate", detail=detail, film_id=film.film_id))
    return [film for place, film in enumerate(films) if place not in near], rejects


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
    named = {"film_id": film.film_id, "source": film.source, "title": probe.title or film.title, "phash": film.phash}
    row = UNKNOWN | probe.model_dump() | named | film.said.given()
    schema = SCHEMAS["films"]
    return pa.Table.from_pylist([row], schema=schema.remove(schema.get_field_index("fingerprint")))


def _place(source: str) -> str:
    return source if is_remote(source) else str(local_path(source).resolve())
