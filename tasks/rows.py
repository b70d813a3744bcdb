"""Rows of one film inside an actor: read, taken a few at a time, joined with a model's answers by their ids."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.pictures import decode
from storage.root import Storage
from storage.schemas import SCHEMAS
from storage.tables import Tables
from tasks.pool import Step

Row = dict[str, Any]
T = TypeVar("T")

CHUNK = 16  # keyframes that a model gets, and whose pictures are in memory, at a time


class Backend(Protocol):
    """A model that says what it is."""

    name: str
    revision: str
    licence: str


def read(
    storage: Storage,
    work: Mapping[str, Mapping[str, str]],
    table: str,
    film_id: str,
    columns: Sequence[str] | None = None,
) -> list[Row]:
    """The rows that the stage `table` made of a film, sorted by id."""
    return Tables(storage).read(table, {film_id: work[table][film_id]}, columns).to_pylist()


def chunks(rows: Sequence[T]) -> Iterator[tuple[Step, Sequence[T]]]:
    """A few at a time, and how far the work is when they are done."""
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        yield Step(start + len(some), len(rows)), some


def pictures(keyframes: Sequence[Row]) -> list[NDArray[np.uint8]]:
    """RGB [H, W, 3] of each."""
    return [decode(row["image"]) for row in keyframes]


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
