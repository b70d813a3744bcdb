"""Updates the tables of an earlier version: adds missing columns."""

from storage.errors import StorageError
from storage.guard import guarded
from storage.root import Storage
from storage.tables.delta import open_table, until_committed
from storage.tables.schemas import SCHEMAS


def add_columns(storage: Storage, table: str) -> None:
    """Adds the columns of SCHEMAS[table] that the table lacks; they are null in its rows.

    Raises:
        StorageError: the storage cannot be read or written.
    """
    from deltalake import Field

    delta = open_table(storage, table)
    if delta is None:
        return
    known = delta

    def lacking() -> list[Field]:
        known.update_incremental()
        names = {field.name for field in known.schema().fields}
        return [Field.from_arrow(field) for field in SCHEMAS[table] if field.name not in names]

    if lacking():
        with guarded("write", storage.url(f"tables/{table}")):
            until_committed(lambda: known.alter.add_columns(lacking()), lambda: not lacking())


def check_columns(storage: Storage, table: str) -> None:
    """Raises StorageError, naming the columns, unless the table has all columns of SCHEMAS[table] in their types."""
    from deltalake import Field

    delta = open_table(storage, table)
    if delta is None:
        raise StorageError(f"{storage.url(f'tables/{table}')!r} does not exist: make it with build_dataset")
    found = {field.name: field.type for field in delta.schema().fields}
    wanted = [Field.from_arrow(field) for field in SCHEMAS[table]]
    missing = [field.name for field in wanted if field.name not in found]
    others = [
        f"{field.name} {_plain(found[field.name])} instead of {_plain(field.type)}"
        for field in wanted
        if field.name in found and _plain(found[field.name]) != _plain(field.type)
    ]
    faults = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(others)}"] * bool(others)
    if faults:
        raise StorageError(
            f"{storage.url(f'tables/{table}')!r} {' and '.join(faults)}: another version of the project wrote it; make "
            "the snapshot again with build_dataset in another --storage"
        )


def _plain(kind: object) -> str:
    return str(getattr(kind, "type", kind))
