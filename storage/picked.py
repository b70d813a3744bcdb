"""Some rows of a table, by the ids of their keyframes, without reading the others: row groups are sorted by id."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from storage.delta import open_table
from storage.guard import guarded
from storage.root import Storage
from storage.schemas import KEYS, SCHEMAS

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset


class Picker:
    """Reads from the tables as they are when each is first asked for.

    Args:
        work: stage (and table) -> film_id -> fingerprint of work that is known to be finished, such as a snapshot's.
    """

    def __init__(self, storage: Storage, work: Mapping[str, Mapping[str, str]]) -> None:
        self._storage, self._work = storage, work
        self._opened: dict[str, Dataset | None] = {}

    def rows(self, table: str, row_ids: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """The rows of some keyframes of one film, sorted by the table's id.

        Raises:
            ValueError: for keyframes of several films.
            StorageError: when the storage cannot be read.
        """
        schema = pa.schema([SCHEMAS[table].field(name) for name in columns])
        films = {row_id.rsplit("-", 1)[0] for row_id in row_ids}
        if len(films) > 1:
            raise ValueError(f"keyframes of {len(films)} films at once: {sorted(films)[:2]}")
        dataset = self._dataset(table)
        if dataset is None or not films:
            return schema.empty_table()
        (film_id,) = films
        row, names = pc.field("row_id"), [*dict.fromkeys([*columns, *KEYS[table]])]
        within = (row >= min(row_ids)) & (row <= max(row_ids))  # what a file's statistics can tell
        mine = (pc.field("fingerprint") == self._work[table][film_id]) & row.isin(list(row_ids))
        with guarded("read", self._storage.url(f"tables/{table}")):
            found: pa.Table = dataset.to_table(columns=names, filter=within & mine)
        found = found.sort_by([(key, "ascending") for key in KEYS[table]]).select(list(columns))
        return found.cast(schema)

    def _dataset(self, table: str) -> "Dataset | None":
        if table not in self._opened:
            delta = open_table(self._storage, table)
            self._opened[table] = None if delta is None else delta.to_pyarrow_dataset()
        return self._opened[table]
