"""Makes a place a storage of moviedreamer, without harm to the files that are already there."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from storage import layout
from storage.errors import ConfigError, StorageError
from storage.guard import guarded
from storage.layout import RECORD
from storage.record import new_id
from storage.root import Storage
from storage.tables.delta import is_own, open_table, until_committed
from storage.tables.schemas import SCHEMAS

if TYPE_CHECKING:
    from deltalake import DeltaTable

_NAMED = 5  # files in an error


def claim(storage: Storage, into: bool = False) -> None:
    """Makes the place a storage, unless it is one. If it can't be one, nothing is written.

    Args:
        into: whether the place may hold other files, or be a storage of an earlier version, which has no record.

    Raises:
        ConfigError: the place is neither empty nor a storage, and `into` is false; or files that no run made are in
            places where runs keep files. The message names them and says what to do.
        StorageError: it cannot be read or written.
    """
    if storage.record.exists:
        _require_free(storage, _in_the_way(storage))
        return
    held, tables = storage.look_into(lambda folder: False)[0], _earlier_tables(storage)
    if held and tables and not into:
        raise ConfigError(
            f"{storage.base!r} was made by an earlier version of moviedreamer, which kept no record of its files: run "
            "once with --into to continue with it (its tables are continued; its other files are read, but never "
            "overwritten or removed), or name another place with --storage"
        )
    if held and not into:
        raise ConfigError(
            f"{storage.base!r} is neither empty nor a moviedreamer storage (it holds {_some(held)}): name an empty or "
            "a new folder with --storage, or add --into to work beside what is there, which is left alone"
        )
    strangers = _in_the_way(storage)
    taken_over = [rel for rel in strangers if tables and not rel.startswith((f"{RECORD}/", "tables/"))]
    known = {*taken_over, *(f"tables/{name}" for name in tables)}
    _require_free(storage, [rel for rel in strangers if rel not in known])
    storage.check_writable()
    name = new_id()
    with guarded("write", storage.base):
        for delta in tables.values():
            _name(delta, name)
    storage.record.begin(taken_over, name)


def sweep_parts(storage: Storage) -> None:
    """Removes the unfinished files of killed runs; only call it if no other run uses the storage."""
    if storage.is_local and storage.record.exists:
        for folder in ("", RECORD, *layout.FOLDERS):
            if folder != "tables":  # Delta's own
                _sweep(Path(storage.uri) / folder, storage.record.id, deep=bool(folder))


def _sweep(folder: Path, owner: str, deep: bool) -> None:
    for part in folder.glob("**/.*.part" if deep else ".*.part"):
        if re.fullmatch(rf"\.(.+\.)?{owner}[0-9a-f]{{32}}\.part", part.name) and part.is_file():
            part.unlink(missing_ok=True)


def _name(delta: "DeltaTable", name: str) -> None:
    def stands() -> bool:
        delta.update_incremental()
        return bool(delta.metadata().description == name)

    until_committed(lambda: delta.alter.set_table_description(name), stands)


def _require_free(storage: Storage, strangers: list[str]) -> None:
    if strangers:
        raise ConfigError(
            f"{storage.base!r} has files in places where runs write, and no run made them: {_some(strangers)}. Nothing "
            "was changed. Move them away, or name another place with --storage"
        )


def _in_the_way(storage: Storage) -> list[str]:
    """Files that no run made in places where runs keep files; also tables, and folders in place of files.

    Not those at the root, where runs only keep copies of movies.
    """
    there, _ = storage.look_into(layout.leads_on)
    names = [rel.removesuffix("/") for rel in there if not (rel.startswith("tables/") and rel.endswith("/"))]
    found = [rel for rel in names if layout.is_place(rel) and not layout.is_published(rel)]
    record = [] if storage.record.exists else [f"{RECORD}/{name}" for name in storage.walk(RECORD)]
    tables = [f"tables/{name}" for name in SCHEMAS if _is_anothers(storage, name)]
    return record + tables + storage.record.unknown(found)


def _is_anothers(storage: Storage, table: str) -> bool:
    if not storage.list(f"tables/{table}/_delta_log"):
        return False
    try:
        delta = open_table(storage, table)
    except StorageError:
        return True
    return delta is None or not storage.record.exists or not is_own(storage, delta, table)


def _earlier_tables(storage: Storage) -> "dict[str, DeltaTable]":
    """The tables of an earlier version: they have no columns besides ours."""
    found = {}
    for name in SCHEMAS:
        try:
            delta = open_table(storage, name) if storage.list(f"tables/{name}/_delta_log") else None
        except StorageError:
            continue
        if delta and {field.name for field in delta.schema().fields} <= set(SCHEMAS[name].names):
            found[name] = delta
    return found


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
