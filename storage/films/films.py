"""The films that a user gave, each set of bytes once, and what their headers say."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa
from pydantic import BaseModel

from storage.decoding.container import frame_rate, opened, told_length
from storage.decoding.upright import lies_sideways
from storage.errors import FilmError
from storage.films.hashing import Hashed, by_bytes
from storage.films.inputs import each_once, found
from storage.films.provenance import UNKNOWN, Provenance
from storage.printable import printable
from storage.remote import address, is_remote, local_path, split
from storage.tables.rejects import Reject
from storage.tables.schemas import SCHEMAS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_SLIMMEST = 8  # pixels: sides of one


class FilmSource(BaseModel, frozen=True, extra="forbid"):
    """A file that may be a film; `source` is its path or URI as the user gave it."""

    film_id: str
    source: str
    said: Provenance = Provenance()

    @property
    def path(self) -> Path:
        """Of a local film."""
        return local_path(self.source)

    @property
    def address(self) -> str:
        """The source as it is shown and kept, without the options of an object store."""
        return address(self.source)

    @property
    def title(self) -> str:
        """The given title, else the file's name."""
        place = PurePosixPath(split(self.address)[1]) if is_remote(self.source) else local_path(self.source)
        return self.said.title or printable(place.stem.replace("_", " "))

    def heir(self, copy: "FilmSource") -> "FilmSource":
        """This film; missing metadata is taken from a copy of it."""
        return self.model_copy(update={"said": self.said.filled(copy.said)})

    def unheard(self, kept: "FilmSource") -> str:
        """Where this film's metadata differs from that of the film kept in its place, to be added to a sentence."""
        says = self.said.filled(kept.said).unlike(kept.said)
        return f"; what is said of it does not count: {says}" if says else ""


class FilmProbe(BaseModel, frozen=True, extra="forbid"):
    """What a film's header and first frame say. Width and height are as shown: after rotation, with square pixels."""

    seconds: float | None  # None when the header doesn't say
    fps: float
    width: int
    height: int
    has_audio: bool
    title: str  # "" when the header doesn't say
    licence: str  # the header's copyright line, else "unknown"


def resolve(
    inputs: Sequence[str],
    hashed: Callable[[Sequence[str]], Hashed] = by_bytes,
    is_own: Callable[[str], bool] = lambda source: False,
) -> tuple[list[FilmSource], list[Reject]]:
    """The films that the inputs of a user name; see storage.films.inputs.

    Args:
        hashed: names the bytes of files (storage.films.hashing.Hasher keeps the names).
        is_own: whether a run made a file; such a one counts only where it is named itself.

    Returns:
        Films in the order given, each set of bytes once, by the first file of which something is said; what is not
        said of that one is taken from the others. And what could not be used: "missing", "unreadable" and
        "unreachable" inputs, rows of manifests, "duplicate" files, and what folders hold besides films.
    """
    named, rejects = each_once(one for given in inputs for one in found(given))
    own = [one.source for one in named if one.source not in inputs and is_own(one.source)]
    rejects += map(_own_work, own)
    named = [one for one in named if one.source not in own]
    hashes = hashed([one.source for one in named])
    films: dict[str, FilmSource] = {}
    for one in named:
        result = hashes[one.source]
        if isinstance(result, FilmError):
            rejects.append(Reject.of(result, address(one.source)))
            continue
        film = FilmSource(film_id=result, source=one.source, said=one.said)
        first = films.setdefault(film.film_id, film)
        if first is not film:
            kept, other = (film, first) if film.said.given() and not first.said.given() else (first, film)
            films[film.film_id] = kept = kept.heir(other)
            rejects.append(_duplicate(other, kept))
    return list(films.values()), rejects


def _own_work(source: str) -> Reject:
    place = address(source)
    detail = f"{place!r} was made by a run in this storage; give its own path to use it all the same"
    return Reject(source=place, reason="own_work", detail=detail)


def _duplicate(film: FilmSource, kept: FilmSource) -> Reject:
    detail = f"{film.address!r} holds the same bytes as {kept.address!r}{film.unheard(kept)}"
    return Reject(source=film.address, reason="duplicate", detail=detail, film_id=film.film_id)


def probe(path: Path | str) -> FilmProbe:
    """What the film says of itself, from its header and its first frame.

    Raises:
        FilmError: as storage.decoding.container.opened does, and decode_failed when there is no first frame.
    """
    import av

    with opened(Path(path)) as (container, stream), suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            with suppress(av.error.FFmpegError):
                if frames := packet.decode():
                    return described(container, stream, frames[0])
    raise FilmError("decode_failed", f"not one frame of {str(path)!r} decodes")


def described(container: "InputContainer", stream: "VideoStream", frame: "VideoFrame") -> FilmProbe:
    """The probe of an open film of which one frame is decoded."""
    width, height = round(frame.width * pixel_aspect(stream)), frame.height
    if lies_sideways(frame):
        width, height = height, width
    return FilmProbe(
        seconds=told_length(container, stream),
        fps=float(frame_rate(container, stream)),
        width=width,
        height=height,
        has_audio=bool(container.streams.audio),
        title=container.metadata.get("title", "").strip(),
        licence=container.metadata.get("copyright", "").strip() or "unknown",
    )


def pixel_aspect(stream: "VideoStream") -> Fraction:
    """Width of a pixel in pixel heights; 1 if the film doesn't say, or says something impossible."""
    return credible_aspect(stream.sample_aspect_ratio)


def credible_aspect(aspect: Fraction | None) -> Fraction:
    """The given aspect of a pixel if it is possible, else 1."""
    return aspect if aspect and 1 / _SLIMMEST <= aspect <= _SLIMMEST else Fraction(1)


def film_rows(film: FilmSource, probe: FilmProbe) -> pa.Table:
    """The film's row for the table `films`, without its fingerprint."""
    if probe.seconds is None:
        raise ValueError(f"the length of {film.source!r} is not known: take the probe of its DecodedFilm")
    named = {"film_id": film.film_id, "source": film.address, "title": probe.title or film.title}
    row = UNKNOWN | probe.model_dump() | named | film.said.given()
    schema = SCHEMAS["films"]
    return pa.Table.from_pylist([row], schema=schema.remove(schema.get_field_index("fingerprint")))
