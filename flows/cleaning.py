"""Removes what runs made in a storage, and nothing else: a storage may be a folder that holds more than that."""

from dataclasses import dataclass
from pathlib import Path

from flows import home
from storage import layout
from storage.atomic import sweep
from storage.delta import files_of, is_own, open_table
from storage.errors import ConfigError, StorageError
from storage.record import FOLDER
from storage.root import Storage, folders_of
from storage.schemas import SCHEMAS



@dataclass(frozen=True)
class Found:
    """What `clean` removes, and what it leaves.

    Attributes:
        made: paths of files that runs made, as the record says, and nobody has changed since.
        others: paths of files that the tables' logs name, and of Prefect's.
        left: paths of what stays: other people's files and folders, and runs' own that were changed since.
    """

    made: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def removed(self) -> list[str]:
        """The made files, in short: what lies in a table or in a folder two levels down is told once."""
        return list(dict.fromkeys(_short(rel) for rel in (*self.made, *self.others)))


def clean(storage: Storage) -> Found:
    """Removes what runs made, and returns it. One that was interrupted can be called again. Raises as `look` does."""
    found, record = look(storage), storage.record
    for rel in (*found.made, *(record.paths() if record.exists else ())):  # those that are gone leave the record too
        record.remove(rel)
    for rel in found.others:
        storage.delete_file(rel)
    record.end()
    gone = (*found.made, *found.others, f"{FOLDER}/made/.")
    storage.delete_empty(folder for rel in gone for folder in folders_of(rel))
    return found


def look(storage: Storage) -> Found:
    """What `clean` would do.

    Raises:
        ConfigError: for a place that holds something and is no storage: it is something else, or is misspelt.
        StorageError: when it cannot be read or written.
    """
    record = storage.record
    if not record.exists:
        if held := storage.list(""):
            raise ConfigError(
                f"{storage.base!r} does not look like a storage of moviedreamer (it holds {', '.join(held[:3])}), or is "
                "one of an earlier version, which kept no record of its files: nothing was removed. Name the right one "
                "with --storage; what an earlier version made is removed by hand"
            )
        return Found()
    made = [rel for rel in record.paths() if record.made(rel)]
    mine = set(made)
    others = [rel for table in SCHEMAS for rel in _files_of(storage, table) if rel not in mine] + home.files(storage)
    ours = mine.union(others)
    there = storage.files(lambda rel: layout.leads_on(rel) or rel.startswith("tables/") or rel == layout.HOME)
    left = [rel for rel in there if rel not in ours and not rel.startswith(f"{FOLDER}/")]
    return Found(tuple(made), tuple(others), tuple(left))


def _files_of(storage: Storage, table: str) -> list[str]:
    """None of a table that is not the storage's own, or cannot be read."""
    try:
        delta = open_table(storage, table)
        return files_of(storage, delta, table) if delta and is_own(storage, delta) else []
    except (StorageError, ValueError):
        return []


def _short(rel: str) -> str:
    first, *rest = rel.split("/")
    return first if first == layout.HOME else "/".join([first, *rest[:1]])


def sweep_parts(storage: Storage) -> None:
    """Removes the unfinished files of killed runs, of which nothing is told; for whoever is alone in the storage."""
    if storage.is_local and storage.record.exists:
        for folder in ("", FOLDER, *layout.FOLDERS):
            if folder != "tables":  # Delta's own
                sweep(Path(storage.uri) / folder, storage.record.id, deep=bool(folder))
