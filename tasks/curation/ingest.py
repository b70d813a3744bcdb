"""Ingest: finds the films that the user names or, if none is named, draws one."""

import os
import tempfile
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import pyarrow as pa
from pydantic import BaseModel, Field, model_validator

from drawn.film import REVISION
from drawn.worlds import EVALUATION, TRAINING
from storage.errors import MovieDreamerError
from storage.films.films import FilmSource, resolve
from storage.films.hashing import Hasher
from storage.printable import LINE, printable
from storage.remote import Source, address, is_remote, local_path
from storage.root import Storage
from storage.tables.delta import replace_rows
from storage.tables.evolve import add_columns
from storage.tables.rejects import Reject
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.curation.drawn_films import DrawnFilm
from tasks.progress import Progress

STAGE = "films"


class DrawnConfig(BaseModel, frozen=True, extra="forbid"):
    """The film that is drawn if none is given, and further films drawn as keyframes."""

    seed: int = Field(7, description="seed of the film")
    films: int = Field(0, ge=0, description="number of additional films that are drawn as keyframes, without video")
    first: int = Field(
        TRAINING, ge=0, description="seed of the first further film; the others follow (see drawn.worlds)"
    )
    seconds: int = Field(96, ge=8, description="length in seconds")
    width: int = Field(896, ge=96, multiple_of=2, description="width in pixels")
    height: int = Field(512, ge=96, multiple_of=2, description="height in pixels")

    @property
    def rel(self) -> str:
        """The film's path in the storage."""
        return f"films/drawn-{self.seed}-{self.seconds}s-{self.width}x{self.height}-r{REVISION}.mp4"

    @property
    def sources(self) -> list[FilmSource]:
        """The films that are drawn only as keyframes."""
        seeds = range(self.first, self.first + self.films)
        drawn = (DrawnFilm(seed=n, seconds=self.seconds, width=self.width, height=self.height) for n in seeds)
        return [film.source for film in drawn]

    @model_validator(mode="after")
    def _kept_apart(self) -> Self:
        last = self.first + self.films - 1
        if self.first in EVALUATION and last > EVALUATION[-1]:
            raise ValueError(
                f"films {self.first} to {last} mix seeds for evaluation, which end with {EVALUATION[-1]}, with others: "
                f"draw fewer or set ingest.drawn.first={TRAINING}"
            )
        return self


class IngestConfig(BaseModel, frozen=True, extra="forbid"):
    """What to work on.

    A file counts once: what a manifest says about it takes precedence over the folder that it is in, and of two
    rows the earlier counts (storage.films.inputs).
    """

    films: tuple[Source, ...] = Field(
        (),
        description="files, folders, patterns, manifests (.csv, .parquet) and Condensed Movies, by path or URI; "
        "none: the drawn film",
    )
    drawn: DrawnConfig = Field(DrawnConfig(), description="the film that is drawn if none is given")


@dataclass(frozen=True)
class Ingested:
    """The films to work on, by id, and the rejects."""

    films: Mapping[str, FilmSource]
    rejects: tuple[Reject, ...]


class NoFilmsError(MovieDreamerError):
    """No film is left; the message gives the reason for each."""


def run(config: IngestConfig, storage: Storage, progress: Progress) -> Ingested:
    """Finds the films and their ids, draws the project's own film if it is needed and missing, and stores rejects.

    Raises:
        NoFilmsError: nothing is left; the message quotes each input.
        StorageError: the storage cannot be written.
    """
    drawn = config.drawn.sources
    given = config.films or (() if drawn else (drawn_film(config.drawn, storage, progress),))
    for table in SCHEMAS:
        add_columns(storage, table)
    films, rejects = resolve(given, Hasher(storage, partial(progress, "naming the films")), partial(_is_own, storage))
    films += drawn
    _keep(storage, given, {film.address for film in films}, rejects)
    require_films([film.film_id for film in films], rejects)
    return Ingested({film.film_id: film for film in films}, tuple(rejects))


def _keep(storage: Storage, given: Sequence[str], fine: Set[str], rejects: Sequence[Reject]) -> None:
    """Replaces earlier rejects of the same inputs and files by this run's, in one commit."""
    folders = [local_path(each).absolute().as_uri() for each in given if not is_remote(each)]
    places = tuple(
        f"{each.rstrip('/')}{sign}" for each in (*map(address, given), *folders) for sign in "/:"
    )  # or a manifest's row
    old = [reject for reject in Tables(storage).rejects() if reject.stage == STAGE]
    said = {reject.source for reject in rejects}
    again = fine | said | set(map(address, given))
    others = [reject for reject in old if reject.source not in again and not reject.source.startswith(places)]
    new = others + list(rejects)
    rows = sorted({reject.model_dump_json(): reject.model_dump() for reject in new}.items())
    if [row for _, row in rows] != [reject.model_dump() for reject in sorted(old, key=Reject.model_dump_json)]:
        table = pa.Table.from_pylist([row for _, row in rows], schema=SCHEMAS["rejects"])
        replace_rows(storage, "rejects", table, {"stage": STAGE})


def _is_own(storage: Storage, source: str) -> bool:
    """Whether a run in this storage made the film, such as a rendered movie."""
    if is_remote(source):
        home, place = address(storage.source("")), address(source)
    else:
        home, place = os.path.realpath(storage.base), os.path.realpath(local_path(source))
    rel = place.removeprefix(f"{home.rstrip('/')}/")
    return rel != place and storage.record.exists and storage.record.made(rel)


def require_films(film_ids: Sequence[str], rejects: Sequence[Reject]) -> None:
    """Raises NoFilmsError, with each reason, if `film_ids` is empty."""
    if not film_ids:
        reasons = "\n".join(f"  {reject.reason}: {printable(reject.detail, LINE)}" for reject in rejects)
        raise NoFilmsError(f"no film is left to work on:\n{reasons}")


def drawn_film(config: DrawnConfig, storage: Storage, progress: Progress) -> str:
    """Path or URI of the project's own film, drawn once per storage; a .truth.json has its ground truth."""
    truth = str(Path(config.rel).with_suffix(".truth.json"))
    if not (storage.exists(config.rel) and storage.exists(truth)):
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as folder:
            path = Path(folder) / Path(config.rel).name
            _draw(config, path, progress)
            storage.upload(path.with_suffix(".truth.json"), truth)
            storage.upload(path, config.rel)
    return storage.source(config.rel)


def _draw(config: DrawnConfig, path: Path, progress: Progress) -> None:
    from drawn.film import draw_film

    def drawn(frames: int, total: int) -> None:
        progress("drawing the film", frames, total)

    draw_film(path, config.seed, config.seconds, (config.width, config.height), progress=drawn)
