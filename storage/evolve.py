"""A storage of an earlier version, brought up to date: tables get the columns that they lack."""

from storage.delta import open_table
from storage.guard import guarded
from storage.root import Storage
from storage.schemas import SCHEMAS


def add_columns(storage: Storage, table: str) -> None:
    """Adds the columns of SCHEMAS[table] that the table lacks; they are null in its rows.

    Raises:
        StorageError: when the storage cannot be read or written.
    """
    from deltalake import Field

    delta = open_table(storage, table)
    if delta is None:
        return
    names = {field.name for field in delta.schema().fields}
    if lacking := [field for field in SCHEMAS[table] if field.name not in names]:
        with guarded("write", storage.url(f"tables/{table}")):
            delta.alter.add_columns([Field.from_arrow(field) for field in lacking])
