"""Where Prefect's state and the lock of a storage's runs are: inside a local storage, else in a cache."""

import os
import re
from pathlib import Path

from storage.fingerprint import fingerprint
from storage.layout import HOME
from storage.root import Storage

_OWNER = f"{HOME}/owner"  # in the record, and what makes the rest of the folder ours
_OURS = re.compile(
    r"lock|whole|server\.log|memo_store\.toml|profiles\.toml|prefect\.db(-shm|-wal|-journal)?|storage/[0-9a-f]{32}"
)


def home(storage: Storage) -> Path:
    """The folder; a user's own of that name in the storage is left alone, and the cache taken in its place."""
    if storage.is_local and (is_inside(storage) or not storage.list(HOME)):
        return Path(storage.uri) / HOME
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "moviedreamer" / fingerprint(storage.base)


def is_inside(storage: Storage) -> bool:
    """Whether the folder is in the storage, and a run made it."""
    return storage.record.exists and storage.record.made(_OWNER)


def make(storage: Storage) -> Path:
    """The folder, which is there then."""
    place = home(storage)
    if storage.is_local and place == Path(storage.uri) / HOME and not is_inside(storage):
        storage.write_bytes(_OWNER, storage.record.id.encode())
    place.mkdir(parents=True, exist_ok=True)
    return place


def files(storage: Storage) -> list[str]:
    """Paths of the files in it that Prefect and the runs write, the lock last; the record knows the rest."""
    names = filter(_OURS.fullmatch, storage.walk(HOME)) if is_inside(storage) else ()
    return [f"{HOME}/{name}" for name in sorted(names, key="lock".__eq__)]
