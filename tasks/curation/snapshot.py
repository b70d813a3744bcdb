"""The end of the curation: a snapshot of the films that passed all stages, with training and held-out parts."""

from collections.abc import Callable

import pyarrow as pa

from storage import snapshot
from storage.films.passages import Passage, passages
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.evolve import add_columns
from storage.tables.tables import Tables
from tasks.curation.dedup import looks_of
from tasks.curation.split import FilmRow, SnapshotConfig, audit, far_off, split
from tasks.stage import Work


def run(
    config: SnapshotConfig, storage: Storage, work: Work, tell: Callable[[str], None] = lambda said: None
) -> Snapshot:
    """Splits, audits and stores a snapshot of this run's films; the same films and work give the same snapshot.

    Args:
        tell: called with a message if the held-out share of movies differs from the requested one.

    Raises:
        ValueError: no film has passed all stages.
        ConfigError: there are too few films for the split.
        LeakError: something is on both sides.
    """
    film_ids = sorted(set.intersection(*(set(done) for done in work.values())))
    if not film_ids:
        raise ValueError(f"no film has come through all of {sorted(work)}: see the table rejects")
    kept = {stage: {film_id: done[film_id] for film_id in film_ids} for stage, done in sorted(work.items())}
    tables = Tables(storage)
    add_columns(storage, "keyframes")
    films, shared = film_rows(tables, kept)
    made = Snapshot.of(split(config, films, shared), kept, tables.versions())
    audit(made, films, shared)
    if said := far_off(config, made, films, shared):
        tell(said)
    snapshot.save(storage, made)
    return made


def film_rows(tables: Tables, work: Work) -> tuple[list[FilmRow], list[Passage]]:
    """The films of finished work, sorted by id, with the seconds of their keyframes; and passages that films share."""
    keyframes = tables.read("keyframes", work["keyframes"], ["film_id", "second", "look"])
    seconds, looks = _seconds(keyframes), looks_of(keyframes)
    films = tables.read("films", work["keyframes"], ["film_id", "title", "movie"]).to_pylist()
    rows = [
        FilmRow(
            film_id=row["film_id"],
            title=row["title"],
            movie=row["movie"] or "",  # null in storages of earlier versions
            seconds=seconds[row["film_id"]],
            looks=len(looks[row["film_id"]].looks) if row["film_id"] in looks else 0,
        )
        for row in films
    ]
    return rows, passages(looks)


def _seconds(rows: pa.Table) -> dict[str, tuple[int, ...]]:
    groups = rows.group_by("film_id", use_threads=False).aggregate([("second", "list")])
    return {row["film_id"]: tuple(row["second_list"]) for row in groups.to_pylist()}
