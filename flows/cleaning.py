"""Removes what the project made in a storage, and nothing else: a storage may be a folder that holds more than that."""

import re

from storage.errors import ConfigError
from storage.root import Storage

MADE = {
    "movies": r"[0-9a-f]{16}",
    "evaluations": r"[0-9a-f]{16}",
    "films": r"drawn-.*|hashes\.parquet",
    "cards": r"[0-9a-f]{16}",
    "exports": r"[0-9a-f]{16}",
    "images": r"[0-9a-f]{16}\.parquet",
    "snapshots": r"[0-9a-f]{16}\.json",
    "checkpoints": r"[a-z_]+",
    "tables": r"[a-z_]+",
    "": r"movie(-\d+)?\.mp4|storyboard\.html|metrics\.json|\.prefect",
}
"""Folder of a storage -> the names in it that are ours; in the order of their removal."""


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
    held = storage.list("")
    if held and not (storage.exists(".prefect/server.log") or storage.list("tables/films/_delta_log")):
        raise ConfigError(
            f"{storage.base!r} does not look like a storage of moviedreamer (it holds {', '.join(held[:3])}): "
            "nothing was removed; name the right one with --storage"
        )
    return [
        f"{folder}/{name}".lstrip("/")
        for folder, ours in MADE.items()
        for name in storage.list(folder)
        if re.fullmatch(ours, name)
    ]
