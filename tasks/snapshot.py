"""The end of the curation: a snapshot of the films that came through, each with a training and a held-out half."""

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from storage import snapshot
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables import Tables
from tasks.rows import Row
from tasks.stage import Work


class SnapshotConfig(BaseModel, frozen=True, extra="forbid"):
    """`train_fraction`: the share of each film's keyframes, from its beginning, that models learn from."""

    train_fraction: float = Field(default=0.5, gt=0.0, lt=1.0)


def run(config: SnapshotConfig, storage: Storage, work: Work) -> Snapshot:
    """Names, and keeps, what this run's films have become; the same films and work give the same snapshot.

    Raises:
        ValueError: when no film has come through all stages.
    """
    film_ids = sorted(set.intersection(*(set(done) for done in work.values())))
    if not film_ids:
        raise ValueError(f"no film has come through all of {sorted(work)}: see the table rejects")
    kept = {stage: {film_id: done[film_id] for film_id in film_ids} for stage, done in sorted(work.items())}
    tables = Tables(storage)
    rows = tables.read("films", kept["keyframes"], ["film_id", "title"]).to_pylist()
    seconds = tables.read("keyframes", kept["keyframes"], ["film_id", "second"])
    films = tuple(_film(row, _seconds(seconds, row["film_id"]), config.train_fraction) for row in rows)
    made = Snapshot.of(films, kept, tables.versions())
    snapshot.save(storage, made)
    return made


def _seconds(rows: pa.Table, film_id: str) -> list[int]:
    return [int(row["second"]) for row in rows.filter(pc.field("film_id") == film_id).to_pylist()]


def _film(row: Row, seconds: list[int], fraction: float) -> SnapshotFilm:
    """Each half has one keyframe at least."""
    middle = min(max(round(len(seconds) * fraction), 1), len(seconds) - 1)
    return SnapshotFilm(**row, train=(seconds[0], seconds[middle - 1]), test=(seconds[middle], seconds[-1]))
