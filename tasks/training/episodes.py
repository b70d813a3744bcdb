"""Films as training data: scripts and tokens of keyframes, read on demand.

Memory holds only the windows that were read last and the faces of the last few films.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from models.autoregressive.script_tokens import FrameScript
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.schemas import film_of
from tasks import dataset
from tasks.dataset import Scripts
from tasks.stage import Work
from tasks.training import tokens
from tasks.training.examples import Examples
from tasks.training.views import keyframe_ids

if TYPE_CHECKING:
    from torch import Tensor

_FILMS = 32  # films whose faces are cached


class Reader:
    """All keyframes of a part of a snapshot, numbered film by film.

    Args:
        work: the result of tasks.training.tokens.
    """

    def __init__(self, storage: Storage, snapshot: Snapshot, work: Work, part: Part) -> None:
        self.row_ids = keyframe_ids(storage, snapshot, part)
        self.films = {film.film_id: film for film in snapshot.films}
        self._examples = Examples(storage, {**snapshot.work, **work}, self.row_ids)
        self._part: Part = part
        self._table = dataset.feature_rows(storage, snapshot)
        self._scripts = lru_cache(_FILMS)(self._scripts_of)

    def __len__(self) -> int:
        return len(self.row_ids)

    def read(self, frames: Sequence[int], flipped: bool = False) -> "tuple[Sequence[FrameScript], Tensor]":
        """Scripts and tokens_TLD of keyframes, or of their mirror images."""
        import torch

        scripts = [
            self._scripts(film_of(self.row_ids[row])).of(self._examples.features(row), flipped) for row in frames
        ]
        tokens_TLD = [tokens.of_row(self._examples.tokens(row), flipped) for row in frames]
        return scripts, torch.stack(tokens_TLD) if tokens_TLD else torch.zeros(0, 1, 1)

    def _scripts_of(self, film_id: str) -> Scripts:
        batches = self._table.batches(film_id, dataset.FACES)
        return Scripts(self.films[film_id], self._part, [row for batch in batches for row in batch.to_pylist()])


@dataclass(frozen=True)
class FilmEpisode:
    """One film: the reader's `count` keyframes from `first` on."""

    reader: Reader
    film_id: str
    first: int
    count: int

    @property
    def mirrored(self) -> bool:
        return True

    def __len__(self) -> int:
        return self.count

    def read(self, frames: Sequence[int], flipped: bool = False) -> "tuple[Sequence[FrameScript], Tensor]":
        return self.reader.read([self.first + frame for frame in frames], flipped)


def episodes(reader: Reader) -> list[FilmEpisode]:
    """One episode per film."""
    found, first = [], 0
    for film_id, row_ids in groupby(reader.row_ids, key=film_of):
        found.append(FilmEpisode(reader, film_id, first, len(list(row_ids))))
        first += len(found[-1])
    return found
