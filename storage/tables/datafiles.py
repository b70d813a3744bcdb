"""Data files of a table. A file is written first and becomes part of the table when a commit names it."""

import io
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.root import Storage
from storage.tables.schemas import SCHEMAS

if TYPE_CHECKING:
    from deltalake.transaction import AddAction

ROWS_A_GROUP = 128  # a window of 128 keyframes reads one or two row groups
_SPARE = 1 << 20  # bytes for a commit's log
_LONGEST = 32  # characters of a text's minimum or maximum in the log
_FLIPPED = ("sentences_flipped", "tokens_flipped")
_PACKED = ("image", "sentences", "tokens", *_FLIPPED, "embedding", "latents", "features")  # don't compress


Value = str | float


@dataclass(frozen=True)
class DataFile:
    """A Parquet file in a table's folder: its name, bytes, rows, and the minimum and maximum of each column.

    `least` and `greatest` have all ordered columns: deltalake treats a missing one as a column without values.
    """

    name: str
    size: int
    rows: int
    least: dict[str, Value]
    greatest: dict[str, Value]

    def action(self) -> "AddAction":
        """The file's entry in Delta's log."""
        from deltalake.transaction import AddAction

        stats = {
            "numRecords": self.rows,
            "minValues": self.least,
            "maxValues": self.greatest,
            "nullCount": dict.fromkeys(self.least, 0),
        }
        return AddAction(
            self.name, self.size, {}, time.time_ns() // 1_000_000, True, json.dumps(stats, allow_nan=False)
        )


def write_file(storage: Storage, table: str, parts: Sequence[pa.Table]) -> DataFile:
    """Writes rows as one file. Each part begins a new row group, so that the rows of a film are contiguous.

    Raises:
        StorageError: the storage cannot be written, or is full.
    """
    import pyarrow.parquet as pq

    schema = pa.schema([_plain(column) for column in SCHEMAS[table]])
    names = [name for name in schema.names if name not in _PACKED]
    texts: Any = [name for name in names if schema.field(name).type == pa.string()]
    file = io.BytesIO()
    with pq.ParquetWriter(
        file,
        schema,
        compression={name: "zstd" if name in names else "none" for name in schema.names},
        use_dictionary=texts,
        write_statistics=names,
        store_schema=False,
    ) as writer:
        for part in parts:
            writer.write_table(part.cast(schema), row_group_size=ROWS_A_GROUP)
    data, name = file.getvalue(), f"part-{uuid.uuid4().hex}.parquet"
    storage.check_room(len(data) + _SPARE)
    storage.write_bytes(f"tables/{table}/{name}", data)
    columns = [each.name for each in schema if _is_ordered(each.type)]
    whole = pa.concat_tables([part.select(columns) for part in parts])
    ends: dict[str, Any] = {each: pc.min_max(whole[each]).as_py() for each in columns}
    return DataFile(
        name,
        len(data),
        whole.num_rows,
        {each: _least(found["min"]) for each, found in ends.items()},
        {each: _greatest(found["max"]) for each, found in ends.items()},
    )


def _is_ordered(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _least(value: Value) -> Value:
    return value[:_LONGEST] if isinstance(value, str) else value


def _greatest(value: Value) -> Value:
    """A long text is truncated and gets a last character that sorts after all others."""
    return value[:_LONGEST] + "\U0010ffff" if isinstance(value, str) and len(value) > _LONGEST else value


@dataclass
class RowBuffer:
    """A buffer of rows for a table, written as a file whenever it has `size` bytes, so memory is bounded."""

    storage: Storage
    table: str
    size: int
    files: list[DataFile] = field(default_factory=list)
    _parts: list[pa.Table] = field(default_factory=list)
    _bytes: int = 0

    def add(self, rows: pa.Table) -> None:
        """Adds rows of one film."""
        if rows.num_rows:
            self._parts.append(rows)
            self._bytes += rows.nbytes
        if self._bytes >= self.size:
            self._write()

    def close(self) -> list[DataFile]:
        """Writes the buffered rows to a file; returns, and forgets, all files so far."""
        self._write()
        files, self.files = self.files, []
        return files

    def _write(self) -> None:
        if self._parts:
            self.files.append(write_file(self.storage, self.table, by_film(self._parts)))
            self._parts, self._bytes = [], 0

    def rest(self) -> pa.Table:
        """The rows that are not in a file yet."""
        return pa.concat_tables([SCHEMAS[self.table].empty_table(), *self._parts])

    def discard(self) -> None:
        """Removes the files."""
        for file in self.files:
            self.storage.delete(f"tables/{self.table}/{file.name}")


def by_film(parts: Sequence[pa.Table]) -> list[pa.Table]:
    """One table per film and fingerprint, in the order of their first parts; each part has rows of only one."""
    films: dict[tuple[str, str], list[pa.Table]] = {}
    for part in parts:
        films.setdefault((part["film_id"][0].as_py(), part["fingerprint"][0].as_py()), []).append(part)
    return [pa.concat_tables(some) for some in films.values()]


def _plain(column: Any) -> Any:
    """The column with type binary, the only binary type in Delta."""
    return column.with_type(pa.binary()) if column.type == pa.large_binary() else column
