"""Films as the autoregressive model learns from them: scripts and tokens of a window, read when it is asked for.

Nothing of a film is in memory but the windows that were read last and the faces of the last few films.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from models.script_tokens import FrameScript
from storage.root import Storage
from storage.snapshot import Part, Snapshot, SnapshotFilm
from tasks import dataset, tokens
from tasks.dataset import Scripts
from tasks.examples import Examples
from tasks.stage import Work
from tasks.views import keyframe_ids

if TYPE_CHECKING:
    from torch import Tensor

_FILMS = 16  # whose faces are kept


class Reader:
    """Scripts and tokens of some keyframes of a snapshot, by their numbers."""

    def __init__(self, storage: Storage, snapshot: Snapshot, work: Work, part: Part) -> None:
        self.examples = Examples(storage, {**snapshot.work, **work}, keyframe_ids(storage, snapshot, part))
        self._part: Part = part
        self._table = dataset.feature_rows(storage, snapshot)
        self.scripts = lru_cache(_FILMS)(self._scripts)

    def _scripts(self, film: SnapshotFilm) -> Scripts:
        batches = self._table.batches(film.film_id, dataset.FACES)
        return Scripts(film, self._part, [row for batch in batches for row in batch.to_pylist()])


@dataclass(frozen=True)
class FilmEpisode:
    """What of a film belongs to a part of its snapshot: `count` keyframes of the reader's, from `first` on."""

    reader: Reader
    film: SnapshotFilm
    first: int
    count: int

    @property
    def film_id(self) -> str:
        return self.film.film_id

    @property
    def mirrored(self) -> bool:
        return True

    def __len__(self) -> int:
        return self.count

    def read(self, frames: Sequence[int], flipped: bool = False) -> "tuple[Sequence[FrameScript], Tensor]":
        import torch

        examples, scripts = self.reader.examples, self.reader.scripts(self.film)
        rows = [self.first + frame for frame in frames]
        vectors = [tokens.of_row(examples.tokens(row), flipped) for row in rows]
        tokens_TLD = torch.stack(vectors) if vectors else torch.zeros(0, 1, 1)
        return [scripts.of(examples.features(row), flipped) for row in rows], tokens_TLD


def episodes(storage: Storage, snapshot: Snapshot, work: Work, part: Part) -> list[FilmEpisode]:
    """An episode a film.

    Args:
        work: as tasks.tokens returns it; films that it has not finished are left out.
    """
    within = snapshot.within(work)
    reader = Reader(storage, within, work, part)
    films, found, first = {film.film_id: film for film in within.films}, [], 0
    for film_id, row_ids in groupby(reader.examples.row_ids, key=lambda row_id: row_id.rsplit("-", 1)[0]):
        count = len(list(row_ids))
        found.append(FilmEpisode(reader, films[film_id], first, count))
        first += count
    return found
