"""Removes what the project made in a storage, and nothing else: a storage may be a folder that holds more than that."""

import re
from pathlib import Path

from storage.atomic import sweep
from storage.errors import ConfigError
from storage.root import Storage
from storage.schemas import SCHEMAS

MADE = {
    "movies": r"[0-9a-f]{16}",
    "evaluations": r"[0-9a-f]{16}",
    "films": r"drawn-.*|hashes\.parquet",
    "cards": r"[0-9a-f]{16}",
    "exports": r"[0-9a-f]{16}",
    "images": r"[0-9a-f]{16}\.parquet",
    "snapshots": r"[0-9a-f]{16}\.json",
    "checkpoints": "codec|autoencoder|decoder|autoregressive",
    "": r"movie(-\d+)?\.mp4|storyboard\.html|metrics\.json",
    "tables": "|".join(SCHEMAS),
}
"""Folder of a storage -> the names in it that are ours; in the order of their removal.

What a storage is told by goes last: `clean` that was interrupted can be called again.
"""
_LAST = ("tables/films", ".prefect")


def clean(storage: Storage) -> list[str]:
    """Removes what runs left, and returns it; none when there is nothing at all.

    Raises:
        ConfigError: when the place holds things, but no table of ours: it is something else, or is misspelt.
        StorageError: when something cannot be removed.
    """
    found = made(storage)
    for name in found:
        storage.delete(name)
    for folder in filter(storage.exists, filter(None, MADE)):
        if not storage.list(folder):
            storage.delete(folder)
    return found


def made(storage: Storage) -> list[str]:
    """What `clean` would remove, relative to the root. Raises as `clean` does."""
    held = [name for name in storage.list("") if name not in MADE or storage.list(name)]
    tables = (storage.list(f"tables/{table}/_delta_log") for table in SCHEMAS)
    if held and not (storage.exists(".prefect/server.log") or any(tables)):
        raise ConfigError(
            f"{storage.base!r} does not look like a storage of moviedreamer (it holds {', '.join(held[:3])}): "
            "nothing was removed; name the right one with --storage"
        )
    found = [
        f"{folder}/{name}".lstrip("/")
        for folder, ours in MADE.items()
        for name in storage.list(folder)
        if re.fullmatch(ours, name)
    ]
    return [name for name in found if name not in _LAST] + [name for name in _LAST if storage.exists(name)]


def sweep_parts(storage: Storage) -> None:
    """Removes the unfinished files of killed runs, of which nothing is told; for whoever is alone in the storage."""
    if storage.is_local:
        for folder in MADE:
            if folder != "tables":  # Delta's own
                sweep(Path(storage.uri) / folder, deep=bool(folder))
