"""One Delta table: opened, and some of its rows replaced in one step."""

import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.guard import guarded
from storage.root import Storage
from storage.schemas import SCHEMAS

if TYPE_CHECKING:
    from deltalake import DeltaTable

ROWS_A_GROUP = 128  # a window of 128 keyframes reads one or two row groups
_TRIES = 12
_SPARE = 1 << 20  # bytes for a commit's log
_TIDY_EVERY = 200  # commits; small tables would otherwise be one file a commit


def open_table(storage: Storage, table: str) -> "DeltaTable | None":
    """The newest version of a table, None where nothing was written yet.

    Raises:
        StorageError: when the storage cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    url = storage.url(f"tables/{table}")
    with guarded("read", url):
        try:
            return DeltaTable(url, storage_options=storage.delta_options)
        except TableNotFoundError:
            return None


def replace_rows(storage: Storage, table: str, rows: pa.Table, where: Mapping[str, str]) -> None:
    """Puts `rows` in place of all rows whose columns equal `where`: in one Delta commit, seen whole or not at all.

    Tries again, a little later each time, when another writer was first.

    Raises:
        StorageError: when the storage cannot be written, or is full.
    """
    from deltalake import DeltaTable, WriterProperties, write_deltalake
    from deltalake.exceptions import CommitFailedError

    url = storage.url(f"tables/{table}")
    predicate = " AND ".join(f"{column} = {_quoted(value)}" for column, value in where.items())
    with guarded("write", url):
        storage.check_room(rows.nbytes + _SPARE)
        for attempt in range(_TRIES):
            try:
                delta = DeltaTable.create(url, SCHEMAS[table], mode="ignore", storage_options=storage.delta_options)
                write_deltalake(
                    delta,
                    rows,
                    mode="overwrite",
                    predicate=predicate,
                    writer_properties=WriterProperties(max_row_group_size=ROWS_A_GROUP, compression="ZSTD"),
                )
                break
            except CommitFailedError:
                if attempt + 1 == _TRIES:
                    raise
                time.sleep(random.uniform(0, 0.05 * 2 ** min(attempt, 6)))
        delta.update_incremental()
        if table in ("work", "rejects", "films") and delta.version() % _TIDY_EVERY == 0:
            delta.optimize.compact()


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
