"""Rows in Delta tables, film by film, so that a run can be killed at any moment and nothing is lost or doubled.

The unit of work is (film, stage, fingerprint). A stage first commits the film's rows to its tables, each commit
replacing what an earlier, killed attempt left, and last one row to the table `work`. Rows count only when their
(film_id, fingerprint) stands in `work`, so a fingerprint names the stage too.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from storage.delta import open_table, replace_rows
from storage.guard import guarded
from storage.rejects import Reject
from storage.root import Storage
from storage.schemas import KEYS, SCHEMAS

if TYPE_CHECKING:
    from pyarrow.dataset import Expression

Work = set[tuple[str, str]]
"""Pairs of film_id and fingerprint."""


@dataclass(frozen=True)
class Tables:
    """The tables of one storage; any number of readers, and writers that take turns on a conflict."""

    storage: Storage

    def commit(self, table: str, film_id: str, fingerprint: str, rows: pa.Table) -> None:
        """Makes `rows` the rows of this film and fingerprint in `table`, in one step, in place of earlier ones.

        Args:
            rows: the columns of SCHEMAS[table] in any order; `film_id` and `fingerprint` may be left out.

        Raises:
            ValueError: when columns, types, ids or uniqueness are wrong.
            StorageError: when the storage cannot be written, or is full; nothing counts then.
        """
        rows = _checked(table, film_id, fingerprint, rows)
        replace_rows(self.storage, table, rows, {"film_id": film_id, "fingerprint": fingerprint})

    def finish(self, stage: str, film_id: str, fingerprint: str, rows: int, attempts: int = 1) -> None:
        """Makes what was committed count. The last thing that a stage does for a film."""
        key = {"film_id": film_id, "stage": stage, "fingerprint": fingerprint}
        table = pa.Table.from_pylist([{**key, "rows": rows, "attempts": attempts}], schema=SCHEMAS["work"])
        replace_rows(self.storage, "work", table, key)

    def done(self, stage: str) -> Work:
        """(film_id, fingerprint) of all finished work of a stage."""
        return _pairs(self._all("work", ["film_id", "fingerprint"], pc.field("stage") == stage))

    def read(self, table: str, work: Mapping[str, str], columns: Sequence[str] | None = None) -> pa.Table:
        """The finished rows of some films, sorted by the table's id.

        Args:
            work: film_id -> fingerprint of the rows wanted. Films whose work is not finished have no rows.
            columns: all when None.
        """
        schema = SCHEMAS[table]
        names = list(columns) if columns is not None else schema.names
        films: dict[str, list[str]] = defaultdict(list)
        for film_id, fingerprint in sorted(set(work.items()) & self._finished()):
            films[fingerprint].append(film_id)
        wanted: Expression | None = None
        for fingerprint, film_ids in films.items():
            some = (pc.field("fingerprint") == fingerprint) & pc.field("film_id").isin(film_ids)
            wanted = some if wanted is None else wanted | some
        if wanted is None:
            return schema.empty_table().select(names)
        rows = self._all(table, list(dict.fromkeys([*names, *KEYS[table]])), wanted)
        return rows.sort_by([(key, "ascending") for key in KEYS[table]]).select(names)

    def sources(self, work: Mapping[str, str]) -> dict[str, str]:
        """film_id -> where a decoded film lies now; `work` is the stage keyframes'."""
        return {row["film_id"]: row["source"] for row in self.read("films", work, ["film_id", "source"]).to_pylist()}

    def count(self) -> dict[str, int]:
        """Finished rows of every table; of `work` and `rejects` all rows."""
        finished, counts = self._finished(), dict.fromkeys(SCHEMAS, 0)
        for table in SCHEMAS:
            if table in ("work", "rejects"):
                counts[table] = self._all(table, ["film_id"]).num_rows
                continue
            groups = self._all(table, ["film_id", "fingerprint"]).group_by(["film_id", "fingerprint"])
            for group in groups.aggregate([([], "count_all")]).to_pylist():
                if (group["film_id"], group["fingerprint"]) in finished:
                    counts[table] += group["count_all"]
        return counts

    def reject(self, reject: Reject) -> None:
        """Keeps why something was left out; said again, it stands there once, with the newest reason."""
        row = reject.model_dump()
        table = pa.Table.from_pylist([row], schema=SCHEMAS["rejects"])
        replace_rows(self.storage, "rejects", table, {key: row[key] for key in KEYS["rejects"]})

    def withdraw(self, stage: str, source: str) -> None:
        """Takes back a stage's rejects of a source, which is fine now."""
        old = self._all("rejects", ["source"], (pc.field("stage") == stage) & (pc.field("source") == source))
        if old.num_rows:
            replace_rows(self.storage, "rejects", SCHEMAS["rejects"].empty_table(), {"stage": stage, "source": source})

    def rejects(self) -> list[Reject]:
        """All of them, sorted by source."""
        rows = self._all("rejects", SCHEMAS["rejects"].names)
        return [Reject(**row) for row in rows.sort_by([(key, "ascending") for key in KEYS["rejects"]]).to_pylist()]

    def versions(self) -> dict[str, int]:
        """Delta version of every table that exists; runs that were killed and resumed have more of them."""
        tables = {name: open_table(self.storage, name) for name in SCHEMAS}
        return {name: table.version() for name, table in tables.items() if table is not None}

    def _finished(self) -> Work:
        return _pairs(self._all("work", ["film_id", "fingerprint"]))

    def _all(self, table: str, columns: list[str], where: "Expression | None" = None) -> pa.Table:
        schema = pa.schema([SCHEMAS[table].field(name) for name in columns])
        delta = open_table(self.storage, table)
        if delta is None:
            return schema.empty_table()
        with guarded("read", self.storage.url(f"tables/{table}")):
            rows: pa.Table = delta.to_pyarrow_dataset().to_table(columns=columns, filter=where)
        return rows.cast(schema)


def _pairs(rows: pa.Table) -> Work:
    return {(row["film_id"], row["fingerprint"]) for row in rows.select(["film_id", "fingerprint"]).to_pylist()}


def _checked(table: str, film_id: str, fingerprint: str, rows: pa.Table) -> pa.Table:
    if table not in SCHEMAS or table in ("work", "rejects"):
        raise ValueError(f"no table {table!r} to commit rows to: one of {sorted(set(SCHEMAS) - {'work', 'rejects'})}")
    schema = SCHEMAS[table]
    for name, value in (("film_id", film_id), ("fingerprint", fingerprint)):
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.string()))
        elif others := set(rows[name].unique().to_pylist()) - {value}:
            raise ValueError(f"rows for {table!r} of {name} {value!r} hold others: {sorted(map(str, others))[:3]}")
    missing, unknown = set(schema.names) - set(rows.column_names), set(rows.column_names) - set(schema.names)
    if missing or unknown:
        raise ValueError(f"rows for {table!r}: missing columns {sorted(missing)}, unknown columns {sorted(unknown)}")
    try:
        rows = rows.select(schema.names).cast(schema)
    except pa.ArrowInvalid as error:
        raise ValueError(f"rows for {table!r} do not fit its schema: {error}") from error
    if gaps := [name for name in schema.names if rows[name].null_count]:
        raise ValueError(f"rows for {table!r} have nulls in {gaps}")
    keys = rows.select(list(KEYS[table]))
    if keys.group_by(keys.column_names).aggregate([]).num_rows != rows.num_rows:
        raise ValueError(f"rows for {table!r} of film {film_id!r} repeat a {' + '.join(KEYS[table])}")
    return rows.sort_by([(key, "ascending") for key in KEYS[table]])
