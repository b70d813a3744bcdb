"""The curation, from films to what models learn from: the one list of its stages."""

from collections.abc import Collection

from storage.root import Storage
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.curation import captions, characters, dedup, faces, features, keyframes, scripts
from tasks.stage import Stage, given_up

CURATION = (
    keyframes.STAGE,  # a keyframe a second, with its shot and motion
    characters.STAGE,  # who is in it
    faces.STAGE,  # their faces, and which of them show the same character
    captions.STAGE,  # what it and each person in it look like
    scripts.STAGE,  # characters, scene elements and plots, out of the captions
    features.STAGE,  # scripts and faces as vectors
)
"""In this order; each reads what earlier ones made, `keyframes` the films that were ingested.

Right after `keyframes` tasks.curation.dedup compares all films and leaves near duplicates out."""

BACKENDS = tuple(table for stage in CURATION for table in stage.tables if "backend" in SCHEMAS[table].names)
"""The tables whose rows name the model that made them."""


def unfinished(stage: Stage, recipe: object, storage: Storage, films: Collection[str] | None = None) -> bool:
    """Whether a film still has to go through a stage of the curation; reads only.

    Args:
        recipe: the settings of all stages, each under its name.
        films: their ids; when None, whether none of the films that the storage knows is done.
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
