"""Opens, creates and compacts a Delta table, and replaces some of its rows in one commit."""

import json
import random
import re
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from storage.guard import guarded
from storage.lease import only_one
from storage.root import Storage
from storage.tables.datafiles import ROWS_A_GROUP
from storage.tables.schemas import SCHEMAS

if TYPE_CHECKING:
    from deltalake import DeltaTable, WriterProperties
    from pyarrow.dataset import Expression

Work = set[tuple[str, str]]
"""Pairs of film_id and fingerprint."""

FILE_BYTES = 32 << 20  # target size of a table's files
_TRIES = 20  # attempts at a commit when another writer was first
_SPARE = 1 << 20  # bytes for a commit's log
_TIDY_EVERY = 200  # commits; small tables would otherwise have one file per commit
_SMALL_FILES = 16  # files that trigger a compaction
_KEPT_HOURS = 7 * 24  # for which files that the newest version doesn't need are kept for readers of older versions


def open_table(storage: Storage, table: str) -> "DeltaTable | None":
    """The newest version of a table, None if it doesn't exist.

    Raises:
        StorageError: the storage cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    url = storage.url(f"tables/{table}")
    with guarded("read", url):
        try:
            return DeltaTable(url, storage_options=storage.delta_options)
        except TableNotFoundError:
            return None


def create_table(storage: Storage, table: str) -> "DeltaTable":
    """The newest version of a table, which is created if it doesn't exist."""
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError

    try:
        return DeltaTable.create(
            storage.url(f"tables/{table}"),
            SCHEMAS[table],
            mode="ignore",
            description=storage.record.id,
            storage_options=storage.delta_options,
        )
    except CommitFailedError:  # another writer was first, or this one succeeded and the answer was lost
        if made := open_table(storage, table):
            return made
        raise


def is_own(storage: Storage, delta: "DeltaTable", table: str) -> bool:
    """Whether a run in this storage made the table, and no user's link leads to that of another storage."""
    mine = delta.metadata().description == storage.record.id
    return bool(mine) and not storage.record.is_elsewhere(f"tables/{table}")


def files_of(storage: Storage, delta: "DeltaTable", table: str) -> list[str]:
    """Paths of a table's files, in its log and in its folder, in an order in which they can be removed.

    If the removal is interrupted, the rest is still the table with the remaining files.
    """
    folder = f"tables/{table}"
    found: list[Any] = pa.table(delta.get_add_actions()).to_pylist()
    sizes: dict[str, int | None] = {row["path"]: row["size_bytes"] for row in found}
    sizes |= dict.fromkeys(delta.vacuum(retention_hours=0, enforce_retention_duration=False), None)
    names = [name for name in storage.list(f"{folder}/_delta_log") if _is_log(name, delta.version())]
    for name in (name for name in names if name.endswith(".json")):
        for line in storage.read_bytes(f"{folder}/_delta_log/{name}").splitlines():
            if added := json.loads(line).get("add"):
                sizes[added["path"]] = added["size"]
    data = {f"{folder}/{name}": size for name, size in sorted(sizes.items())}
    there = [rel for rel, size in data.items() if (now := storage.size(rel)) >= 0 and size in (now, None)]
    newest_first = sorted(names, reverse=True)  # within a version, .json comes before .checkpoint.parquet
    return there + [f"{folder}/_delta_log/{name}" for name in newest_first]


def _is_log(name: str, version: int) -> bool:
    found = re.fullmatch(r"(\d{20})\.(json|checkpoint\.parquet)", name)
    return name == "_last_checkpoint" or bool(found and int(found[1]) <= version)


def until_committed(change: Callable[[], object], stands: Callable[[], bool]) -> None:
    """Makes a commit, and retries with growing delays when another writer was first.

    Args:
        stands: whether the commit succeeded although it raised an error. If an object store's answer is lost, the
            client retries, learns that this version exists, and takes its own commit for another writer's.
    """
    from deltalake.exceptions import CommitFailedError

    for attempt in range(_TRIES):
        try:
            change()
            return
        except CommitFailedError:
            if stands():
                return
            if attempt + 1 == _TRIES:
                raise
            time.sleep(random.uniform(0, 0.05 * 2 ** min(attempt, 6)))


def replace_rows(storage: Storage, table: str, rows: pa.Table, where: Mapping[str, str | Collection[str]]) -> None:
    """Replaces all rows that match `where` by `rows`, in one atomic Delta commit.

    It reads every file that may have such rows, so use it only for a few rows.

    Args:
        where: column -> its value, or its possible values.

    Raises:
        StorageError: the storage cannot be written, or is full.
    """
    from deltalake import CommitProperties, write_deltalake

    predicate = " AND ".join(_condition(column, value) for column, value in where.items())
    name = uuid.uuid4().hex
    properties = CommitProperties(custom_metadata={"moviedreamer.commit": name})
    log = f"tables/{table}/_delta_log"
    with guarded("write", storage.url(f"tables/{table}")):
        storage.check_room(rows.nbytes + _SPARE)
        delta = create_table(storage, table)
        before = delta.version()

        def change() -> None:
            write_deltalake(
                delta,
                rows,
                mode="overwrite",
                predicate=predicate,
                writer_properties=_writer_properties(),
                commit_properties=properties,
            )

        def stands() -> bool:
            delta.update_incremental()
            later = (f"{log}/{version:020d}.json" for version in range(before + 1, delta.version() + 1))
            return any(name.encode() in storage.read_bytes(commit) for commit in later)

        until_committed(change, stands)
        delta.update_incremental()
        if table in ("work", "rejects", "films") and delta.version() % _TIDY_EVERY == 0:
            tidy(storage, delta, table)


def tidy(storage: Storage, delta: "DeltaTable", table: str) -> None:
    """Compacts a table's small files if there are many, and removes files that no recent version needs.

    Readers see the same rows. After a conflict with another writer nothing is changed until the next time. Only one
    writer may compact at a time: if two compact the same files, deltalake 1.6 accepts both commits and duplicates rows.
    """
    from deltalake.exceptions import CommitFailedError

    with guarded("write", storage.url(f"tables/{table}")), only_one(storage) as alone:
        delta.update_incremental()
        sizes: list[Any] = pa.table(delta.get_add_actions())["size_bytes"].to_pylist()
        if not alone or sum(size < FILE_BYTES // 2 for size in sizes) < _SMALL_FILES:
            return
        try:
            delta.optimize.compact(
                target_size=FILE_BYTES, max_concurrent_tasks=1, writer_properties=_writer_properties()
            )
            remove_unused(storage, delta, table)
        except CommitFailedError:
            delta.update_incremental()


def remove_unused(storage: Storage, delta: "DeltaTable", table: str) -> list[str]:
    """Removes files that no version of the last seven days needs, and files of killed runs; returns their names."""
    removed: list[str] = delta.vacuum(retention_hours=_KEPT_HOURS, dry_run=False)
    in_no_version = delta.vacuum(retention_hours=_KEPT_HOURS, full=True)
    for name in in_no_version:  # of a killed run, or not ours, which `delete` leaves alone
        storage.delete(f"tables/{table}/{name}")
    return removed + [name for name in in_no_version if not storage.exists(f"tables/{table}/{name}")]


def pairs(delta: "DeltaTable | None", where: "Expression | None" = None) -> Work:
    """The distinct films and fingerprints of a table's rows."""
    return distinct(delta, ["film_id", "fingerprint"], where)


def distinct(delta: "DeltaTable | None", columns: Sequence[str], where: "Expression | None") -> set[Any]:
    """The distinct values of some columns in a table's rows, as tuples; only few rows are in memory at a time."""
    found: set[Any] = set()
    if delta is None:
        return found
    with guarded("read", delta.table_uri):
        for batch in delta.to_pyarrow_dataset().to_batches(columns=list(columns), filter=where):
            some = pa.Table.from_batches([batch]).group_by(list(columns)).aggregate([])
            found |= set(zip(*(some[name].to_pylist() for name in columns), strict=True))
    return found


def _writer_properties() -> "WriterProperties":
    from deltalake import WriterProperties

    return WriterProperties(max_row_group_size=ROWS_A_GROUP, compression="ZSTD")


def _condition(column: str, value: str | Collection[str]) -> str:
    if isinstance(value, str):
        return f"{column} = {_quoted(value)}"
    return f"{column} IN ({', '.join(map(_quoted, value))})"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
