"""Films by path or URI: looked up where they are, and copied here only while somebody works on them.

s3://, gs:// and az:// are read as storages are (storage.root says how keys and options are given); everything else that
fsspec knows is read by fsspec, with the package that it asks for.
"""

import os
import platform
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from pydantic import BeforeValidator

from storage.errors import FilmError
from storage.guard import KEYS, lacks_keys
from storage.masked import PASSWORD, SIGNED, masked
from storage.printable import is_utf8, printable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from pyarrow.fs import FileSystem

OBJECT_STORES = ("s3", "gs", "az")
_PLACE_AND_OPTIONS = re.compile(r"(?P<place>.*?)(\?(?P<options>[a-z_]+=[^?]*))?", re.DOTALL)
PATIENCE = 180
"""Seconds for which a run's requests are repeated while an object store returns errors or doesn't answer."""
_TRIES = 13  # of Arrow, which doubles its pause of 25 ms: 3 minutes too
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True)
class Seen:
    """Detects changes of a file without reading it; `version` is "" if the file system has none."""

    size: int
    version: str


def is_remote(source: str) -> bool:
    """Whether `source` is a URI of another place than this machine's file system."""
    return "://" in source and not source.startswith("file://")


def split(uri: str) -> tuple[str, str, str]:
    """Scheme, place and options of a URI. A place may have any character, because keys of object stores may.

    Options begin at the last "?" that a name and "=" follow: s3://bucket/what?.mp4?region=eu-1&scheme=http.
    """
    scheme, _, rest = uri.partition("://")
    found = _PLACE_AND_OPTIONS.fullmatch(rest)
    assert found is not None
    return scheme, found["place"], found["options"] or ""


def address(source: str) -> str:
    """A source as it is shown and stored: without keys, signatures and the options of an object store."""
    if not is_remote(source):
        return source
    scheme, place, _ = split(source)
    if scheme in OBJECT_STORES:
        return masked(f"{scheme}://{place}")
    bare = masked(source)
    return bare.rstrip("?&#") if SIGNED.search(source) else bare


def reached(source: str, known: Iterable[str]) -> str:
    """The known URI of an address or, without one, the address with the options of a known URI in the same bucket."""
    if not is_remote(source):
        return source
    scheme, place, options = split(source)
    for uri in known:
        theirs, other, how = split(uri)
        if scheme not in OBJECT_STORES and address(uri) == source:
            return uri
        if scheme in OBJECT_STORES and how and not options and _bucket(theirs, other) == _bucket(scheme, place):
            return f"{source}?{how}"
    return source


def _bucket(scheme: str, place: str) -> tuple[str, str]:
    return scheme, place.partition("/")[0]


def arrow(uri: str, patient: bool = False) -> "tuple[FileSystem, str]":
    """Arrow's file system of an object store's URI, and the URI's path in it.

    Args:
        patient: whether requests to S3 are repeated for PATIENCE instead of six seconds.

    Raises:
        ValueError: no AZURE_STORAGE_ACCOUNT_NAME.
    """
    from pyarrow.fs import AwsDefaultS3RetryStrategy, AzureFileSystem, FileSystem, S3FileSystem

    scheme, place, _ = split(uri)
    if scheme != "az":
        filesystem, path = FileSystem.from_uri(uri)
        if patient and isinstance(filesystem, S3FileSystem):
            given: Any = filesystem.__reduce__()[1]  # its options; none of a URI's is about retries
            filesystem = S3FileSystem(**given[0], retry_strategy=AwsDefaultS3RetryStrategy(max_attempts=_TRIES))
        return filesystem, str(path)
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if not account:
        raise ValueError("AZURE_STORAGE_ACCOUNT_NAME is not set: export the name of the storage account")
    options: dict[str, Any] = {}  # without either, the machine's identity
    if key := os.environ.get("AZURE_STORAGE_ACCOUNT_KEY"):
        options["account_key"] = key
    elif token := os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
        options["sas_token"] = f"?{token.removeprefix('?')}"
    if endpoint := os.environ.get("AZURE_STORAGE_ENDPOINT"):
        server = urlsplit(endpoint)
        host = server.netloc.removeprefix(account)  # from a "." on it is a domain of accounts
        for part in ("blob_storage", "dfs_storage"):
            options |= {f"{part}_authority": host, f"{part}_scheme": server.scheme}
    return AzureFileSystem(account, **options), unquote(place)


def local_path(source: str) -> Path:
    """Of a path or a file:// URI."""
    if source.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(os.fsencode(urlsplit(source).path))))
    try:
        return Path(source).expanduser()
    except RuntimeError:  # a name that begins with ~ and is no user's home
        return Path(source)


def as_source(place: str | Path) -> str:
    """How a path or URI names a film, in UTF-8: a path that is not becomes a file:// URI, as file:///caf%E9.mp4."""
    text = str(place)
    if is_utf8(text):
        return text
    return printable(text, len(text)) if is_remote(text) else local_path(text).absolute().as_uri()


Source = Annotated[str, BeforeValidator(lambda given: as_source(given) if isinstance(given, str) else given)]
"""A setting that names a file: see `as_source`."""


def look(source: str) -> Seen:
    """Raises FilmError (missing, unreadable, unreachable)."""
    if is_remote(source):
        with _explained(source):
            filesystem, path = _opened(source)
            info = filesystem.info(path)
        version = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
        return Seen(int(info.get("size") or 0), version)
    with _explained(source):
        stat = local_path(source).stat()
    return Seen(stat.st_size, str(stat.st_mtime_ns))


def listed(pattern: str) -> list[str]:
    """URIs of the files behind a remote URI: itself, a folder's files to the bottom, or those that match, sorted."""
    with _explained(pattern):
        filesystem, path = _opened(pattern)
        pattern_like = ("*" in path or "[" in path) and not filesystem.exists(path)
        names = sorted(filesystem.glob(path)) if pattern_like else [filesystem.info(path)["name"]]
        files = [name for name in names if filesystem.isfile(name)]
        for folder in (name for name in names if filesystem.isdir(name)):
            files += sorted(filesystem.find(folder))
    scheme, _, options = split(pattern)
    ending = f"?{options}" if options else ""
    if scheme in OBJECT_STORES:
        return [f"{scheme}://{name}{ending}" for name in files]
    return [filesystem.unstrip_protocol(name) for name in files]


def read_bytes(source: str) -> bytes:
    """All of a small file. Raises FilmError as `look` does."""
    with _explained(source):
        if not is_remote(source):
            here = local_path(source)
            if here.exists() and not here.is_file():  # a pipe may never end
                raise OSError(0, "it is not a file")
            return here.read_bytes()
        filesystem, path = _opened(source)
        return bytes(filesystem.cat_file(path))


@contextmanager
def fetched(source: str, folder: Path = Path(), patient: bool = False) -> Iterator[Path]:
    """A local file to read a film from: itself, or a copy that lasts as long as the block.

    Args:
        folder: from where relative paths start.
        patient: whether an outage of its object store may take PATIENCE, as for a film that was read before.

    Raises:
        FilmError: missing, unreadable, unreachable.
    """
    if not is_remote(source):
        yield folder / local_path(source)
        return
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_copies()}{os.getpid()}-") as place:
        copy = Path(place) / (PurePosixPath(split(address(source))[1]).name or "film")
        with _explained(source):
            filesystem, path = _opened(source, patient)
            filesystem.get_file(path, str(copy))
        yield copy


def _copies() -> str:
    """How names of downloaded copies begin; the id of their process follows.

    Several hosts or containers may share the folder, and each of them has process ids of its own.
    """
    try:
        space = "".join(filter(str.isdigit, os.readlink("/proc/self/ns/pid")))  # noqa: PTH115 - "pid:[number]"
    except OSError:
        space = "0"
    return f"moviedreamer-film-{platform.node()}-{space}-"


def _sweep() -> None:
    """Removes the copies that killed processes left behind."""
    import shutil

    for left in Path(tempfile.gettempdir()).glob(f"{_copies()}*"):
        owner = left.name.removeprefix(_copies()).split("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _opened(uri: str, patient: bool = False) -> "tuple[AbstractFileSystem, str]":
    import fsspec

    scheme, place, options = split(uri)
    if PASSWORD.search(uri):
        raise ValueError("a password stands in it: give keys in the environment, which is never shown or kept")
    if scheme in OBJECT_STORES:
        from fsspec.implementations.arrow import ArrowFSWrapper

        bucket = f"{scheme}://{place.partition('/')[0]}" + (f"?{options}" if options else "")
        return ArrowFSWrapper(arrow(bucket, patient)[0]), place.rstrip("/")
    filesystem, path = fsspec.core.url_to_fs(uri)
    return filesystem, str(path)


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """Converts the errors of file systems into FilmError."""
    shown = address(source)
    keys = f"{shown!r} may not be read, access denied: export {KEYS} for an account that has access"
    in_store = is_remote(source) and split(source)[0] in OBJECT_STORES
    try:
        yield
    except FileNotFoundError as error:
        raise FilmError("missing", f"there is no file {shown!r}") from error
    except ImportError as error:
        raise FilmError("unreadable", f"{shown!r} cannot be read without another package: {error}") from error
    except PermissionError as error:
        detail = keys if in_store else f"{shown!r} may not be read: check its permissions"
        raise FilmError("unreadable", detail) from error
    except ValueError as error:  # also for an unknown protocol
        said = masked(str(error).replace(source, shown))
        raise FilmError("unreadable", f"{shown!r} cannot be read: {said}") from error
    except MemoryError:
        raise
    except Exception as error:  # remote file systems raise errors of many classes
        if not (is_remote(source) or isinstance(error, OSError)):
            raise
        if in_store and lacks_keys(error):
            raise FilmError("unreachable", keys) from error
        text = masked(str(error).replace(source, shown))
        said = getattr(error, "strerror", None) or " ".join(text.split())[:300]
        reason = "unreachable" if is_remote(source) else "unreadable"
        raise FilmError(reason, f"{shown!r} cannot be read: {said}") from error
