"""A storage: one URI, below which a run keeps all its files.

storage.layout lists the paths. Only files that runs made are ever overwritten or removed; storage.record knows them.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from storage.atomic import beside
from storage.files import Files
from storage.guard import guarded
from storage.record import Record, Stamp


@dataclass(frozen=True)
class Storage(Files):
    """The files that runs made; other files below the same URI are left alone."""

    @cached_property
    def record(self) -> Record:
        """The record of the files that runs made here."""
        return Record(self)

    def write_bytes(self, rel: str, data: bytes) -> None:
        """Writes a file atomically: no reader ever sees a part of `data`.

        Raises:
            StorageError: it cannot be written, or a file that no run made is at `rel`.
        """
        with guarded("write", self.url(rel)):
            if self.is_local:
                with self._new(rel) as part:
                    part.write_bytes(data)
            else:
                self.record.enter(rel, Stamp.of_bytes(data))
                self._write(rel, data)

    @contextmanager
    def _new(self, rel: str) -> Iterator[Path]:
        """A local file; if the block succeeds, it is entered into the record and moved to `rel`."""
        path = Path(self._at(rel)[1])
        with beside(path, self.record.id, lambda part: self.record.enter(rel, Stamp.of(part))) as part:
            yield part

    def upload(self, source: Path, rel: str) -> None:
        """Copies a local file, or the files of a folder, to `rel`, each atomically; nobody may change them meanwhile.

        Objects that an interrupted upload has already sent are not sent again.
        """
        if source.is_dir():
            for file in sorted(path for path in source.rglob("*") if path.is_file()):
                self.upload(file, f"{rel}/{file.relative_to(source).as_posix()}")
            return
        with guarded("write", self.url(rel)):
            if self.is_local:
                with self._new(rel) as part:
                    shutil.copyfile(source, part)
            else:
                stamp = Stamp.of(source)
                if not self.record.has(rel, stamp):
                    self.record.enter(rel, stamp)
                    self._write(rel, source)

    def delete(self, rel: str) -> None:
        """Removes what runs made at `rel` or below it; what else is there, or was changed since, stays."""
        from pyarrow.fs import FileType

        filesystem, path = self._at(rel)
        if not rel.strip("./"):
            raise ValueError(f"{rel!r} would delete the whole storage {self.base!r}")
        with guarded("delete", self.url(rel)):
            if filesystem.get_file_info(path).type != FileType.Directory:
                self.record.remove(rel)
                return
            removed = [f"{rel}/{name}" for name in self.walk(rel) if self.record.remove(f"{rel}/{name}")]
        folders = (folder for name in removed for folder in folders_of(name))
        self.delete_empty(folder for folder in folders if f"{folder}/".startswith(f"{rel}/"))


def folders_of(rel: str) -> list[str]:
    """The folders that a path lies in, without the root."""
    return [str(folder) for folder in PurePosixPath(rel).parents][:-1]
