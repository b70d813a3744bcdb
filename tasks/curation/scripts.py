"""Stage 5 of the curation: captions become scripts of characters, scene elements and plots (Fig. 16)."""

from collections.abc import Callable, Iterator
from functools import partial

from models import writer
from models.writer import ScriptFacts, WriterConfig
from models.writer.script import Script, render
from storage.filmrows import FilmRows
from storage.root import Storage
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.made import Made, Step
from tasks.progress import Progress
from tasks.stage import Work, run_stage

STAGE = "scripts"
INPUTS = ("captions",)


def run(config: WriterConfig, storage: Storage, work: Work, cluster: ClusterConfig, progress: Progress) -> Work:
    """A script for each keyframe; each row says who wrote it."""
    return run_stage(
        storage,
        STAGE,
        inputs=INPUTS,
        work=work,
        identity=config,
        make=partial(_make, config, storage, work),
        cluster=cluster,
        progress=progress,
    )


def _make(config: WriterConfig, storage: Storage, work: Work) -> Callable[[str], Iterator[Step | Made]]:
    model, captions = writer.build(config), FilmRows(storage, "captions", work["captions"])

    def write(film_id: str) -> Iterator[Step | Made]:
        for step, row_ids in rows.chunks(captions.row_ids(film_id)):
            said = rows.of(captions, film_id, row_ids)
            facts = [_facts(row_id, said[row_id]) for row_id in row_ids]
            scripts = rows.by_row(model.write(facts), lambda script: script.row_id, row_ids)
            yield Made({"scripts": rows.table("scripts", film_id, list(map(_row, scripts.values())), model)})
            yield step

    return write


def _facts(row_id: str, captions: list[rows.Row]) -> ScriptFacts:
    """Captions come sorted by subject: characters by their index, then "frame"."""
    characters = tuple(row["text"] for row in captions if row["subject"] != "frame")
    (frame,) = (row["text"] for row in captions if row["subject"] == "frame")
    return ScriptFacts(row_id, frame, characters)


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
