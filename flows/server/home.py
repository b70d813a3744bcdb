"""The folder of a storage's run lock and Prefect state: inside a local storage, otherwise in the user's cache."""

import os
import re
from pathlib import Path

from storage.errors import StorageError
from storage.fingerprint import fingerprint
from storage.layout import HOME
from storage.root import Storage

_OWNER = f"{HOME}/owner"  # is in the record and marks the whole folder as ours
_OURS = re.compile(
    r"lock|whole|server\.log|memo_store\.toml|profiles\.toml|prefect\.db(-shm|-wal|-journal)?|storage/[0-9a-f]{32}"
)


def home(storage: Storage) -> Path:
    """The folder's path. If the storage already has a folder of that name that no run made, the cache is used."""
    if storage.is_local and (is_inside(storage) or not storage.list(HOME)):
        return Path(storage.uri) / HOME
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "moviedreamer" / fingerprint(storage.base)


def is_inside(storage: Storage) -> bool:
    """Whether the folder is in the storage and was made by a run."""
    return storage.record.exists and storage.record.made(_OWNER)


def make(storage: Storage) -> Path:
    """Creates the folder if it is missing and returns its path.

    Raises:
        StorageError: a link is at the place of one of its files; what it leads to is a user's and would be overwritten.
    """
    place = home(storage)
    if storage.is_local and place == Path(storage.uri) / HOME and not is_inside(storage):
        storage.write_bytes(_OWNER, storage.record.id.encode())
    place.mkdir(parents=True, exist_ok=True)
    links = [
        path for path in place.iterdir() if path.is_symlink() and (_OURS.fullmatch(path.name) or path.name == "storage")
    ]
    if links:
        raise StorageError(
            f"{str(links[0])!r} is in the way: it is a link, and what it leads to would be overwritten; remove it"
        )
    return place


def files(storage: Storage) -> list[str]:
    """Paths of the files in it that are not in the record: those that Prefect and runs write; the lock is last."""
    names = filter(_OURS.fullmatch, storage.walk(HOME)) if is_inside(storage) else ()
    return [rel for name in sorted(names, key="lock".__eq__) if not storage.is_link(rel := f"{HOME}/{name}")]
