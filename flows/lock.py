"""A storage in which no other run of this machine is at work."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flows import home
from storage.atomic import sweep_parts
from storage.errors import StorageError
from storage.root import Storage


@contextmanager
def alone(storage: Storage) -> Iterator[None]:
    """Keeps other runs of this machine out of a storage; the system lifts the lock however this one ends.

    What killed ones left unfinished there is removed.

    Raises:
        StorageError: another run is at work in it, or it cannot be written.
    """
    storage.check_writable()
    with (home.make(storage) / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StorageError(
                f"another run (process {lock.read() or 'unknown'}) is at work in {storage.base!r}: "
                "wait for it, or name another place with --storage"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        sweep_parts(storage)
        yield
