"""Which films: those that the user names or, when none is named, one that the project draws itself."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from storage.errors import MovieDreamerError
from storage.films import FilmSource, resolve
from storage.rejects import Reject
from storage.root import Storage
from storage.tables import Tables
from tasks.progress import Progress

STAGE = "films"


class DrawnConfig(BaseModel, frozen=True, extra="forbid"):
    """The film that is drawn when none is given; length in seconds, size in pixels."""

    seed: int = 7
    seconds: int = Field(default=96, ge=4)
    width: int = Field(default=896, ge=96, multiple_of=2)
    height: int = Field(default=512, ge=96, multiple_of=2)

    @property
    def rel(self) -> str:
        """Where the storage keeps it."""
        return f"films/drawn-{self.seed}-{self.seconds}s-{self.width}x{self.height}.mp4"


class IngestConfig(BaseModel, frozen=True, extra="forbid"):
    """`films`: files, folders (searched to the bottom) and patterns; none for the drawn film."""

    films: tuple[str, ...] = ()
    drawn: DrawnConfig = DrawnConfig()


@dataclass(frozen=True)
class Ingested:
    """The films that are there, by their ids, and what of the input is not usable."""

    films: Mapping[str, FilmSource]
    rejects: tuple[Reject, ...]


class NoFilmsError(MovieDreamerError):
    """Not one film is left; the message names the reason for each."""


def run(config: IngestConfig, storage: Storage, progress: Progress) -> Ingested:
    """Finds and names the films, draws the own one when it is wanted and not there, and keeps what is rejected.

    Raises:
        NoFilmsError: when nothing is left; the message quotes each input.
        StorageError: when the storage cannot be written.
    """
    given = config.films or (str(drawn_film(config.drawn, storage, progress)),)
    films, rejects = resolve(given)
    tables = Tables(storage)
    known = {reject.source for reject in tables.rejects() if reject.stage == STAGE}
    for film in films:
        if film.source in known:
            tables.withdraw(STAGE, film.source)
    for reject in rejects:
        tables.reject(reject)
    require_films([film.film_id for film in films], rejects)
    return Ingested({film.film_id: film for film in films}, tuple(rejects))


def require_films(film_ids: Sequence[str], rejects: Sequence[Reject]) -> None:
    """Raises NoFilmsError, which names each reason, when `film_ids` is empty."""
    if not film_ids:
        reasons = "\n".join(f"  {reject.reason}: {reject.detail}" for reject in rejects)
        raise NoFilmsError(f"no film is left to work on:\n{reasons}")


def drawn_film(config: DrawnConfig, storage: Storage, progress: Progress) -> Path:
    """The project's own film as a local file; drawn once a storage, with its truth beside it as .truth.json."""
    truth = str(Path(config.rel).with_suffix(".truth.json"))
    if not (storage.exists(config.rel) and storage.exists(truth)):
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as folder:
            path = Path(folder) / Path(config.rel).name
            _draw(config, path, progress)
            storage.upload(path.with_suffix(".truth.json"), truth)
            storage.upload(path, config.rel)
    if storage.is_local:
        return Path(storage.uri) / config.rel
    copy = Path(tempfile.gettempdir()) / "moviedreamer" / Path(config.rel).name
    return copy if copy.exists() else storage.download(config.rel, copy)


def _draw(config: DrawnConfig, path: Path, progress: Progress) -> None:
    from drawn.film import draw_film

    def drawn(frames: int, total: int) -> None:
        progress("drawing the film", frames, total)

    draw_film(path, config.seed, config.seconds, (config.width, config.height), progress=drawn)
