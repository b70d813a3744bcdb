"""A snapshot names what a model is trained on: which seconds of which films, and which finished work on them."""

from pydantic import BaseModel, ValidationError, model_validator

from storage.errors import StorageError
from storage.fingerprint import fingerprint
from storage.root import Storage


class SnapshotFilm(BaseModel, frozen=True, extra="forbid"):
    """A film and its halves; (first, last) keyframe second, both included. Where it lies says the table `films`."""

    film_id: str
    title: str
    train: tuple[int, int]
    test: tuple[int, int]


class Snapshot(BaseModel, frozen=True, extra="forbid"):
    """Immutable; made by `Snapshot.of`, kept under snapshots/<id>.json.

    Attributes:
        id: fingerprint of the films' ids and halves and of the work. Not of titles or table versions: the same
            data is the same snapshot wherever it lies and however often its run was resumed.
        work: stage -> film_id -> fingerprint, as storage.tables.Tables.read takes it.
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

    @model_validator(mode="after")
    def _names_itself(self) -> "Snapshot":
        if self.id != (true := _identity(self.films, self.work)):
            raise ValueError(f"snapshot {self.id!r} holds what makes snapshot {true!r}: it was changed by hand")
        return self


def save(storage: Storage, snapshot: Snapshot) -> None:
    """Keeps it; one that is already there stays as it is."""
    if not storage.exists(_rel(snapshot.id)):
        storage.write_bytes(_rel(snapshot.id), snapshot.model_dump_json(indent=1).encode())


def load(storage: Storage, snapshot_id: str) -> Snapshot:
    """Raises StorageError when there is none of that id, or it was changed."""
    if not storage.exists(_rel(snapshot_id)):
        known = ", ".join(ids(storage)) or "none"
        raise StorageError(f"no snapshot {snapshot_id!r} in {storage.base!r}; there are: {known}")
    try:
        return Snapshot.model_validate_json(storage.read_bytes(_rel(snapshot_id)))
    except ValidationError as error:
        raise StorageError(f"cannot read {storage.url(_rel(snapshot_id))!r}: {error.errors()[0]['msg']}") from error


def ids(storage: Storage) -> list[str]:
    """Of all snapshots, sorted."""
    return [name.removesuffix(".json") for name in storage.list("snapshots") if name.endswith(".json")]


def _rel(snapshot_id: str) -> str:
    return f"snapshots/{snapshot_id}.json"


def _identity(films: tuple[SnapshotFilm, ...], work: dict[str, dict[str, str]]) -> str:
    return fingerprint([[film.film_id, film.train, film.test] for film in films], work)
