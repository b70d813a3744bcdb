"""Commits a stage's finished films in batches, so that the cost of a commit doesn't grow with the number of films.

A batch is a set of data files that contain its films' rows. First one Delta commit per table adds the files; then one
commit to `work` makes the rows count. Each commit carries the batch's number and the run's token, as Delta's
application transactions. These are enough to commit every film exactly once:

- If a table's newest batch is newer than that of `work`, a killed run left it. The next run deletes its rows, and
  searches no other table.
- A commit whose answer was lost is recognised by its number and token.
- A run's commit is refused if another run has committed to the same table as the same stage since. So if two runs use
  one storage by mistake, one of them stops, and no row is duplicated.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.errors import StorageError
from storage.guard import guarded
from storage.root import Storage
from storage.tables.datafiles import DataFile, write_file
from storage.tables.delta import create_table, open_table, pairs, tidy, until_committed
from storage.tables.schemas import SCHEMAS

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

_TIDY_EVERY = 64  # batches
_TERMS = 256  # films in one condition


@dataclass
class _Fenced:
    """One table, written by one run of one stage."""

    storage: Storage
    table: str
    stage: str
    run: int
    delta: "DeltaTable | None"
    seen: tuple[int, int] = field(init=False)  # number and run of this stage's newest batch

    def __post_init__(self) -> None:
        self.seen = self._newest()

    def commit(self, number: int, change: "Callable[[DeltaTable, CommitProperties], object]") -> None:
        """Commits a change as batch `number`, on top of what other stages have committed meanwhile."""
        from deltalake import CommitProperties, Transaction

        names = CommitProperties(
            app_transactions=[Transaction(self.stage, number), Transaction(f"{self.stage}/run", self.run)]
        )
        with guarded("write", self.storage.url(f"tables/{self.table}")):
            if self.delta is None:
                self.delta = create_table(self.storage, self.table)
                self._require_own()
            delta = self.delta

            def stands() -> bool:
                delta.update_incremental()
                if self.seen != (number, self.run) == self._newest():
                    return True
                self._require_own()
                return False

            until_committed(lambda: change(delta, names), stands)
            delta.update_incremental()
            self.seen = number, self.run
            self._require_own()

    def append(self, number: int, files: Sequence[DataFile]) -> None:
        actions = [file.action() for file in files]
        self.commit(
            number,
            lambda delta, names: delta.create_write_transaction(
                actions, "append", delta.schema(), [], commit_properties=names
            ),
        )

    def delete(self, number: int, work: Sequence[tuple[str, str]]) -> None:
        for start in range(0, len(work), _TERMS):
            some = work[start : start + _TERMS]
            predicate = " OR ".join(f"(film_id = '{film_id}' AND fingerprint = '{key}')" for film_id, key in some)
            last = start + _TERMS >= len(work)  # earlier commits keep the old number: there is more to delete
            self.commit(number if last else self.seen[0], partial(_delete, predicate))

    def _newest(self) -> tuple[int, int]:
        if self.delta is None:
            return 0, 0
        return (
            self.delta.transaction_version(self.stage) or 0,
            self.delta.transaction_version(f"{self.stage}/run") or 0,
        )

    def _require_own(self) -> None:
        if self._newest() != self.seen:
            raise StorageError(
                f"another run has committed {self.stage} to {self.storage.base!r} since this one began: "
                "this one stops, no row is duplicated; use a storage with one run at a time"
            )


def _delete(predicate: str, delta: "DeltaTable", names: "CommitProperties") -> None:
    delta.delete(predicate, commit_properties=names)


class Batches:
    """One run of a stage on one storage.

    Args:
        tables: names of the tables that the stage writes.

    Raises:
        StorageError: the storage cannot be read or written, or another run of the stage uses it.
    """

    def __init__(self, storage: Storage, stage: str, tables: Sequence[str]) -> None:
        run = secrets.randbits(62) + 1
        self.storage = storage
        self._tables = {
            name: _Fenced(storage, name, stage, run, open_table(storage, name)) for name in (*tables, "work")
        }
        self._work = self._tables.pop("work")
        self._number = self._work.seen[0]
        self._since_tidy = 0
        self._delete_leftovers()

    def commit(self, files: Mapping[str, Sequence[DataFile]], work: pa.Table) -> None:
        """Adds `files` to their tables, then adds `work` (rows of that table), which makes their rows count."""
        done = write_file(self.storage, "work", [work.cast(SCHEMAS["work"])])
        self._number += 1
        for table, mine in files.items():
            if mine:
                self._tables[table].append(self._number, mine)
        self._work.append(self._number, [done])
        self._since_tidy += 1
        if self._since_tidy >= _TIDY_EVERY:
            self.tidy()

    def tidy(self) -> None:
        """Compacts small files."""
        self._since_tidy = 0
        for fenced in (*self._tables.values(), self._work):
            if fenced.delta is not None:
                tidy(self.storage, fenced.delta, fenced.table)

    def _delete_leftovers(self) -> None:
        """Deletes rows of a batch that never counted, and such rows in tables that were written without batches."""
        suspects = [
            fenced
            for fenced in self._tables.values()
            if fenced.delta is not None and (fenced.seen == (0, 0) or fenced.seen[0] > self._number)
        ]
        if not suspects:
            return
        self._work.append(self._number, [])  # a run that still works on that batch can't finish it any more
        finished = pairs(self._work.delta)
        for fenced in suspects:
            if leftovers := sorted(pairs(fenced.delta) - finished):
                fenced.delete(self._number, leftovers)
            elif fenced.seen[0] > self._number:
                fenced.append(self._number, [])
