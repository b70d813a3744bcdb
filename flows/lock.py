"""A storage in which no other run of this machine is at work."""

import fcntl
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from flows import home
from flows.cleaning import sweep_parts
from storage.errors import StorageError
from storage.root import Storage


@contextmanager
def alone(storage: Storage) -> Iterator[None]:
    """Keeps other processes of this machine out of a storage; the system lifts the lock however this one ends.

    What killed ones left unfinished there is removed.
    """
    place = home.home(storage)
    with _guard:
        if not _inside[place]:
            storage.check_writable()
            _locks[place] = _locked(home.make(storage), storage)
            sweep_parts(storage)
        _inside[place] += 1
    try:
        yield
    finally:
        with _guard:
            _inside[place] -= 1
            if not _inside[place]:
                _locks.pop(place).close()


def at_work(storage: Storage) -> bool:
    """Whether a flow of this process is at work in a storage."""
    return _inside[home.home(storage)] > 0


_guard = threading.Lock()
_inside: Counter[Path] = Counter()  # how many flows of this process are at work in a place
_locks: dict[Path, IO[str]] = {}


def _locked(place: Path, storage: Storage) -> IO[str]:
    lock = (place / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read() or "unknown"
        lock.close()
        raise StorageError(
            f"another run (process {holder}) is at work in {storage.base!r}: "
            "wait for it, or name another place with --storage"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
