"""A curation stage: turns captions into scripts of characters, scene elements and plots (Fig. 16)."""

from collections.abc import Callable, Iterator

import numpy as np

from drawn import words
from models import writer
from models.writer import FilmWriterConfig, OwnWords, ScriptFacts, WriterConfig
from models.writer.script import Script, render
from storage.root import Storage
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import second_of
from storage.tables.tables import Tables
from tasks import rows
from tasks.curation.drawn_films import known_truth
from tasks.made import Made, Step
from tasks.stage import Stage, Work

_SECONDS = 1_000_000  # more than any film has


def _make(config: WriterConfig, storage: Storage, work: Work) -> Callable[[str], Iterator[Step | Made]]:
    """Writes a script for each keyframe; each row names its writer."""
    model, captions = writer.build(config), FilmRows(storage, "captions", work["captions"])
    keyframes = FilmRows(storage, "keyframes", work["keyframes"])

    def write(film_id: str) -> Iterator[Step | Made]:
        own = _own_words(config, storage, keyframes, film_id) if isinstance(config, FilmWriterConfig) else {}
        for step, row_ids in rows.chunks(captions.row_ids(film_id)):
            said = rows.of(captions, film_id, row_ids)
            facts = [_facts(row_id, said[row_id], own.get(row_id)) for row_id in row_ids]
            scripts = rows.by_row(model.write(facts), lambda script: script.row_id, row_ids)
            yield Made({"scripts": rows.table("scripts", film_id, list(map(_row, scripts.values())), model)})
            yield step

    return write


def _own_words(config: FilmWriterConfig, storage: Storage, keyframes: FilmRows, film_id: str) -> dict[str, OwnWords]:
    """The film's own words by row id, for the shots that use them; {} for a film without known ground truth."""
    (source,) = Tables(storage).sources({film_id: keyframes.work[film_id]}).values()
    truth = known_truth(storage, source)
    own: dict[str, OwnWords] = {}
    for row_id in keyframes.row_ids(film_id) if truth else ():
        assert truth is not None
        second = second_of(row_id)
        luck = np.random.default_rng([config.seed, truth.seed, truth.timeline[second].shot])
        if luck.random() < config.share:
            told = words.told(truth, second, config.seed * _SECONDS + second)
            own[row_id] = OwnWords(told.characters, told.scene_elements, told.plots)
    return own


def _facts(row_id: str, captions: list[rows.Row], own: OwnWords | None) -> ScriptFacts:
    """The facts for a script; captions are sorted by subject: characters by their index, then "frame"."""
    characters = tuple(row["text"] for row in captions if row["subject"] != "frame")
    (frame,) = (row["text"] for row in captions if row["subject"] == "frame")
    return ScriptFacts(row_id, frame, characters, own)


def _row(script: Script) -> rows.Row:
    return {
        "row_id": script.row_id,
        "characters": list(script.characters),
        "scene_elements": list(script.scene_elements),
        "plots": list(script.plots),
        "text": render(script),
        "written_by": script.written_by,
        "reason": script.reason,
    }


def _identity(config: WriterConfig) -> object:
    return [config, words.REVISION] if isinstance(config, FilmWriterConfig) else config


STAGE = Stage(
    "scripts", inputs=("captions",), tables=("scripts",), make=_make, settings=("writer",), identity=_identity
)
