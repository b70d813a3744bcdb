"""The end of the curation: a snapshot of the films that came through, with what of them is held out."""

import pyarrow as pa

from storage import snapshot
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables import Tables
from tasks.curation.split import FilmRow, SnapshotConfig, audit, split
from tasks.stage import Work


def run(config: SnapshotConfig, storage: Storage, work: Work) -> Snapshot:
    """Names, audits and keeps what this run's films have become; the same films and work give the same snapshot.

    Raises:
        ValueError: when no film has come through all stages.
        ConfigError: when there are too few for the split.
        LeakError: when something is on both sides.
    """
    film_ids = sorted(set.intersection(*(set(done) for done in work.values())))
    if not film_ids:
        raise ValueError(f"no film has come through all of {sorted(work)}: see the table rejects")
    kept = {stage: {film_id: done[film_id] for film_id in film_ids} for stage, done in sorted(work.items())}
    tables = Tables(storage)
    films = film_rows(tables, kept)
    made = Snapshot.of(split(config, films), kept, tables.versions())
    audit(made, films)
    snapshot.save(storage, made)
    return made


def film_rows(tables: Tables, work: Work) -> list[FilmRow]:
    """The films of finished work, sorted by id, with the seconds of their keyframes."""
    seconds = _seconds(tables.read("keyframes", work["keyframes"], ["film_id", "second"]))
    films = tables.read("films", work["keyframes"], ["film_id", "title", "movie", "phash"]).to_pylist()
    return [
        FilmRow(
            film_id=row["film_id"],
            title=row["title"],
            movie=row["movie"] or "",  # null in storages of earlier versions
            phash=row["phash"] or "",
            seconds=seconds[row["film_id"]],
        )
        for row in films
    ]


def _seconds(rows: pa.Table) -> dict[str, tuple[int, ...]]:
    groups = rows.group_by("film_id", use_threads=False).aggregate([("second", "list")])
    return {row["film_id"]: tuple(row["second_list"]) for row in groups.to_pylist()}
