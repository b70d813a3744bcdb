"""The types that a stage's function yields while it works on a film, and the answers that the driver receives."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from storage.errors import FilmError
from storage.root import Storage
from storage.tables.datafiles import DataFile, RowBuffer
from storage.tables.schemas import KEYS, checked

ATTEMPTS = 3  # per film that crashes its worker
HELD_BYTES = 16 << 20  # of a film's rows in one table; a worker writes more than that to a file


@dataclass(frozen=True)
class Made:
    """Rows of a film by table, and a note if the film is damaged."""

    tables: Mapping[str, pa.Table]
    note: FilmError | None = None


@dataclass(frozen=True)
class Step:
    """Progress on one film, in keyframes."""

    done: int
    total: int


Work = Callable[[str], Made | Iterator[Step | Made]]
"""Makes a film's rows, all at once or in parts, or raises FilmError to reject the film.

Long work also yields Steps. Rows are committed only after the function has returned without an error.
"""


@dataclass(frozen=True)
class ReadsAhead:
    """Work that starts to read the next film in a thread when `expect` is called."""

    work: Work
    expect: Callable[[str], None]

    def __call__(self, film_id: str) -> Made | Iterator[Step | Made]:
        return self.work(film_id)


Make = Callable[[], Work]
"""Called in the actor; loads the models."""


@dataclass(frozen=True)
class Film:
    """A film to work on: the fingerprint of its rows, and the number of attempts that ended their worker."""

    film_id: str
    fingerprint: str
    attempts: int = 0


@dataclass(frozen=True)
class Answer:
    """A worker's message about a film: its progress and, last, its rows, its reject, or the traceback of a failure.

    Attributes:
        begins: whether it only says that the work begins.
        files: by table, written files with rows of only this film; a commit makes them count.
        rest: by table, the rows that are not in these files.
        rows: by table, the number of all rows.
    """

    film_id: str
    attempts: int
    begins: bool = False
    step: Step | None = None
    files: Mapping[str, list[DataFile]] = field(default_factory=dict)
    rest: Mapping[str, pa.Table] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    note: FilmError | None = None
    reject: FilmError | None = None
    failure: str = ""

    @property
    def final(self) -> bool:
        return not (self.begins or self.step)


def answered(storage: Storage, film: Film, attempt: int, work: Work) -> Iterator[Answer]:
    """One attempt at a film: yields its steps and, last, its rows. Only few rows are in memory, even of a long film.

    Raises:
        FilmError: from `work`; the files written so far are then removed.
        ValueError: rows do not match the schema of their table, or have the same id.
    """
    buffers: dict[str, RowBuffer] = {}
    known: dict[str, set[tuple[str, ...]]] = {}
    note: FilmError | None = None
    try:
        made = work(film.film_id)
        for part in [made] if isinstance(made, Made) else made:
            match part:
                case Step():
                    yield Answer(film.film_id, attempt, step=part)
                case Made():
                    note = part.note or note
                    for table, rows in part.tables.items():
                        rows = checked(table, film.film_id, film.fingerprint, rows)
                        _require_new(table, rows, known.setdefault(table, set()))
                        buffers.setdefault(table, RowBuffer(storage, table, HELD_BYTES)).add(rows)
    except Exception:
        for buffer in buffers.values():
            buffer.discard()
        raise
    yield Answer(
        film.film_id,
        attempt,
        files={table: buffer.files for table, buffer in buffers.items()},
        rest={table: buffer.rest() for table, buffer in buffers.items()},
        rows={table: len(keys) for table, keys in known.items()},
        note=note,
    )


def _require_new(table: str, rows: pa.Table, known: set[tuple[str, ...]]) -> None:
    keys = set(zip(*(rows[key].to_pylist() for key in KEYS[table]), strict=True))
    if twice := keys & known:
        raise ValueError(
            f"two rows of one film in the table {table} have the same {' + '.join(KEYS[table])}: {min(twice)}"
        )
    known |= keys
