"""Removes what runs made in a storage and nothing else; the folder may hold other files too."""

from dataclasses import dataclass

from flows.server import home
from storage import layout
from storage.errors import ConfigError, StorageError
from storage.guard import guarded
from storage.layout import RECORD
from storage.root import Storage, folders_of
from storage.tables.delta import files_of, is_own, open_table, remove_unused
from storage.tables.schemas import SCHEMAS

_WALKED = ("tables/", layout.HOME)  # folders in which Delta Lake and Prefect decide what lies where


@dataclass(frozen=True)
class Found:
    """What `clean` removes and what it keeps.

    Attributes:
        made: paths of files that runs made and nobody has changed since, according to the record.
        others: paths of files that the tables' logs name, and of Prefect's files.
        left: paths of what is kept: other people's files and folders, and files of runs that have changed since.
        folders: where runs keep files; `clean` removes those that are empty afterwards.
    """

    made: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def removed(self) -> list[str]:
        """The files to remove, shortened for people: one entry for a table or for a folder two levels down."""
        return list(dict.fromkeys(_short(rel) for rel in (*self.made, *self.others)))


def clean(storage: Storage) -> Found:
    """Removes what runs made, and returns it; call it again if it was interrupted. Raises what `look` raises."""
    found = look(storage)
    try:
        for rel in found.others:
            storage.delete_file(rel)
        for rel in found.made:  # unless it was changed meanwhile
            storage.record.remove(rel)
    finally:  # the next time nobody would know whose the empty ones are
        storage.delete_empty(found.folders)
    storage.record.end()
    return found


def is_storage(storage: Storage) -> bool:
    """Whether runs made it; an empty place is none. Raises the errors of `look` for any other."""
    if not storage.exists(""):
        raise StorageError(f"there is no storage at {storage.base!r}, and nothing to remove: name one with --storage")
    if not storage.record.exists and (held := storage.list("")):
        raise ConfigError(
            f"{storage.base!r} is not a moviedreamer storage (it holds {', '.join(map(repr, held[:3]))}), or was "
            "made by an earlier version, which kept no record. Nothing was removed. Name the right one with "
            "--storage; remove by hand what an earlier version made"
        )
    return storage.record.exists


def clean_unused(storage: Storage) -> list[str]:
    """Removes table files that nothing needs, and returns their paths; no row is lost."""
    removed = []
    for table in SCHEMAS:
        delta = open_table(storage, table)
        if delta and is_own(storage, delta, table):
            with guarded("clean", storage.url(f"tables/{table}")):
                removed += [f"tables/{table}/{name}" for name in remove_unused(storage, delta, table)]
    return removed


def space(storage: Storage) -> dict[str, int]:
    """Bytes in each folder of a storage."""
    sizes = {
        folder: sum(storage.size(f"{folder}/{name}") for name in storage.walk(folder)) for folder in layout.FOLDERS
    }
    return {folder: size for folder, size in sizes.items() if size}


def look(storage: Storage) -> Found:
    """What `clean` would remove.

    Raises:
        ConfigError: for a place that holds files but is not a storage, such as a misspelt one.
        StorageError: when it does not exist, or cannot be read or written.
    """
    record = storage.record
    if not is_storage(storage):
        return Found()
    entered = record.paths()
    made = [rel for rel in entered if record.made(rel)]
    mine = set(made)
    others = [rel for table in SCHEMAS for rel in _files_of(storage, table) if rel not in mine] + home.files(storage)
    ours = mine.union(others)
    walked = {folder for rel in entered for folder in folders_of(rel)}

    def leads_on(rel: str) -> bool:
        deeper = rel.startswith(_WALKED) and not storage.is_link(rel)
        return deeper or rel in walked or layout.leads_on(rel)

    there, folders = storage.look_into(leads_on)
    left = [rel for rel in there if rel not in ours and not rel.startswith(f"{RECORD}/")]
    return Found(tuple(made), tuple(others), tuple(left), tuple(sorted(walked.union(folders))))


def _files_of(storage: Storage, table: str) -> list[str]:
    """The files of a table; none if the table is not the storage's own or cannot be read."""
    try:
        delta = open_table(storage, table)
        return files_of(storage, delta, table) if delta and is_own(storage, delta, table) else []
    except (StorageError, ValueError):
        return []


def _short(rel: str) -> str:
    first, *rest = rel.split("/")
    return first if first == layout.HOME else "/".join([first, *rest[:1]])
