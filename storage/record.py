"""The record of the files that runs made in a storage. No other file is ever overwritten or removed.

.moviedreamer/storage.json      the storage's id, which its tables have as their description
.moviedreamer/made/<key>.json   one entry per file that a run made: path, size, hash and modification time

An entry is written before its file appears, and removed after its file. So the record knows all files of a killed run.
A file that somebody else later puts in the same place has other bytes, so it is not mistaken for a run's. While a file
is overwritten, its entry has both versions. Because each file has its own entry, any number of processes and hosts can
write at the same time, on any storage.
"""

import hashlib
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ValidationError

from storage.errors import StorageError
from storage.files import Files
from storage.layout import RECORD

_IDENTITY = f"{RECORD}/storage.json"
_MADE = f"{RECORD}/made"
_SETTLED_NS = 1_000_000_000  # from a file's last byte until it is in its place, or it is looked into
_LOOKED_INTO = 1 << 20  # bytes; larger remote files are compared only by size


class Stamp(BaseModel, frozen=True, extra="forbid"):
    """Identifies a file's bytes; `modified_ns` is 0 if the storage sets the modification time."""

    size: int
    sha256: str
    modified_ns: int = 0

    @classmethod
    def of(cls, file: Path) -> "Stamp":
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        found = file.stat()
        return cls(size=found.st_size, sha256=digest, modified_ns=found.st_mtime_ns)

    @classmethod
    def of_bytes(cls, data: bytes) -> "Stamp":
        return cls(size=len(data), sha256=_digest(data))


class Entry(BaseModel, frozen=True, extra="forbid"):
    """A file that a run made; two stamps if a run was killed while it overwrote the file."""

    path: str
    stamps: tuple[Stamp, ...]


class Identity(BaseModel, frozen=True, extra="forbid"):
    """A storage's id.

    Args:
        taken_over: files of an earlier version, which had no record: they are read but never overwritten or removed.
    """

    id: str
    taken_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """The record of one storage."""

    files: Files

    @property
    def exists(self) -> bool:
        return self.files.exists(_IDENTITY)

    @cached_property
    def identity(self) -> Identity:
        """The storage's identity, which is created if it has none.

        Raises:
            StorageError: the file at its path is not a record.
        """
        if not self.exists:
            self.begin()
        try:
            return Identity.model_validate_json(self.files.read_bytes(_IDENTITY))
        except ValidationError as error:
            url = self.files.url(_IDENTITY)
            raise StorageError(f"{url!r} is not the record of a storage: name another --storage") from error

    @property
    def id(self) -> str:
        return self.identity.id

    def begin(self, taken_over: Sequence[str] = (), name: str = "") -> None:
        """Makes the place a storage, unless it is one already. If two processes do so at once, the first wins."""
        identity = Identity(id=name or new_id(), taken_over=tuple(taken_over))
        self.files.write_new(_IDENTITY, identity.model_dump_json(indent=1).encode())

    def enter(self, rel: str, stamp: Stamp) -> None:
        """Records that the file at `rel` is about to have the bytes of `stamp`.

        Raises:
            StorageError: the existing file was not made by a run, or was changed since.
        """
        entry = self._read(_entry(rel))
        before = self._matching(rel, entry)
        for place in (rel,) * (before is None) + (_entry(rel),) * (entry is None):
            if self.files.occupied(place):
                raise StorageError(
                    f"{self.files.url(place)!r} is in the way: no run made it, or it was changed since, so it is not "
                    "overwritten; move it away or name another place with --storage, then run the same command again"
                )
        stamps = (before, stamp) if before and before != stamp else (stamp,)
        self.files.write_plain(_entry(rel), Entry(path=rel, stamps=stamps).model_dump_json().encode())

    def made(self, rel: str) -> bool:
        """Whether a run made the file at `rel`, and nobody has changed it since."""
        return self._matching(rel, self._read(_entry(rel))) is not None

    def has(self, rel: str, stamp: Stamp) -> bool:
        """Whether the file at `rel` has had these bytes since it was first written."""
        entry = self._read(_entry(rel))
        same = entry is not None and [(one.size, one.sha256) for one in entry.stamps] == [(stamp.size, stamp.sha256)]
        return same and self.files.size(rel) == stamp.size

    def remove(self, rel: str) -> bool:
        """Removes the file at `rel` if a run made it and nobody has changed it since; returns whether it did."""
        entry = self._read(_entry(rel))
        found = self._matching(rel, entry) is not None
        if found:
            self.files.delete_file(rel)
        if entry and (found or not self.files.occupied(rel)):
            self.files.delete_file(_entry(rel))
        return found

    def paths(self) -> list[str]:
        """Sorted paths of all files with an entry, even if the file is gone. Raises the errors of `identity`."""
        names = self.files.list(_MADE) if self.exists and self.identity else []
        entries = (self._read(f"{_MADE}/{name}") for name in names)
        return sorted(entry.path for entry in entries if entry)

    def unknown(self, rels: list[str]) -> list[str]:
        """Those that have no entry and were not taken over; reads none of them."""
        entries, taken = set(self.files.list(_MADE)), set(self.identity.taken_over) if self.exists else set()
        return [rel for rel in rels if rel not in taken and PurePosixPath(_entry(rel)).name not in entries]

    def end(self) -> None:
        """Removes the record, as the last step of a removal; other files in its folder stay."""
        for rel in self.paths():
            self.files.delete_file(_entry(rel))
        self.files.delete_file(_IDENTITY)
        self.files.delete_empty((_MADE, RECORD))

    def _matching(self, rel: str, entry: Entry | None) -> Stamp | None:
        stamps = reversed(entry.stamps) if entry and entry.path == rel else ()
        return next((stamp for stamp in stamps if self._is(rel, stamp)), None)

    def _read(self, rel: str) -> Entry | None:
        if not self.files.exists(rel):
            return None
        try:
            return Entry.model_validate_json(self.files.read_bytes(rel))
        except ValidationError:  # not a run's file
            return None

    def _is(self, rel: str, stamp: Stamp) -> bool:
        if not self.files.is_local:
            if self.files.size(rel) != stamp.size:
                return False
            return stamp.size > _LOOKED_INTO or _digest(self.files.read_bytes(rel)) == stamp.sha256
        file = Path(self.files.uri) / rel
        if file.is_symlink() or not file.is_file() or self.is_elsewhere(str(PurePosixPath(rel).parent)):
            return False
        found = file.stat()
        if found.st_size != stamp.size:
            return False
        settled = found.st_ctime_ns - stamp.modified_ns < _SETTLED_NS  # tools can set the other time back, not this one
        return (settled and found.st_mtime_ns == stamp.modified_ns) or Stamp.of(file).sha256 == stamp.sha256

    def is_elsewhere(self, rel: str) -> bool:
        """Whether a user's link leads from the folder `rel` into another storage, such as the one this is a copy of."""
        if not self.files.is_local:
            return False
        root, folder = (Path(os.path.realpath(Path(self.files.uri) / name)) for name in ("", rel))
        return not folder.is_relative_to(root) and any((up / _IDENTITY).exists() for up in (folder, *folder.parents))


def new_id() -> str:
    """A new id for a storage."""
    return uuid.uuid4().hex[:16]


def _entry(rel: str) -> str:
    return f"{_MADE}/{_digest(rel.encode(errors='surrogateescape'))[:32]}.json"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
