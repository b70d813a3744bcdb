"""Names and looks of films: the hash of the bytes and the perceptual hash, several at a time, and never twice.

What is known of a file is kept in the storage as long as its size and time of change stay. The perceptual hash is made
by child processes (`python -m storage.films.hashing`), since a film may crash its decoder, or hang it.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from storage.decoding.container import picture_size
from storage.errors import FilmError
from storage.films.perceptual import VERSION, perceptual_hash
from storage.fingerprint import file_id
from storage.remote import Seen, address, as_source, fetched, is_remote, local_path, look
from storage.root import Storage

REL = "films/hashes.parquet"
_SAVE_EVERY = 200  # films
_PATIENCE = 120.0  # seconds for the pictures of a film
_MEMORY = 4 << 30  # bytes of address space of a child
_UNSEEN = ("", 0, 0)  # perceptual hash, width, height

_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("source", "version", "film_id", "phash")]
    + [("size", pa.int64()), *((name, pa.int32()) for name in ("width", "height", "method"))]
)


class FilmHash(BaseModel, frozen=True, extra="forbid"):
    """A film's id, which is the hash of its bytes, and what it looks like ("" where its pictures could not be read).

    `width` and `height` of its picture in pixels, and its `size` in bytes; 0 where nobody looked.
    """

    film_id: str
    phash: str = ""
    width: int = 0
    height: int = 0
    size: int = 0


Hashed = dict[str, FilmHash | FilmError]
"""By source."""

Kept = dict[str, Any]
"""A row of what is kept in the storage."""


def by_bytes(sources: Sequence[str]) -> Hashed:
    """Ids alone, one after the other, in this process."""
    found: Hashed = {}
    for source in sources:
        try:
            with fetched(source) as path, _readable(source):
                found[source] = FilmHash(film_id=file_id(path))
        except FilmError as error:
            found[source] = error
    return found


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
                found[source] = FilmHash.model_validate({name: row[name] for name in FilmHash.model_fields})
            else:
                pending[source] = seen
        if pending:
            self.progress(0, len(pending))
        unsaved = 0
        with closing(self._made(list(pending))) as arriving:
            for done, (source, result) in enumerate(arriving, start=1):
                found[source] = result
                seen = pending[source]
                if isinstance(result, FilmHash) and seen.version:
                    known[_key(source)] = _row(source, result, seen)
                    unsaved += 1
                if unsaved >= _SAVE_EVERY:
                    self._save(known)
                    unsaved = 0
                self.progress(done, len(pending))
        if unsaved:
            self._save(known)
        return found

    def _made(self, sources: Sequence[str]) -> Generator[tuple[str, FilmHash | FilmError]]:
        """As they come; the first error that is no film's ends it."""
        if not sources:
            return
        results: queue.SimpleQueue[tuple[str, FilmHash | FilmError | Exception]] = queue.SimpleQueue()
        with _children(min(self.workers, len(sources))) as (pool, children):

            def work(source: str) -> None:
                try:
                    results.put((source, _hash(source, children)))
                except Exception as error:  # handed to the thread that waits
                    results.put((source, error))

            for source in sources:
                pool.submit(work, source)
            for _ in sources:
                source, result = results.get()
                if isinstance(result, Exception) and not isinstance(result, FilmError):
                    raise result
                yield source, result

    def _known(self) -> dict[str, Kept]:
        if not self.storage.exists(REL):
            return {}
        rows = pq.read_table(pa.BufferReader(self.storage.read_bytes(REL))).to_pylist()
        return {row["source"]: row for row in rows if row["method"] == VERSION}

    def _save(self, known: dict[str, Kept]) -> None:
        rows = sorted(known.values(), key=lambda row: str(row["source"]))
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), sink, compression="zstd")
        self.storage.write_bytes(REL, sink.getvalue().to_pybytes())


def _hash(source: str, children: "queue.SimpleQueue[_Child]") -> FilmHash | FilmError:
    child = children.get()
    try:
        with fetched(source) as path, _readable(source):
            phash, width, height = child.look(path)
            return FilmHash(film_id=file_id(path), phash=phash, width=width, height=height, size=path.stat().st_size)
    except FilmError as error:
        return error
    finally:
        children.put(child)


@contextmanager
def _readable(source: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FilmError("missing", f"there is no file {address(source)!r}") from error
    except OSError as error:
        raise FilmError("unreadable", f"{address(source)!r} cannot be read: {error.strerror}") from error


def _key(source: str) -> str:
    return address(source) if is_remote(source) else as_source(local_path(source).absolute())


def _row(source: str, result: FilmHash, seen: Seen) -> Kept:
    row = {"source": _key(source), "size": seen.size, "version": seen.version, "method": VERSION}
    return {**result.model_dump(), **row}


@contextmanager
def _children(count: int) -> "Iterator[tuple[ThreadPoolExecutor, queue.SimpleQueue[_Child]]]":
    """Threads, and a child process for each of them."""
    children: queue.SimpleQueue[_Child] = queue.SimpleQueue()
    all_of_them = [_Child() for _ in range(count)]
    for child in all_of_them:
        children.put(child)
    pool = ThreadPoolExecutor(count, thread_name_prefix="hashing")
    try:
        yield pool, children
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in all_of_them:
            child.stop()
        pool.shutdown()


class _Child:
    """A process that looks at one film after the other; a new one follows on one that ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def look(self, path: Path) -> tuple[str, int, int]:
        """Perceptual hash, width and height; _UNSEEN when the film's pictures cannot be read, or not in time."""
        process = self._process = self._process or _start()
        if self._stopped:
            process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        watch = threading.Timer(_PATIENCE, process.kill)
        watch.start()
        try:
            process.stdin.write(json.dumps(str(path.absolute())) + "\n")
            process.stdin.flush()
            phash, width, height = json.loads(process.stdout.readline())
            return phash, width, height
        except (BrokenPipeError, ValueError):  # it ended before its answer, or in the middle of it
            process.kill()
            process.wait()
            self._process = None
            return _UNSEEN
        finally:
            watch.cancel()

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _start() -> "subprocess.Popen[str]":
    home = str(Path(__file__).parents[1])
    paths = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **threads, "PYTHONPATH": paths},
    )


def _main() -> None:
    """Answers each path on its standard input with what `_Child.look` says of it, until the input ends."""
    import resource

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        try:
            path = Path(json.loads(line))
            answer = perceptual_hash(path), *picture_size(path)
        except (FilmError, MemoryError):
            answer = _UNSEEN
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main()
