"""Reads the rows of single films, a few at a time, from a table of any size.

Delta's log has the first and last film of each data file; the file's footer has those of each group of 128 rows. Only
groups that may contain the wanted rows are read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from storage.guard import guarded
from storage.root import Storage
from storage.tables.delta import open_table
from storage.tables.schemas import KEYS, SCHEMAS

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_OPEN_FILES = 64
_END = "~"  # sorts after all characters of row ids


_Ends = list[tuple[str, str]]


_NONE = ("", "")


@dataclass(frozen=True)
class _File:
    """An open data file, with the ends of its row groups, and the films in those groups that were read."""

    file: "ParquetFile"
    ends: list[_Ends]
    spans: dict[int, dict[tuple[str, str], tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Group:
    """A row group with rows of a film: its file, its index there, and the rows' least and greatest row id."""

    file: str
    index: int
    least: str
    greatest: str


@dataclass(frozen=True)
class FilmRows:
    """The rows of `work` in `table`, which must have a row_id; the table's version is the one at the first read.

    Args:
        work: film_id -> fingerprint, of finished work.
    """

    storage: Storage
    table: str
    work: Mapping[str, str]
    _files: dict[str, "_File"] = field(default_factory=dict, repr=False)
    _newest: dict[tuple[str, int, tuple[str, ...]], pa.Table] = field(default_factory=dict, repr=False)

    def row_ids(self, film_id: str) -> list[str]:
        """Row ids of a film's keyframes that have rows, sorted, without duplicates."""
        found: dict[str, None] = {}
        for rows in self.batches(film_id, ["row_id"]):
            found |= dict.fromkeys(map(str, rows["row_id"].to_pylist()))
        return list(found)

    def batches(self, film_id: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """A film's rows, sorted by the table's id, about 128 at a time.

        Raises:
            ValueError: for a film that `work` does not have.
        """
        for groups in _disjoint(self._groups(film_id, "")):
            rows = self._read(groups, film_id, columns, "", _END)
            if rows.num_rows:
                yield rows

    def between(self, film_id: str, first: str, last: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A film's rows from one row id to another, inclusive, sorted by the table's id."""
        groups = [group for group in self._groups(film_id, first) if group.least <= last]
        return self._read(groups, film_id, columns, first, last)

    def _groups(self, film_id: str, first: str) -> list[_Group]:
        if film_id not in self.work:
            raise ValueError(f"no finished {self.table} of film {film_id!r}")
        groups, key = [], self.work[film_id]
        names, least, greatest = self._ranges
        for name in names[(least <= film_id) & (greatest >= film_id)]:
            for index, (films, keys, row_ids) in enumerate(self._open(name).ends):
                if not (_may_hold(films, film_id) and _may_hold(keys, key)):
                    continue
                if films[0] != films[1] or keys[0] != keys[1]:
                    row_ids = self._spans(name, index).get((film_id, key), _NONE)
                if row_ids[1] >= first:
                    groups.append(_Group(name, index, *row_ids))
        return sorted(groups, key=lambda group: (group.least, group.greatest))

    def _spans(self, name: str, index: int) -> dict[tuple[str, str], tuple[str, str]]:
        """For a group with several films: film and fingerprint -> least and greatest row id. Cached.

        Compaction leaves groups whose films are far apart in order, so most films between their ends are not in them.
        """
        spans = self._open(name).spans
        if index not in spans:
            ids = self._rows_of(name, index, ("film_id", "fingerprint", "row_id"))
            films = ids.group_by(["film_id", "fingerprint"], use_threads=False)
            spans[index] = {
                (row["film_id"], row["fingerprint"]): (row["row_id_min"], row["row_id_max"])
                for row in films.aggregate([("row_id", "min"), ("row_id", "max")]).to_pylist()
            }
        return spans[index]

    def _read(
        self, groups: Sequence[_Group], film_id: str, columns: Sequence[str] | None, first: str, last: str
    ) -> pa.Table:
        wanted = SCHEMAS[self.table].names if columns is None else list(columns)
        needed = list(dict.fromkeys([*wanted, *KEYS[self.table], "film_id", "fingerprint", "row_id"]))
        found = []
        for group in groups:
            rows = _cut(self._group(group, tuple(needed)), film_id, self.work[film_id], first, last)
            found.append(_fitted(rows, self._schema(needed)))
        if not found:
            return self._empty(columns)
        whole = pa.concat_tables(found)
        if len(KEYS[self.table]) > 1 or not _is_sorted(whole[KEYS[self.table][0]].to_pylist()):
            whole = whole.sort_by([(key, "ascending") for key in KEYS[self.table]])
        return whole.select(wanted)

    def _group(self, group: _Group, columns: tuple[str, ...]) -> pa.Table:
        """All rows of a group. The last group is cached, since callers read neighbouring rows next."""
        key = group.file, group.index, columns
        if key not in self._newest:
            rows = self._rows_of(*key)
            self._newest.clear()
            self._newest[key] = rows
        return self._newest[key]

    def _rows_of(self, name: str, index: int, columns: tuple[str, ...]) -> pa.Table:
        with guarded("read", self.storage.url(f"tables/{self.table}/{name}")):
            return self._open(name).file.read_row_group(index, list(columns), use_threads=False)

    def _schema(self, columns: Sequence[str]) -> pa.Schema:
        return pa.schema([SCHEMAS[self.table].field(name) for name in columns])

    def _empty(self, columns: Sequence[str] | None) -> pa.Table:
        return self._schema(SCHEMAS[self.table].names if columns is None else columns).empty_table()

    @cached_property
    def _ranges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Names of the data files, and their least and greatest film_id."""
        delta = open_table(self.storage, self.table)
        if delta is None:
            return (np.empty(0, object),) * 3
        files = pa.table(delta.get_add_actions(flatten=True))

        def column(name: str, unknown: str) -> np.ndarray:
            values = files[name].to_pylist() if name in files.column_names else [None] * files.num_rows
            return np.array([unknown if value is None else value for value in values], object)

        return column("path", ""), column("min.film_id", ""), column("max.film_id", _END)

    def _open(self, name: str) -> "_File":
        import pyarrow.parquet as pq

        if name in self._files:
            self._files[name] = self._files.pop(name)  # most recently used last
            return self._files[name]
        rel = f"tables/{self.table}/{name}"
        with guarded("read", self.storage.url(rel)):
            file = pq.ParquetFile(self.storage.open(rel))
        while len(self._files) >= _OPEN_FILES:
            oldest = next(iter(self._files))
            self._files.pop(oldest).file.close()
        self._files[name] = _File(file, _footer(file))
        return self._files[name]


def _footer(file: "ParquetFile") -> "list[_Ends]":
    """Least and greatest film_id, fingerprint and row_id of each row group."""
    metadata, found = file.metadata, []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(metadata.num_columns)}
        said = [columns[name].statistics for name in ("film_id", "fingerprint", "row_id")]
        found.append(
            [(str(one.min), str(one.max)) if one is not None and one.has_min_max else ("", _END) for one in said]
        )
    return found


def _may_hold(ends: tuple[str, str], value: str) -> bool:
    return ends[0] <= value <= ends[1]


def _disjoint(groups: Sequence[_Group]) -> Iterator[list[_Group]]:
    """Groups whose row ids overlap must be sorted together; those of a stage's own files don't."""
    some: list[_Group] = []
    for group in groups:
        if some and group.least >= max(one.greatest for one in some):
            yield some
            some = []
        some.append(group)
    if some:
        yield some


def _cut(rows: pa.Table, film_id: str, fingerprint: str, first: str, last: str) -> pa.Table:
    """A film's rows between two row ids; without a copy if they are contiguous, as they usually are."""
    films, keys, row_ids = (np.asarray(rows[name]) for name in ("film_id", "fingerprint", "row_id"))
    mask = (films == film_id) & (keys == fingerprint) & (row_ids >= first) & (row_ids <= last)
    places = np.flatnonzero(mask)
    if not len(places):
        return rows.slice(0, 0)
    if places[-1] - places[0] + 1 == len(places):
        return rows.slice(int(places[0]), len(places))
    return rows.take(places)


def _fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of a file in a schema; columns that an older file lacks are null."""
    known = set(rows.column_names)
    columns = [rows[one.name].cast(one.type) if one.name in known else pa.nulls(len(rows), one.type) for one in schema]
    return pa.table(columns, schema=schema)


def _is_sorted(values: Sequence[Any]) -> bool:
    return all(one <= other for one, other in pairwise(values))
