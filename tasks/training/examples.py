"""Keyframes of a snapshot with their features, as training data: addressed by number, read window by window.

The sampler shuffles within a pool of windows of consecutive keyframes (models.training.rows_of_step). The rows of a
step are in a few windows. Consecutive steps share most of their windows, and each window is read only once.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from models.training import POOL
from storage.decoding.pictures import decode
from storage.errors import StorageError
from storage.root import Storage
from storage.tables.evolve import check_columns
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import film_of
from tasks.rows import Row
from tasks.stage import Work

_KEPT = 2 * POOL  # cached windows of a table: those of the current pool, and the next ones


class Examples:
    """Some keyframes of a snapshot, numbered in the given order: film by film, by time.

    Any thread may read; a picture is decoded in the thread that reads it.

    Args:
        work: stage -> film_id -> fingerprint, of the snapshot and, to read tokens, of their stage.

    Raises:
        StorageError: the table `keyframes` has another version's columns.
    """

    window = 128
    """Consecutive keyframes that are read together, as many as in the tables' row groups."""

    def __init__(self, storage: Storage, work: Work, row_ids: Sequence[str]) -> None:
        self.row_ids = row_ids
        self._storage, self._work = storage, work
        self._tables: dict[str, FilmRows] = {}
        self._windows: OrderedDict[tuple[str, int], dict[str, Row]] = OrderedDict()
        self._lock = threading.Lock()  # guards both
        check_columns(storage, "keyframes")

    def __len__(self) -> int:
        return len(self.row_ids)

    def read(self, row: int) -> NDArray[np.uint8]:
        """The picture of a keyframe: RGB, height x width x 3."""
        return decode(self._row("keyframes", row, ["row_id", "image"])["image"])

    def features(self, row: int) -> Row:
        """A keyframe's row of the table `features`.

        Raises:
            StorageError: that table has another version's columns.
        """
        return self._row("features", row, None)

    def latents(self, row: int, features: bool) -> Row:
        """A keyframe's row of the table `latents`, with image features if `features` is set."""
        return self._row("latents", row, None if features else ["row_id", "latents", "latents_shape"])

    def tokens(self, row: int) -> Row:
        """A keyframe's row of the table `tokens`."""
        return self._row("tokens", row, None)

    def _row(self, table: str, row: int, columns: Sequence[str] | None) -> Row:
        with self._lock:
            window = self._window(table, row // self.window, columns)
        try:
            return window[self.row_ids[row]]
        except KeyError:
            raise StorageError(f"there are no {table} of keyframe {self.row_ids[row]!r}") from None

    def _window(self, table: str, number: int, columns: Sequence[str] | None) -> dict[str, Row]:
        key = (table, number)
        if key not in self._windows:
            names = self.row_ids[number * self.window : (number + 1) * self.window]
            self._windows[key] = {row["row_id"]: row for row in self._fetched(table, names, columns)}
            while len(self._windows) > len(self._tables) * _KEPT:
                self._windows.popitem(last=False)
        self._windows.move_to_end(key)
        return self._windows[key]

    def _fetched(self, table: str, names: Sequence[str], columns: Sequence[str] | None) -> list[Row]:
        """A window's rows, with one read per film."""
        found: list[Row] = []
        for film_id, group in groupby(names, key=film_of):
            some = list(group)
            found += self._table(table).between(film_id, min(some), max(some), columns).to_pylist()
        return found

    def _table(self, table: str) -> FilmRows:
        if table not in self._tables:
            check_columns(self._storage, table)
            self._tables[table] = FilmRows(self._storage, table, self._work[table])
        return self._tables[table]
