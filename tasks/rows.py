"""Rows of one film inside an actor: read and taken a few at a time, joined with a model's answers by their ids."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.filmrows import FilmRows
from storage.pictures import decode
from storage.schemas import SCHEMAS
from tasks.ahead import ahead
from tasks.made import Step

Row = dict[str, Any]
Picture = NDArray[np.uint8]
T = TypeVar("T")

_READERS = 4  # threads that decode pictures for one model
CHUNK = 16  # keyframes that a model gets, and whose pictures are in memory, at a time


class Backend(Protocol):
    """A model that says what it is."""

    name: str
    revision: str
    licence: str


def chunks(rows: Sequence[T]) -> Iterator[tuple[Step, Sequence[T]]]:
    """A few at a time, and how far the work is when they are done."""
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        yield Step(start + len(some), len(rows)), some


def pictured(keyframes: FilmRows, film_id: str) -> Iterator[tuple[Step, list[Row], list[Picture]]]:
    """A film's keyframes, without their encoded images, and their pictures, RGB [H, W, 3]; a few at a time.

    The next ones are read and decoded while the taker is busy, so that its model never waits for a file.
    """
    total = len(keyframes.row_ids(film_id))
    return ahead(_pictured(keyframes, film_id, total))


def _pictured(keyframes: FilmRows, film_id: str, total: int) -> Iterator[tuple[Step, list[Row], list[Picture]]]:
    done = 0
    with ThreadPoolExecutor(_READERS) as readers:
        for batch in keyframes.batches(film_id):
            for start in range(0, batch.num_rows, CHUNK):
                some = batch.slice(start, CHUNK)
                images = list(readers.map(decode, some["image"].to_pylist()))
                done += some.num_rows
                yield Step(done, total), some.drop_columns(["image"]).to_pylist(), images


def of(table: FilmRows, film_id: str, row_ids: Sequence[str]) -> dict[str, list[Row]]:
    """row_id -> the rows of that keyframe, in their order, for some consecutive keyframes of a film."""
    return grouped(table.between(film_id, row_ids[0], row_ids[-1]).to_pylist())


def by_row(answers: Iterable[T], row_id: Callable[[T], str], wanted: Sequence[str]) -> dict[str, T]:
    """A model's answers by the id that each carries.

    Raises:
        ValueError: when not each of `wanted` has exactly one answer.
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


def table(name: str, film_id: str, rows: Sequence[Row], backend: Backend | None = None) -> pa.Table:
    """Rows as the schema `name` has them, but for the fingerprint; each says which backend made it."""
    said = {"film_id": film_id}
    if backend is not None:
        said |= {"backend": backend.name, "revision": backend.revision, "licence": backend.licence}
    schema = SCHEMAS[name]
    return pa.Table.from_pylist(
        [row | said for row in rows], schema=schema.remove(schema.get_field_index("fingerprint"))
    )
