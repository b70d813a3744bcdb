"""The curation pipeline: the list of its stages."""

from collections.abc import Collection

from storage.root import Storage
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.curation import captions, characters, dedup, faces, features, keyframes, scripts
from tasks.stage import Stage, given_up

CURATION = (
    keyframes.STAGE,  # one keyframe per second, with its shot and motion
    characters.STAGE,  # people in it
    faces.STAGE,  # their faces, clustered by character
    captions.STAGE,  # descriptions of it and of each person in it
    scripts.STAGE,  # characters, scene elements and plots, from the captions
    features.STAGE,  # scripts and faces as vectors
)
"""In order; each stage reads the results of earlier ones, and `keyframes` reads the ingested films.

After `keyframes`, tasks.curation.dedup compares all films and rejects near duplicates."""

BACKENDS = tuple(table for stage in CURATION for table in stage.tables if "backend" in SCHEMAS[table].names)
"""The tables whose rows name the model that made them."""


def unfinished(stage: Stage, recipe: object, storage: Storage, films: Collection[str] | None = None) -> bool:
    """Whether a stage still has work to do; only reads.

    Args:
        recipe: the settings of all stages, each under its name.
        films: their ids; None: returns whether the stage has finished no film in the storage.
    """
    tables = Tables(storage)
    known = films if films is not None else [film_id for film_id, _ in tables.done(keyframes.STAGE.name)]
    copies = {film_id for film_id, *_ in tables.given_up(dedup.NAME)}
    work = {"ingest": {film_id: film_id for film_id in known if film_id not in copies}}
    for each in CURATION[: CURATION.index(stage) + 1]:
        keys = each.keys(each.arguments(recipe), work).items()
        work[each.name] = dict(keys - given_up(tables.given_up(each.name)))
    done = work[stage.name].items() & tables.done(stage.name)
    return not done if films is None else len(done) < len(work[stage.name])
