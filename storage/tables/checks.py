"""Rows are checked on the way into a table."""

import pyarrow as pa

from storage.tables.schemas import KEYS, SCHEMAS


def checked(table: str, film_id: str, fingerprint: str, rows: pa.Table) -> pa.Table:
    """The rows as SCHEMAS[table] has them, sorted by the table's id; `film_id` and `fingerprint` may be left out.

    Raises:
        ValueError: when columns, types, ids or uniqueness are wrong.
    """
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
    if keys.group_by(keys.column_names, use_threads=False).aggregate([]).num_rows != rows.num_rows:
        raise ValueError(f"rows for {table!r} of film {film_id!r} repeat a {' + '.join(KEYS[table])}")
    return rows.sort_by([(key, "ascending") for key in KEYS[table]])
