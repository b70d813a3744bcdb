"""Keyframes of a snapshot with their features, as a training run takes them: by number, read window by window.

A sampler deals whole windows of consecutive keyframes and mixes some of them (models.training.rows_of_step), so what
a step wants lies in a few windows, most of which the step before wanted too. Each is read once.
"""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.training import POOL
from storage.evolve import check_columns
from storage.filmrows import FilmRows
from storage.pictures import decode
from storage.root import Storage
from storage.schemas import row_id
from storage.snapshot import Part, Snapshot
from storage.tables import Tables

WINDOW = 128  # keyframes that are read together; the tables' row groups have as many
_KEPT = 2 * POOL  # windows: those being mixed, and the next ones

Row = dict[str, Any]


class Examples:
    """The keyframes of one part of a snapshot, numbered in order of films and time.

    Raises:
        StorageError: when the tables are not those of this version.
    """

    def __init__(self, storage: Storage, snapshot: Snapshot, part: Part, threads: int = 2) -> None:
        """`threads` decode pictures, beside the one that asks for them."""
        for table in ("keyframes", "features"):
            check_columns(storage, table)
        films = {film.film_id: film for film in snapshot.of_part(part)}
        work = {film_id: snapshot.work["features"][film_id] for film_id in films}
        index = Tables(storage).read("features", work, ["film_id", "second"]).to_pylist()
        rows = [(row["film_id"], row["second"]) for row in index if films[row["film_id"]].part(row["second"]) == part]
        self._films = list(films)
        place = {film_id: number for number, film_id in enumerate(self._films)}
        self._film_F = np.array([place[film_id] for film_id, _ in rows], np.int32)
        self._second_F = np.array([second for _, second in rows], np.int32)
        self._tables = {
            table: FilmRows(storage, table, {film_id: snapshot.work[table][film_id] for film_id in films})
            for table in ("keyframes", "features")
        }
        self._windows: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()
        self._decoders = ThreadPoolExecutor(threads)

    def __len__(self) -> int:
        return len(self._film_F)

    def row_ids(self, rows: Sequence[int]) -> list[str]:
        return [row_id(self._films[self._film_F[row]], int(self._second_F[row])) for row in rows]

    def read(self, row: int) -> NDArray[np.uint8]:
        """The picture of a keyframe: RGB, height x width x 3."""
        return self.frames([row])[0]

    def frames(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        """The pictures of some keyframes."""
        images = (row["image"] for row in self._read("keyframes", rows, ["row_id", "image"]))
        return list(self._decoders.map(decode, images))

    def features(self, rows: Sequence[int]) -> list[Row]:
        """Rows of the table `features` of some keyframes."""
        return self._read("features", rows, None)

    def _read(self, table: str, rows: Sequence[int], columns: Sequence[str] | None) -> list[Row]:
        found: list[Row] = []
        for row, name in zip(rows, self.row_ids(rows), strict=True):
            window = self._window(table, row // WINDOW, columns)
            (one,) = window.slice(row % WINDOW, 1).to_pylist()
            if one["row_id"] != name:
                raise ValueError(f"table {table!r} has {one['row_id']!r} where keyframe {name!r} should be")
            found.append(one)
        return found

    def _window(self, table: str, number: int, columns: Sequence[str] | None) -> pa.Table:
        key = (table, number)
        if key not in self._windows:
            self._windows[key] = self._fetched(table, number, columns)
            while len(self._windows) > len(self._tables) * _KEPT:
                self._windows.popitem(last=False)
        self._windows.move_to_end(key)
        return self._windows[key]

    def _fetched(self, table: str, number: int, columns: Sequence[str] | None) -> pa.Table:
        """A window's rows; where it reaches over several films, a read for each."""
        rows = np.arange(number * WINDOW, min((number + 1) * WINDOW, len(self)))
        parts = np.split(rows, np.flatnonzero(np.diff(self._film_F[rows])) + 1)
        read = []
        for part in parts:
            film_id = self._films[self._film_F[part[0]]]
            first, last = (row_id(film_id, int(self._second_F[row])) for row in (part[0], part[-1]))
            read.append(self._tables[table].between(film_id, first, last, columns))
        return pa.concat_tables(read)
