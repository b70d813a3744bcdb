"""Rows in Delta tables, film by film. A run can be killed at any moment without losing or duplicating rows.

The unit of work is (film, stage, fingerprint). A film's rows are committed first, then one row to the table `work`.
Rows count only if their (film_id, fingerprint) is in `work`, so a fingerprint also identifies the stage. Stages commit
many films at a time (storage.tables.batches) and read film by film (storage.tables.filmrows); this module does the
rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.guard import guarded
from storage.root import Storage
from storage.tables.delta import Work, distinct, open_table, pairs, replace_rows
from storage.tables.rejects import Reject
from storage.tables.schemas import KEYS, SCHEMAS, checked

if TYPE_CHECKING:
    from pyarrow.dataset import Expression


@dataclass(frozen=True)
class Tables:
    """The tables of one storage, for any number of readers; writers retry after a conflict."""

    storage: Storage

    def commit(self, table: str, film_id: str, fingerprint: str, rows: pa.Table) -> None:
        """Replaces the rows of this film and fingerprint in `table` by `rows`, in one commit.

        It reads every file that may have such rows, so use it only for single films; stages use storage.tables.batches.

        Args:
            rows: the columns of SCHEMAS[table] in any order; `film_id` and `fingerprint` may be omitted.

        Raises:
            ValueError: columns, types, ids or uniqueness are wrong.
            StorageError: the storage cannot be written, or is full; the table is then unchanged.
        """
        rows = checked(table, film_id, fingerprint, rows)
        replace_rows(self.storage, table, rows, {"film_id": film_id, "fingerprint": fingerprint})

    def done(self, stage: str) -> Work:
        """(film_id, fingerprint) of all finished work of a stage."""
        return pairs(open_table(self.storage, "work"), pc.field("stage") == stage)

    def read(self, table: str, work: Mapping[str, str], columns: Sequence[str] | None = None) -> pa.Table:
        """The finished rows of some films, sorted by the table's id.

        Args:
            work: film_id -> fingerprint of the wanted rows. Films whose work is not finished have no rows.
            columns: all when None.
        """
        schema = SCHEMAS[table]
        names = list(columns) if columns is not None else schema.names
        some = pc.field("film_id").isin(list(work))
        finished = set(work.items()) & pairs(open_table(self.storage, "work"), some) if work else set()
        if not finished:
            return schema.empty_table().select(names)
        wanted = pc.field("film_id").isin([film_id for film_id, _ in finished])
        wanted &= pc.field("fingerprint").isin(sorted({fingerprint for _, fingerprint in finished}))
        needed = list(dict.fromkeys([*names, *KEYS[table], "film_id", "fingerprint"]))
        rows = self._all(table, needed, wanted)
        if len({fingerprint for _, fingerprint in finished}) > 1:  # keep only each film's own
            keys = pa.table(dict(zip(("film_id", "fingerprint"), map(list, zip(*finished, strict=True)), strict=True)))
            place = pa.array(range(rows.num_rows), pa.int64())
            places = pa.table({**{name: rows[name] for name in keys.column_names}, "place": place})
            mine = places.join(keys, keys.column_names, join_type="left semi")["place"]
            rows = rows.take(mine) if len(mine) < rows.num_rows else rows
        return rows.sort_by([(key, "ascending") for key in KEYS[table]]).select(names)

    def distinct(self, table: str, work: Mapping[str, str], columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """The distinct values of some columns in the rows of finished work, sorted."""
        where = pc.field("film_id").isin(list(work))
        found = distinct(open_table(self.storage, table), ["film_id", "fingerprint", *columns], where)
        return sorted({tuple(values) for film_id, key, *values in found if work[film_id] == key})

    def sources(self, work: Mapping[str, str]) -> dict[str, str]:
        """film_id -> current path of a decoded film; `work` is that of the stage keyframes."""
        return {row["film_id"]: row["source"] for row in self.read("films", work, ["film_id", "source"]).to_pylist()}

    def count(self) -> dict[str, int]:
        """Number of finished rows of every table; for `work` and `rejects`, of all rows.

        If a stage's table has as many rows as `work` says, that is the number. Otherwise a killed run left some, and
        rows are counted film by film.
        """
        work = self._all("work", ["film_id", "stage", "fingerprint", "rows"])
        films: Any = zip(work["film_id"].to_pylist(), work["fingerprint"].to_pylist(), strict=True)
        finished = set(films)
        by_stage = work.group_by("stage").aggregate([("rows", "sum"), ([], "count_all")]).to_pylist()
        said = {row["stage"]: row["rows_sum"] for row in by_stage}
        said["films"] = sum(row["count_all"] for row in by_stage if row["stage"] == "keyframes")
        counts = dict.fromkeys(SCHEMAS, 0) | {"work": work.num_rows}
        for table in set(SCHEMAS) - {"work"}:
            delta = open_table(self.storage, table)
            if delta is None:
                continue
            records: list[Any] = pa.table(delta.get_add_actions())["num_records"].to_pylist()
            counts[table] = sum(records)
            if table != "rejects" and counts[table] != said.get(table):
                counts[table] = self._counted(table, finished)
        return counts

    def _counted(self, table: str, finished: Work) -> int:
        groups = self._all(table, ["film_id", "fingerprint"]).group_by(["film_id", "fingerprint"])
        films = groups.aggregate([([], "count_all")]).to_pylist()
        return sum(row["count_all"] for row in films if (row["film_id"], row["fingerprint"]) in finished)

    def judge(self, stage: str, sources: Sequence[str], rejects: Sequence[Reject]) -> None:
        """Replaces a stage's rejects of `sources` by `rejects`, in at most one commit.

        A source that is not in `rejects` has no reject any more.
        """
        place = {"stage": stage, "source": sorted({*sources, *(reject.source for reject in rejects)})}
        where = (pc.field("stage") == stage) & pc.field("source").isin(place["source"])
        said = self._all("rejects", SCHEMAS["rejects"].names, where).to_pylist()
        if {Reject(**row) for row in said} != set(rejects):
            rows = pa.Table.from_pylist([reject.model_dump() for reject in rejects], schema=SCHEMAS["rejects"])
            replace_rows(self.storage, "rejects", rows, place)

    def rejects(self) -> list[Reject]:
        """All rejects, sorted by source."""
        rows = self._all("rejects", SCHEMAS["rejects"].names)
        return [Reject(**row) for row in rows.sort_by([(key, "ascending") for key in KEYS["rejects"]]).to_pylist()]

    def given_up(self, stage: str) -> list[tuple[str, str, str, str]]:
        """(film_id, fingerprint, source, reason) of a stage's rejects."""
        columns = ["film_id", "fingerprint", "source", "reason"]
        rows = self._all("rejects", columns, pc.field("stage") == stage)
        return list(zip(*(rows[name].to_pylist() for name in columns), strict=True))

    def versions(self) -> dict[str, int]:
        """Delta version of every existing table; a run that was killed and resumed makes more versions."""
        tables = {name: open_table(self.storage, name) for name in SCHEMAS}
        return {name: table.version() for name, table in tables.items() if table is not None}

    def _all(self, table: str, columns: list[str], where: "Expression | None" = None) -> pa.Table:
        schema = pa.schema([SCHEMAS[table].field(name) for name in columns])
        delta = open_table(self.storage, table)
        if delta is None:
            return schema.empty_table()
        with guarded("read", self.storage.url(f"tables/{table}")):
            rows: pa.Table = delta.to_pyarrow_dataset().to_table(columns=columns, filter=where)
        return rows.cast(schema)
