"""The lock that keeps other runs out of a storage."""

import fcntl
import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.server import home
from storage.claim import sweep_parts
from storage.errors import StorageError
from storage.lease import Holder, held
from storage.root import Storage


@contextmanager
def alone(storage: Storage) -> Iterator[None]:
    """Keeps other runs out of a storage during the block; the system releases the lock however the process ends.

    A file lock excludes other runs on this machine; in an object store a lease excludes runs on all machines.
    Unfinished files of killed runs are removed.

    Raises:
        StorageError: another run is at work in it, or it cannot be written.
    """
    storage.check_writable()
    place = home.make(storage) / "lock"
    with place.open("a+") as lock:
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
        if storage.is_local:
            yield
        else:
            with _leased(storage, place):
                yield


@contextmanager
def _leased(storage: Storage, lock: Path) -> Iterator[None]:
    main = threading.main_thread()
    assert main.ident is not None

    def stop(number: int, frame: object) -> None:
        raise StorageError(
            f"another run has taken {storage.base!r}, because this one could not renew its lease in time; its finished "
            "work is kept: start it again when the other run is done"
        )

    handled = threading.current_thread() is main  # not SIGINT, which shells ignore in background jobs
    number = signal.SIGUSR1 if handled else signal.SIGTERM
    before = signal.signal(number, stop) if handled else None
    host = platform.node()
    holder = Holder(lock=f"{host}:{lock}", shown=f"process {os.getpid()} on {host}")
    try:
        with held(storage, holder, lambda: signal.pthread_kill(main.ident or 0, number)):
            yield
    finally:
        if handled:
            signal.signal(number, before)
