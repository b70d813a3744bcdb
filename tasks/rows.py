"""Rows of one film in an actor: read a few at a time, and joined with a model's answers by their ids."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.decoding.pictures import decode
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import SCHEMAS
from tasks.made import Step
from tasks.prefetch import ahead

Row = dict[str, Any]
Picture = NDArray[np.uint8]
Pictured = tuple[Step, list[Row], list[Picture]]
"""The progress after these keyframes, the keyframes, and their pictures."""
T = TypeVar("T")

_READERS = 4  # threads that decode pictures for one model
CHUNK = 16  # keyframes that a model processes, and whose pictures are in memory, at a time


class Backend(Protocol):
    """A model with its name, revision and licence."""

    name: str
    revision: str
    licence: str


def chunks(rows: Sequence[T]) -> Iterator[tuple[Step, Sequence[T]]]:
    """Yields a few rows at a time, with the progress after them."""
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        yield Step(start + len(some), len(rows)), some


class Pictures:
    """Keyframes of films, a few at a time: rows without the encoded images, and decoded pictures, RGB [H, W, 3].

    The next keyframes, also those of the next film (`expect`), are read and decoded while the model is busy, so that it
    doesn't wait for files.
    """

    def __init__(self, keyframes: FilmRows) -> None:
        self._keyframes = keyframes
        self._reading = threading.Lock()
        self._begun: dict[str, Iterator[Pictured]] = {}

    def expect(self, film_id: str) -> None:
        """Starts to read a film."""
        if film_id not in self._begun:
            self._begun[film_id] = ahead(self._read(film_id))

    def of(self, film_id: str) -> Iterator[Pictured]:
        self.expect(film_id)
        return self._begun.pop(film_id)

    def _read(self, film_id: str) -> Iterator[Pictured]:
        with self._reading:
            total = len(self._keyframes.row_ids(film_id))
        done, batches = 0, self._keyframes.batches(film_id)
        with ThreadPoolExecutor(_READERS) as readers:
            while (batch := self._next(batches)) is not None:
                for start in range(0, batch.num_rows, CHUNK):
                    some = batch.slice(start, CHUNK)
                    images = list(readers.map(decode, some["image"].to_pylist()))
                    done += some.num_rows
                    yield Step(done, total), some.drop_columns(["image"]).to_pylist(), images

    def _next(self, batches: Iterator[pa.Table]) -> pa.Table | None:
        with self._reading:  # FilmRows is not thread-safe
            return next(batches, None)


def of(table: FilmRows, film_id: str, row_ids: Sequence[str]) -> dict[str, list[Row]]:
    """row_id -> the rows of that keyframe, in their order, for some consecutive keyframes of a film."""
    return grouped(table.between(film_id, row_ids[0], row_ids[-1]).to_pylist())


def by_row(answers: Iterable[T], row_id: Callable[[T], str], wanted: Sequence[str]) -> dict[str, T]:
    """A model's answers by the id that each carries.

    Raises:
        ValueError: one of `wanted` has no answer, or several.
    """
    given = list(answers)
    joined = {row_id(answer): answer for answer in given}
    if len(joined) != len(given) or set(joined) != set(wanted):
        lost = sorted(set(wanted) - set(joined))[:3]
        raise ValueError(f"{len(given)} answers with {len(joined)} ids for {len(wanted)} rows; without one: {lost}")
    return joined


def grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """row_id -> the rows of that keyframe, in their order; rows are sorted by id, which begins with row_id."""
    return {row_id: list(group) for row_id, group in groupby(rows, key=lambda row: str(row["row_id"]))}


def box(row: Row) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a face or a person in 0-1."""
    return row["x0"], row["y0"], row["x1"], row["y1"]


def table(name: str, film_id: str, rows: Sequence[Row], backend: Backend | None = None) -> pa.Table:
    """Rows in the schema of the table `name`, without the fingerprint; each names the backend that made it."""
    said = {"film_id": film_id}
    if backend is not None:
        said |= {"backend": backend.name, "revision": backend.revision, "licence": backend.licence}
    schema = SCHEMAS[name]
    return pa.Table.from_pylist(
        [row | said for row in rows], schema=schema.remove(schema.get_field_index("fingerprint"))
    )
