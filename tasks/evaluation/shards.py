"""What is looked at together: some pictures of one story, in order of time."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from storage.decoding.pictures import Pixels, decode
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from storage.printable import printable
from storage.remote import as_source, read_bytes
from storage.results.keyframes import keyframes
from storage.results.results import Result
from storage.root import Storage
from storage.stories import photographs
from storage.tables.filmrows import FilmRows

SIZE = 256  # pictures of a shard: enough to share out, and few files


class Shard(Protocol):
    """Pictures of one story; the same pictures have the same id wherever they lie."""

    @property
    def id(self) -> str: ...

    @property
    def story(self) -> str: ...

    @property
    def video(self) -> str:
        """The video whose sound and motion belong to it, as storage.remote reads it; "" for pictures alone."""
        ...

    @property
    def clip(self) -> bool:
        """Whether its pictures are the frames of one video."""
        ...

    def pictures(self, storage: Storage) -> Iterator[tuple[Pixels, str]]:
        """RGB [H, W, 3] uint8 and the plot, "" where nobody tells it, one at a time.

        Raises:
            ConfigError: naming a file that can't be read.
        """
        ...


@dataclass(frozen=True)
class Files:
    """Pictures, or the frames of videos, one every so many seconds."""

    id: str
    result: Result
    every: float

    @property
    def story(self) -> str:
        return self.result.story

    @property
    def video(self) -> str:
        return as_source(self.result.files[0]) if self.clip else ""

    @property
    def clip(self) -> bool:
        return self.result.videos

    def pictures(self, storage: Storage) -> Iterator[tuple[Pixels, str]]:
        for place, file in enumerate(self.result.files):
            plot = self.result.plots[place] if self.result.plots else ""
            for picture in keyframes(Result(self.story, (file,)), self.every):
                yield picture, plot


@dataclass(frozen=True)
class Sources:
    """Pictures by path or URI, as storage.remote reads them, and their movie; `id` stands for their content."""

    id: str
    story: str
    sources: tuple[str, ...]
    plots: tuple[str, ...] = ()
    video: str = ""
    clip: Literal[False] = False

    def pictures(self, storage: Storage) -> Iterator[tuple[Pixels, str]]:
        for place, source in enumerate(self.sources):
            picture = photographs.decoded(read_bytes(source), printable(source))
            yield picture, self.plots[place] if self.plots else ""


@dataclass(frozen=True)
class Rows:
    """Keyframes of a film of a snapshot, or what was drawn of them.

    Args:
        table: "keyframes" or "renders".
        key: fingerprint of the film's rows in it.
        variant: of `renders`, "" for `keyframes`.
        row_ids: of the keyframes, in their order.
    """

    table: str
    story: str
    key: str
    variant: str
    row_ids: tuple[str, ...]
    plots: tuple[str, ...] = ()
    video: Literal[""] = ""
    clip: Literal[False] = False

    @property
    def id(self) -> str:
        return fingerprint("rows", self.table, self.story, self.key, self.variant, self.row_ids, self.plots)

    def pictures(self, storage: Storage) -> Iterator[tuple[Pixels, str]]:
        rows = FilmRows(storage, self.table, {self.story: self.key})
        columns = ["image", *(["variant"] if self.variant else [])]
        for place, row_id in enumerate(self.row_ids):
            for row in rows.between(self.story, row_id, row_id, columns).to_pylist():
                if row.get("variant", "") == self.variant:
                    yield decode(row["image"]), self.plots[place] if self.plots else ""


def of_results(results: Iterable[Result], every: float) -> list[Files]:
    """Shards of results: a video each, or so many pictures.

    Raises:
        ConfigError: naming a file that can't be read.
    """
    found = []
    for result in results:
        size = 1 if result.videos else SIZE
        for start in range(0, len(result.files), size):
            part = slice(start, start + size)
            one = Result(result.story, result.files[part], result.plots[part])
            digests = [_digest(file) for file in one.files]
            found.append(
                Files(
                    fingerprint("upright" if one.videos else "files", one.story, digests, one.plots, every), one, every
                )
            )
    return found


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{str(file)!r} can't be read: {error.strerror}") from error
