"""The files of a folder or an object store, by their paths below one URI; each is written whole or not at all."""

import errno
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import unquote

from storage.atomic import beside, is_part, write_new
from storage.errors import StorageError
from storage.guard import guarded, storage_error
from storage.layout import RECORD
from storage.printable import is_utf8
from storage.remote import PATIENCE, address, arrow, split
from storage.tree import walk
from storage.uri import delta_options, escaped, root_uri

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from pyarrow import NativeFile
    from pyarrow.fs import FileSystem

Names = list[str]  # inside Files the name `list` is the method
Listed = list[tuple[str, bool]]

_log = logging.getLogger(__name__)
_RETRIES = 10_000  # until PATIENCE is over; the libraries' own limit of 10 retries ends after 3 to 10 seconds
_LONGEST_PAUSE = 5000  # milliseconds between retries


@dataclass(frozen=True)
class Files:
    """A folder, `file://`, `s3://`, `gs://` or `az://`; relative folders are resolved where the object is made.

    In a remote URI a space may be written as "%20", as in Delta and Arrow, or as itself.

    An s3 URI may carry pyarrow's options, `s3://bucket/path?region=..&endpoint_override=..&scheme=http`; keys come
    from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), since a URI is shown, logged and kept.

    Raises:
        ConfigError: for an empty URI, another scheme, keys in it, a file, or a folder that Delta cannot write to.
    """

    uri: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", root_uri(self.uri))

    def __reduce__(self) -> tuple[type["Files"], tuple[str]]:
        """Only the URI is pickled: a pickled file system of Arrow would give up after two seconds."""
        return type(self), (self.uri,)

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    @cached_property
    def base(self) -> str:
        """The URI without options, as people and Delta see it."""
        return self.uri if self.is_local else address(self.uri).rstrip("/")

    @cached_property
    def delta_options(self) -> dict[str, str] | None:
        """`storage_options` for the deltalake package, which takes keys from the environment; None for a folder."""
        if self.is_local:
            return None
        retries = {"max_retries": f"{_RETRIES}", "retry_timeout": f"{PATIENCE}s", "max_backoff": f"{_LONGEST_PAUSE}ms"}
        return delta_options(self.uri) | retries

    @cached_property
    def filesystem(self) -> tuple["FileSystem", str]:
        """Arrow's file system, and the root's path in it."""
        from pyarrow import ArrowException
        from pyarrow.fs import LocalFileSystem

        if self.is_local:
            return LocalFileSystem(), self.uri
        try:
            return arrow(self.uri, patient=True)
        except (ArrowException, ValueError, OSError) as error:
            raise storage_error(error, "open", self.base) from error

    @property
    def objects(self) -> "ObjectStore":
        """A client that writes to the object store: Arrow needs three requests and has no conditional writes."""
        from obstore.store import from_url

        options: Any = delta_options(self.uri)
        http = [os.environ.get(f"{store}_ALLOW_HTTP") for store in ("AWS", "AZURE", "GOOGLE")]
        http.append(options.pop("AWS_ALLOW_HTTP", None))
        plain: Any = {"allow_http": "true" in http}
        retries: Any = {
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=PATIENCE),
            "backoff": {"max_backoff": timedelta(milliseconds=_LONGEST_PAUSE)},
        }
        with guarded("open", self.base):
            store: ObjectStore = from_url(self.base, config=options, client_options=plain, retry_config=retries)
        return store

    def reached(self) -> Self:
        """Itself, after its object store has answered: a wrong address is reported in seconds, not after PATIENCE.

        Raises:
            StorageError: no answer.
        """
        if not self.is_local:
            with guarded("open", self.base):
                filesystem, path = arrow(self.uri)
                filesystem.get_file_info(path)
        return self

    def _at(self, rel: str) -> tuple["FileSystem", str]:
        filesystem, root = self.filesystem
        if rel.startswith("/") or ".." in PurePosixPath(rel).parts:
            raise ValueError(f"{rel!r} is not a path below the storage root")
        return filesystem, f"{root.rstrip('/')}/{rel}".rstrip("/") or "/"

    def url(self, rel: str) -> str:
        """Where `rel` is, for people and for other readers."""
        return f"{self.base.rstrip('/')}/{rel if self.is_local else escaped(rel)}".rstrip("/")

    def source(self, rel: str) -> str:
        """`rel` as a film that storage.remote reaches: by its own name, with the storage's options."""
        options = "" if self.is_local else split(self.uri)[2]
        place = self.url(rel) if self.is_local else unquote(self.url(rel))
        return place + (f"?{options}" if options else "")

    def check_writable(self) -> None:
        """Writes and deletes a small file.

        Raises:
            StorageError: quoting the URI, when that fails, or an object store would let writers overwrite each other.
        """
        probe = f".{uuid.uuid4().hex}.part"
        try:
            with guarded("write to", self.base):
                self._write(probe, b"ok")
                overwritten = not self.is_local and self._put(probe, b"other", "create")
                filesystem, path = self._at(probe)
                filesystem.delete_file(path)
        except StorageError as error:
            raise StorageError(f"storage is not usable: {error}") from error
        if overwritten:
            raise StorageError(
                f"storage is not usable: the server of {self.base!r} overwrites files that it is asked to keep "
                "(If-None-Match), so two writers would lose commits; docs/object-storage.md names servers that don't"
            )

    def check_room(self, size: int) -> None:
        """Raises StorageError when a folder has no room for `size` more bytes; an object store's is unknown."""
        if not self.is_local:
            return
        with guarded("write to", self.base):
            place = next(path for path in (Path(self.uri), *Path(self.uri).parents) if path.exists())
            if shutil.disk_usage(place).free < size:
                raise OSError(errno.ENOSPC, "no space left")

    def read_bytes(self, rel: str) -> bytes:
        """Raises StorageError when `rel` is not there."""
        filesystem, path = self._at(rel)
        with guarded("read", self.url(rel)), filesystem.open_input_stream(path, compression=None) as file:
            return bytes(file.read())  # of Google's, the other kind of file keeps Python's lock while it waits

    def open(self, rel: str) -> "NativeFile":
        """The file at `rel` for random access. It isn't mapped: mapped pages count as the process's memory.

        Raises:
            StorageError: when `rel` is not there.
        """
        filesystem, path = self._at(rel)
        with guarded("read", self.url(rel)):
            return filesystem.open_input_file(path)

    def write_plain(self, rel: str, data: bytes) -> None:
        """Writes a file whole or not at all, over whatever is there; Storage.write_bytes checks the record first."""
        with guarded("write", self.url(rel)):
            self._write(rel, data)

    def write_new(self, rel: str, data: bytes) -> None:
        """As `write_plain`, unless a file is there."""
        with guarded("write", self.url(rel)):
            if self.is_local:
                write_new(Path(self._at(rel)[1]), data)
            else:
                self._put(rel, data, "create")

    def _put(self, rel: str, data: "bytes | Path", mode: Literal["create", "overwrite"]) -> bool:
        """Writes an object; with "create" unless there is one. Says whether it did."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            obstore.put(self.objects, rel, data, mode=mode)
        except AlreadyExistsError:
            return False
        return True

    def _write(self, rel: str, data: "bytes | Path") -> None:
        """Bytes, or those of a local file where the storage is remote; an object appears when its upload ends."""
        path = self._at(rel)[1]
        if not self.is_local:
            self._put(rel, data, "overwrite")
            return
        assert isinstance(data, bytes)
        with beside(Path(path)) as part:
            part.write_bytes(data)

    def exists(self, rel: str) -> bool:
        """Whether there is a file or a folder at `rel`."""
        from pyarrow.fs import FileType

        filesystem, path = self._at(rel)
        with guarded("read", self.url(rel)):
            return bool(filesystem.get_file_info(path).type != FileType.NotFound)

    def size(self, rel: str) -> int:
        """Bytes of the file at `rel`; -1 when there is none."""
        filesystem, path = self._at(rel)
        with guarded("read", self.url(rel)):
            size = filesystem.get_file_info(path).size
        return -1 if size is None else int(size)

    def modified_ns(self, rel: str) -> int:
        """When the file at `rel` was written last, in nanoseconds since 1970; 0 when there is none."""
        filesystem, path = self._at(rel)
        with guarded("read", self.url(rel)):
            return int(filesystem.get_file_info(path).mtime_ns or 0)

    def occupied(self, rel: str) -> bool:
        """Whether anything is at `rel`, even a broken link."""
        return os.path.lexists(self._at(rel)[1]) if self.is_local else self.exists(rel)

    def is_link(self, rel: str) -> bool:
        """Whether `rel` is a link; runs never make links."""
        return self.is_local and Path(self._at(rel)[1]).is_symlink()

    def delete_file(self, rel: str) -> None:
        """Removes the file at `rel`, if any, even if no run made it; Storage.delete checks the record first."""
        from pyarrow.fs import FileType

        filesystem, path = self._at(rel)
        with guarded("delete", self.url(rel)):
            if filesystem.get_file_info(path).type == FileType.File:
                filesystem.delete_file(path)

    def delete_empty(self, folders: Iterable[str]) -> None:
        """Removes the empty ones of the folders, the deepest first; links to folders belong to users and stay."""
        for folder in sorted(set(folders), key=lambda one: one.count("/"), reverse=True):
            filesystem, path = self._at(folder)
            with guarded("delete", self.url(folder)):
                if not self.exists(folder) or self._listed(folder, recursive=False) or self.is_link(folder):
                    continue
                if self.is_local:
                    _remove_empty(Path(path))
                else:
                    filesystem.delete_dir(path)

    def download(self, rel: str, target: Path) -> Path:
        """Copies the file at `rel`, or a folder's files, to the local `target`, and returns it."""
        from pyarrow.fs import FileType, LocalFileSystem, copy_files

        filesystem, path = self._at(rel)
        with guarded("read", self.url(rel)):
            kind = filesystem.get_file_info(path).type
            if kind == FileType.NotFound:
                raise StorageError(f"cannot read {self.url(rel)!r}: there is nothing")
            if kind == FileType.File:
                with beside(target) as part:
                    copy_files(path, str(part), filesystem, LocalFileSystem())
        if kind == FileType.Directory:
            for file in self.walk(rel):
                self.download(f"{rel}/{file}", target / file)
        return target

    @contextmanager
    def local(self, rel: str) -> Iterator[Path]:
        """A local path to read `rel` (file or folder) from: itself in a folder, else a copy while the block runs."""
        _, path = self._at(rel)
        if self.is_local:
            if not Path(path).exists():
                raise StorageError(f"cannot read {self.url(rel)!r}: there is nothing")
            yield Path(path)
            return
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as folder:
            yield self.download(rel, Path(folder) / PurePosixPath(rel).name)

    def walk(self, rel: str) -> Names:
        """All files below `rel`, relative to it, sorted; none when there is no such folder."""
        return self._names(rel, recursive=True)

    def list(self, rel: str) -> Names:
        """Names of the files and folders right below `rel`, sorted; none when there is no such folder."""
        return self._names(rel, recursive=False)

    def look_into(self, leads_on: Callable[[str], bool]) -> tuple[Names, Names]:
        """Paths of the files at the root and in the folders that `leads_on` says yes to, and of these folders, sorted.

        Another folder is among the files; its path ends with "/". Links are followed last, to each real
        folder once, and what they lead to is not among the folders.
        """
        found, folders, seen = [], [], set()
        waiting: Listed = [("", False)]  # and whether it lies behind a link
        links: Listed = []
        while waiting or links:
            folder, behind = waiting.pop(0) if waiting else links.pop(0)
            real = os.path.realpath(self._at(folder)[1]) if self.is_local else folder
            if real in seen:
                found.append(folder)
                continue
            seen.add(real)
            folders += [folder] * (not behind)
            for name, is_folder in self._listed(folder, recursive=False):
                rel = f"{folder}/{name}".lstrip("/")
                if not is_folder or not leads_on(rel):
                    found.append(f"{rel}{'/' * is_folder}")
                elif self.is_link(rel):
                    links.append((rel, True))
                else:
                    waiting.append((rel, behind))
        return sorted(rel for rel in found if not is_part(PurePosixPath(rel))), sorted(folders[1:])

    def newest(self, rel: str, pattern: str) -> str | None:
        """Of the files right below `rel` whose names match, the name of the one written last; None without one."""
        filesystem, path = self._at(rel)
        names = [name for name in self.list(rel) if re.fullmatch(pattern, name)]
        with guarded("list", self.url(rel)):
            infos = filesystem.get_file_info([f"{path}/{name}" for name in names])
        return max(infos, key=lambda info: (info.mtime_ns or 0, info.base_name)).base_name if infos else None

    def _names(self, rel: str, recursive: bool) -> Names:
        """Names in UTF-8: Arrow and Delta can't open others, and runs make no others."""
        names = [name for name, is_folder in self._listed(rel, recursive) if not (recursive and is_folder)]
        for name in (name for name in names if not is_utf8(name)):
            _log.warning("%r in %r is left out: its name is not UTF-8; rename it", name, self.url(rel))
        hidden = f"{RECORD}/" if not rel else "/"
        kept = (name for name in names if is_utf8(name) and not is_part(PurePosixPath(name)))
        return sorted(name for name in kept if not f"{name}/".startswith(hidden))

    def _listed(self, rel: str, recursive: bool) -> Listed:
        """What is below `rel`, by its path from there, and whether it is a folder."""
        from pyarrow.fs import FileSelector, FileType

        filesystem, path = self._at(rel)
        with guarded("list", self.url(rel)):
            if self.is_local:
                return list(_below(Path(path), recursive))
            infos = filesystem.get_file_info(FileSelector(path, allow_not_found=True, recursive=recursive))
        return [(str(PurePosixPath(info.path).relative_to(path)), info.type == FileType.Directory) for info in infos]


def _below(folder: Path, recursive: bool) -> Iterator[tuple[str, bool]]:
    """What is in a local folder, by its path from there, and whether it is a folder; each real folder once."""
    for here, folders, files in walk(folder, _refuse):
        for name, is_folder in [*((name, True) for name in folders), *((name, False) for name in files)]:
            yield (here / name).relative_to(folder).as_posix(), is_folder
        if not recursive:
            folders.clear()


def _remove_empty(folder: Path) -> None:
    """Removes a folder; Arrow would take along what somebody puts there just now. A mounted one stays."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EBUSY, errno.ENOENT):
            raise


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError) or Path(error.filename).exists():
        raise error
