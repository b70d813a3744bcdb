"""What a stage's function says of a film while it works on it, and what of that the driver is told."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from storage.errors import FilmError
from storage.root import Storage
from storage.tables.datafiles import DataFile, Sheaf
from storage.tables.schemas import KEYS, checked

ATTEMPTS = 3  # at a film that crashes
HELD_BYTES = 16 << 20  # of a film's rows in a table, that its worker keeps; longer films' go into files of their own


@dataclass(frozen=True)
class Made:
    """Rows that a stage made of a film, for each table; a note when the film is damaged."""

    tables: Mapping[str, pa.Table]
    note: FilmError | None = None


@dataclass(frozen=True)
class Step:
    """How far the work on one film is, in keyframes."""

    done: int
    total: int


Work = Callable[[str], Made | Iterator[Step | Made]]
"""Makes a film's rows, all at once or in parts as they come, or raises FilmError to reject the film.

Work that takes long yields a Step now and then. Rows that were yielded count when the work has come to its end.
"""


@dataclass(frozen=True)
class ReadsAhead:
    """Work that begins to read of a film, in a thread of its own, when it is told to `expect` it next."""

    work: Work
    expect: Callable[[str], None]

    def __call__(self, film_id: str) -> Made | Iterator[Step | Made]:
        return self.work(film_id)


Make = Callable[[], Work]
"""Runs in the actor, where it loads models."""


@dataclass(frozen=True)
class Film:
    """A film to work on: the fingerprint of its rows, and how many attempts ended their worker."""

    film_id: str
    fingerprint: str
    attempts: int = 0


@dataclass(frozen=True)
class Answer:
    """What a worker says of a film: how far it is or, last, its rows, why it is rejected, a failure's traceback.

    Attributes:
        begins: whether it says only that the work begins.
        files: of each table, that hold rows of this film alone, for a commit to name.
        rest: of each table, the rows that are in none of them.
        rows: of each table, how many there are.
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
    """One attempt: the steps, and last the rows. However long the film is, few of its rows are in memory.

    Raises:
        FilmError: as `work` does; the files that were written so far are removed then.
        ValueError: when rows do not fit their table, or an id comes twice.
    """
    sheaves: dict[str, Sheaf] = {}
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
                        sheaves.setdefault(table, Sheaf(storage, table, HELD_BYTES)).add(rows)
    except Exception:
        for sheaf in sheaves.values():
            sheaf.discard()
        raise
    yield Answer(
        film.film_id,
        attempt,
        files={table: sheaf.files for table, sheaf in sheaves.items()},
        rest={table: sheaf.rest() for table, sheaf in sheaves.items()},
        rows={table: len(keys) for table, keys in known.items()},
        note=note,
    )


def _require_new(table: str, rows: pa.Table, known: set[tuple[str, ...]]) -> None:
    keys = set(zip(*(rows[key].to_pylist() for key in KEYS[table]), strict=True))
    if twice := keys & known:
        raise ValueError(f"{table} of one film come with the same {' + '.join(KEYS[table])} twice: {min(twice)}")
    known |= keys
