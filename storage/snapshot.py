"""A snapshot names what a model is trained on: which seconds of which films, and which finished work on them."""

import re
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ValidationError, model_validator

from storage.errors import StorageError
from storage.fingerprint import fingerprint
from storage.printable import printable
from storage.root import Storage

Part = Literal["train", "test"]
Span = tuple[int, int]
"""(first, last) keyframe second, both included."""
_NO_SPAN: Span = (0, -1)
_FILE = r"[0-9a-f]{16}\.json"


class SnapshotFilm(BaseModel, frozen=True, extra="forbid"):
    """A film: which seconds are for training and which are held out. The table `films` says where it is stored.

    Args:
        train, test: a half each or, where films are split as wholes, one of them and None.
        movie: that the film is a part of, "" for a movie of its own.
    """

    film_id: str
    title: str
    train: Span | None
    test: Span | None
    movie: str = ""

    @model_validator(mode="after")
    def _is_of_use(self) -> Self:
        if self.train is None and self.test is None:
            raise ValueError(f"film {self.film_id!r} has nothing to learn from and nothing held out")
        return self

    @property
    def name(self) -> str:
        """The title, safe to show."""
        return printable(self.title)

    def part(self, second: int) -> Part | None:
        """The part that a keyframe belongs to; None if it is outside the spans."""
        spans: dict[Part, Span | None] = {"train": self.train, "test": self.test}
        return next((name for name, span in spans.items() if span and span[0] <= second <= span[1]), None)


class Snapshot(BaseModel, frozen=True, extra="forbid"):
    """Immutable; made by `Snapshot.of`, kept under snapshots/<id>.json.

    Attributes:
        id: fingerprint of the films' ids and spans and of the work. Not of titles or table versions: the same
            data is the same snapshot wherever it lies and however often its run was resumed.
        work: stage -> film_id -> fingerprint, as storage.tables.tables.Tables.read takes it.
        versions: Delta versions of the tables that it was made from, for people.
    """

    id: str
    films: tuple[SnapshotFilm, ...]
    work: dict[str, dict[str, str]]
    versions: dict[str, int]

    @classmethod
    def of(
        cls, films: tuple[SnapshotFilm, ...], work: dict[str, dict[str, str]], versions: dict[str, int]
    ) -> "Snapshot":
        return cls(id=_identity(films, work), films=films, work=work, versions=versions)

    @property
    def by_films(self) -> bool:
        """Whether films are learnt from or held out as wholes."""
        return any(film.train is None or film.test is None for film in self.films)

    def of_part(self, part: Part) -> tuple[SnapshotFilm, ...]:
        """The films that have this part."""
        return tuple(film for film in self.films if getattr(film, part) is not None)

    def rows_of(self, part: Part, rows: pa.Table) -> pa.Table:
        """Those of a part, of keyframes of its films with film_id and second."""
        films = pc.index_in(rows["film_id"], pa.array([film.film_id for film in self.films], pa.string())).to_numpy()
        spans = [getattr(film, part) or _NO_SPAN for film in self.films]
        first, last = np.array(spans, np.int64).reshape(-1, 2).T
        seconds = rows["second"].to_numpy()
        return rows.filter(pa.array((first[films] <= seconds) & (seconds <= last[films])))

    def within(self, work: Mapping[str, Mapping[str, str]]) -> "Snapshot":
        """The same snapshot, with the same id, of only those films that each of these stages has finished."""
        films = tuple(film for film in self.films if all(film.film_id in done for done in work.values()))
        left = {film.film_id for film in films}
        kept = {stage: {film: key for film, key in done.items() if film in left} for stage, done in self.work.items()}
        return self.model_copy(update={"films": films, "work": kept})

    @model_validator(mode="after")
    def _names_itself(self) -> "Snapshot":
        if self.id != (true := _identity(self.films, self.work)):
            raise ValueError(f"snapshot {self.id!r} holds what makes snapshot {true!r}: it was changed by hand")
        return self


def save(storage: Storage, snapshot: Snapshot) -> None:
    """Saves it, unless it exists."""
    if not storage.exists(_rel(snapshot.id)):
        storage.write_bytes(_rel(snapshot.id), snapshot.model_dump_json(indent=1).encode())


def load(storage: Storage, snapshot_id: str) -> Snapshot:
    """Loads a snapshot. Raises StorageError if there is none with this id, or it was changed."""
    if not storage.exists(_rel(snapshot_id)):
        known = ", ".join(ids(storage)) or "none"
        raise StorageError(f"no snapshot {snapshot_id!r} in {storage.base!r}; there are: {known}")
    try:
        return Snapshot.model_validate_json(storage.read_bytes(_rel(snapshot_id)))
    except ValidationError as error:
        raise StorageError(f"cannot read {storage.url(_rel(snapshot_id))!r}: {error.errors()[0]['msg']}") from error


def newest(storage: Storage) -> str:
    """Id of the snapshot that was written last. Raises StorageError when there is none."""
    name = storage.newest("snapshots", _FILE)
    if name is None:
        raise StorageError(f"no snapshot in {storage.base!r}: make one with build_dataset")
    return name.removesuffix(".json")


def ids(storage: Storage) -> list[str]:
    """The ids of all snapshots, sorted; other people's files are ignored."""
    return [name.removesuffix(".json") for name in storage.list("snapshots") if re.fullmatch(_FILE, name)]


def _rel(snapshot_id: str) -> str:
    return f"snapshots/{snapshot_id}.json"


def _identity(films: tuple[SnapshotFilm, ...], work: dict[str, dict[str, str]]) -> str:
    return fingerprint([[film.film_id, film.train, film.test] for film in films], work)
