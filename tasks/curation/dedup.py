"""A curation stage: rejects near duplicates, after the keyframes and before any model reads a picture.

Films are compared by the perceptual hashes of their keyframes (storage.films.passages). Films that share only passages
stay on one side of the split (tasks.curation.snapshot).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from storage.films.passages import Looks, near_duplicates, passages
from storage.root import Storage
from storage.tables.rejects import Reject
from storage.tables.tables import Tables
from tasks.curation import characters
from tasks.curation.keyframes import replace_films
from tasks.progress import Progress
from tasks.stage import Work

NAME = "dedup"


class DedupConfig(BaseModel, frozen=True, extra="forbid"):
    """What to do with films that show the same pictures."""

    remove: bool = Field(
        True,
        description="of films with the same pictures (re-encoded, mirrored) keep only the largest; false: keep them "
        "all, on one side of the split",
    )


def run(config: DedupConfig, storage: Storage, work: Work, progress: Progress) -> Work:
    """The films with keyframes, without near duplicates; those become rejects that name the film that is kept.

    A film that models have already processed is kept, so that a later copy never causes work to be repeated; otherwise
    the film with most pixels, then with most keyframes. If the kept film names no movie, it gets the movie of its
    copies, so that all files of that movie stay on one side of the split.
    """
    tables, done = Tables(storage), work["keyframes"]
    rows = {row["film_id"]: row for row in tables.read("films", done).to_pylist()}
    looks = looks_of(tables.read("keyframes", done, ["film_id", "second", "look"])) if config.remove else {}
    seen = {film_id for film_id, _ in tables.done(characters.STAGE.name)}

    def rank(film_id: str) -> tuple[bool, int, int, str]:
        row = rows[film_id]
        return film_id not in seen, -row["width"] * row["height"], -len(looks[film_id].looks), film_id

    looks = {film_id: looks[film_id] for film_id in sorted(looks, key=rank)}
    copies = near_duplicates(looks, passages(looks))
    named = {kept: rows[copy]["movie"] for copy, kept in copies.items() if rows[copy]["movie"]}
    replace_films(storage, [rows[kept] | {"movie": name} for kept, name in named.items() if not rows[kept]["movie"]])
    rejects = [_reject(rows[copy], rows[kept], kept in seen) for copy, kept in copies.items()]
    tables.judge(NAME, [row["source"] for row in rows.values()], rejects)
    progress("films compared", len(looks), len(looks))
    return {**work, "keyframes": {film_id: key for film_id, key in done.items() if film_id not in copies}}


def looks_of(keyframes: pa.Table) -> dict[str, Looks]:
    """Film -> its hashes, from film_id, second and look of sorted keyframes; films without a usable one are omitted."""
    told = keyframes.filter(pc.field("look") > 0)  # null in rows of earlier versions
    films = told.group_by("film_id", use_threads=False).aggregate([("look", "count")])
    ends = np.cumsum(films["look_count"].to_numpy())
    seconds, looks = (np.split(told[name].to_numpy().astype(np.int64), ends)[:-1] for name in ("second", "look"))
    names = map(str, films["film_id"].to_pylist())
    return {name: Looks(*some) for name, *some in zip(names, seconds, looks, strict=True)}


def _reject(copy: dict[str, object], kept: dict[str, object], seen: bool) -> Reject:
    def told(row: dict[str, object]) -> str:
        return f"{row['source']!r} ({row['width']}x{row['height']})"

    why = "which the storage already holds" if seen else "which is kept"
    detail = (
        f"{told(copy)} shows the same pictures as {told(kept)}, {why}: to keep this one instead, run without "
        f"{kept['source']!r}; if they are two films, set dedup.remove=false"
    )
    return Reject(
        source=str(copy["source"]), reason="near_duplicate", detail=detail, stage=NAME, film_id=str(copy["film_id"])
    )
