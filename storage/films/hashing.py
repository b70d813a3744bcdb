"""Names films by the hash of their bytes: several at a time, each file once.

The storage keeps a file's hash; it is valid as long as the file's size and modification time stay the same.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import FilmError
from storage.fingerprint import file_id
from storage.remote import Seen, address, as_source, fetched, is_remote, local_path, look
from storage.root import Storage

REL = "films/hashes.parquet"
VERSION = 6  # of what is kept there: what another one wrote is made anew
_SAVE_EVERY = 200  # films

_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("source", "version", "film_id")] + [("size", pa.int64()), ("method", pa.int32())]
)

Hashed = dict[str, str | FilmError]
"""Source -> the film's id."""

_Row = dict[str, Any]
"""A row of the table of hashes."""


def by_bytes(sources: Sequence[str]) -> Hashed:
    """Ids of films, one after the other."""
    return {source: _hash(source) for source in sources}


@dataclass(frozen=True)
class Hasher:
    """Hashes films, `workers` at a time, and keeps the hashes in `storage`.

    Args:
        progress: is told (films done, films) now and then.
    """

    storage: Storage
    progress: Callable[[int, int], None] = lambda done, total: None
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __call__(self, sources: Sequence[str]) -> Hashed:
        """Films that are missing, or cannot be read, have a FilmError.

        Raises:
            StorageError: when the storage cannot be read or written.
        """
        known = self._known()
        found: Hashed = {}
        pending: dict[str, Seen] = {}  # as files were before they are read: one that changes meanwhile is read again
        for source in sources:
            row = known.get(_key(source))
            try:
                seen = look(source)
            except FilmError as error:
                found[source] = error
                continue
            if row and row["version"] and (row["size"], row["version"]) == (seen.size, seen.version):
                found[source] = row["film_id"]
            else:
                pending[source] = seen
        if not pending:
            return found
        self.progress(0, len(pending))
        unsaved = 0
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="hashing")
        try:
            for done, (source, result) in enumerate(zip(pending, pool.map(_hash, pending), strict=True), start=1):
                found[source] = result
                seen = pending[source]
                if isinstance(result, str) and seen.version:
                    known[_key(source)] = _row(source, result, seen)
                    unsaved += 1
                if unsaved >= _SAVE_EVERY:
                    self._save(known)
                    unsaved = 0
                self.progress(done, len(pending))
        finally:
            pool.shutdown(cancel_futures=True)
        if unsaved:
            self._save(known)
        return found

    def _known(self) -> dict[str, _Row]:
        if not self.storage.exists(REL):
            return {}
        rows = pq.read_table(pa.BufferReader(self.storage.read_bytes(REL))).to_pylist()
        return {row["source"]: row for row in rows if row["method"] == VERSION}

    def _save(self, known: dict[str, _Row]) -> None:
        rows = sorted(known.values(), key=lambda row: str(row["source"]))
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), sink, compression="zstd")
        self.storage.write_bytes(REL, sink.getvalue().to_pybytes())


def _hash(source: str) -> str | FilmError:
    try:
        with fetched(source) as path:
            return file_id(path)
    except FilmError as error:
        return error
    except FileNotFoundError:
        return FilmError("missing", f"there is no file {address(source)!r}")
    except OSError as error:
        return FilmError("unreadable", f"{address(source)!r} cannot be read: {error.strerror}")


def _key(source: str) -> str:
    return address(source) if is_remote(source) else as_source(local_path(source).absolute())


def _row(source: str, film_id: str, seen: Seen) -> _Row:
    return {
        "source": _key(source),
        "film_id": film_id,
        "size": seen.size,
        "version": seen.version,
        "method": VERSION,
    }
