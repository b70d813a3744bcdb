"""Locks that exclude other runs from a storage, on any machine.

In an object store, a lease under .moviedreamer/ names the holder. It is created only if there is none, and renewed only
if it is unchanged. It is taken from a holder that has not renewed it for EXPIRES seconds, by the store's own clock, or
that is known to be dead.
"""

import fcntl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError

from storage.errors import StorageError
from storage.guard import guarded
from storage.layout import RECORD
from storage.root import Storage

if TYPE_CHECKING:
    from obstore.store import ObjectStore

EXPIRES = 120
"""Seconds after which a lease expires if it is not renewed."""

_RENEWED = EXPIRES / 6  # seconds from one renewal to the next
_WHOLE = f"{RECORD}/lease.json"
_TIDYING = f"{RECORD}/tidying.json"


class Holder(BaseModel, frozen=True, extra="forbid"):
    """The holder of a lease.

    Args:
        lock: host and path of the holder's lock file: a process that now holds this lock knows that the holder is dead.
        shown: for people, such as "process 12 on host-a".
        id: unique id of the holder.
        renewals: counter that makes the bytes differ at each renewal.
    """

    lock: str
    shown: str
    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    renewals: int = 0


@dataclass
class Lease:
    """One holder's lease on one storage, in its last written version."""

    storage: Storage
    holder: Holder
    place: str = _WHOLE
    _version: dict[str, str] = field(default_factory=dict)

    def take(self) -> None:
        """Takes the lease. Raises StorageError if another run has it, or if it cannot be written."""
        with guarded("write", self.storage.url(self.place)):
            if self._put("create"):
                return
            found, version, modified = self._read()
            if found.id == self.holder.id:
                self._version = version
                return
            age = (self._now() - modified).total_seconds()
            if found.lock != self.holder.lock and age < EXPIRES:
                raise StorageError(
                    f"another run ({found.shown}) is at work in {self.storage.base!r}: wait for it, or name another "
                    f"place with --storage; if it was killed, its lease expires in {EXPIRES - age:.0f} s"
                )
            if not self._put(version):
                raise StorageError(f"another run has just begun in {self.storage.base!r}: wait for it")

    def renew(self) -> bool:
        """Renews the lease; returns whether this holder still has it."""
        self.holder = self.holder.model_copy(update={"renewals": self.holder.renewals + 1})
        if self._put(self._version):
            return True
        found, self._version, _ = self._read()  # the answer to an earlier renewal may have been lost
        return found.id == self.holder.id

    def release(self) -> None:
        """Releases the lease, unless another holder has taken it."""
        import obstore

        with guarded("delete", self.storage.url(self.place)):
            if self._read()[0].id == self.holder.id:
                obstore.delete(self._objects, self.place)

    @property
    def _objects(self) -> "ObjectStore":
        return self.storage.objects

    def _put(self, mode: Any) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError

        try:
            written: Any = obstore.put(self._objects, self.place, self.holder.model_dump_json().encode(), mode=mode)
        except (AlreadyExistsError, PreconditionError, NotFoundError):
            return False
        self._version = _version(written)
        return True

    def _read(self) -> tuple[Holder, dict[str, str], datetime]:
        import obstore

        found = obstore.get(self._objects, self.place)
        try:
            holder = Holder.model_validate_json(bytes(found.bytes()))
        except ValidationError as error:
            url = self.storage.url(self.place)
            raise StorageError(f"{url!r} is not the lease of a run: move it away") from error
        return holder, _version(found.meta), found.meta["last_modified"]

    def _now(self) -> datetime:
        """The time of the store's clock."""
        import obstore

        probe = f"{RECORD}/.{uuid.uuid4().hex}.part"
        obstore.put(self._objects, probe, b"now")
        now: datetime = obstore.head(self._objects, probe)["last_modified"]
        obstore.delete(self._objects, probe)
        return now


def _version(meta: Any) -> dict[str, str]:
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}


@contextmanager
def held(storage: Storage, holder: Holder, lost: Callable[[], None], place: str = _WHOLE) -> Iterator[None]:
    """Takes the lease, and renews it in a thread while the block runs.

    Args:
        lost: called in that thread when another run has taken the lease, because it was not renewed in time.

    Raises:
        StorageError: another run has it, or it cannot be written.
    """
    lease, ended = Lease(storage, holder, place), threading.Event()
    lease.take()

    def renew() -> None:
        while not ended.wait(_RENEWED):
            try:
                with guarded("write", storage.url(place)):
                    kept = lease.renew()
            except StorageError:  # the next try may succeed; nobody can take the lease before it expires
                continue
            if not kept:
                lost()
                return

    renewing = threading.Thread(target=renew, daemon=True, name="lease")
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        with suppress(StorageError):  # it expires by itself
            lease.release()


@contextmanager
def only_one(storage: Storage) -> Iterator[bool]:
    """Yields whether this process may compact tables; if so, no other process can start to during the block."""
    with ExitStack() as stack:
        if storage.is_local:
            assert storage.record.id  # creates the file if it is missing
            identity = stack.enter_context(Path(storage.uri, RECORD, "storage.json").open("rb"))
            try:
                fcntl.flock(identity, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        else:
            name = uuid.uuid4().hex
            try:
                stack.enter_context(held(storage, Holder(lock=name, shown=name), lambda: None, _TIDYING))
            except StorageError:
                yield False
                return
        yield True
