"""What a stage of the curation has still to do, told from the settings and the films' ids without doing any of it."""

from collections.abc import Collection, Mapping

from storage.root import Storage
from storage.tables.tables import Tables
from tasks.curation import captions, characters, faces, keyframes, scripts
from tasks.stage import given_up, keys_of

_CHAIN = {stage.STAGE: stage.INPUTS for stage in (keyframes, characters, faces, captions, scripts)}


def unfinished(
    stage: str, identities: Mapping[str, object], storage: Storage, films: Collection[str] | None = None
) -> bool:
    """Whether a film has still to go through a stage.

    Args:
        identities: of each stage up to this one, as it gives it to `run_stage`.
        films: their ids; when None, those that the storage knows: is none of them done yet?
    """
    tables = Tables(storage)
    known = films if films is not None else [film_id for film_id, _ in tables.done(keyframes.STAGE)]
    work = {"ingest": {film_id: film_id for film_id in known}}
    for name, inputs in _CHAIN.items():
        keys = keys_of(name, inputs, work, identities[name]).items()
        work[name] = dict(keys - given_up(tables.given_up(name)))
        if name == stage:
            break
    done = work[stage].items() & tables.done(stage)
    return not done if films is None else len(done) < len(work[stage])
