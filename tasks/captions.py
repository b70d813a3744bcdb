"""Stage 4 of the curation: what each keyframe and each person in it look like, in sentences (app. C)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa

from models import captioner
from models.captioner import FRAME, Caption, Captioner, CaptionerConfig, DescriberConfig, FrameFacts
from models.detector import Person
from models.face import Face, Image
from storage.errors import FilmError
from storage.root import Storage
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.pool import Made, Step
from tasks.progress import Progress
from tasks.stage import StageError, Work, run_stage

STAGE = "captions"
ENOUGH = 16  # captions of a film; when not one of as many can be used, it is not the pictures' fault


def run(config: CaptionerConfig, storage: Storage, work: Work, cluster: ClusterConfig, progress: Progress) -> Work:
    """A caption of each keyframe (subject "frame") and of each person in it (subject: the character_id).

    Where the captioner's own answer can't be used the caption is the describer's, whose name its row then carries; the
    film gets a row in `rejects` that says how many those are, and why the first.

    Raises:
        StageError: a server that can't be reached, a budget that is used up, or a film without one usable answer.
    """
    return run_stage(
        storage,
        STAGE,
        inputs=["keyframes", "characters", "faces"],
        work=work,
        identity=config,
        make=partial(_make, config, storage, work),
        cluster=cluster,
        progress=progress,
    )


def _make(config: CaptionerConfig, storage: Storage, work: Work) -> Callable[[str], Iterator[Step | Made]]:
    model = captioner.build(config)

    def describe(film_id: str) -> Iterator[Step | Made]:
        keyframes = rows.read(storage, work, "keyframes", film_id)
        persons = rows.grouped(rows.read(storage, work, "characters", film_id))
        faces = {row["character_id"]: row for row in rows.read(storage, work, "faces", film_id)}
        first = {row["shot"]: row["second"] for row in reversed(keyframes)}
        said: list[Caption] = []
        subjects: dict[tuple[str, int], str] = {}
        for step, some in rows.chunks(keyframes):
            bodies = [persons.get(row["row_id"], []) for row in some]
            facts = [
                _facts(row, image, [_person(body, faces) for body in mine], row["second"] - first[row["shot"]])
                for row, image, mine in zip(some, rows.pictures(some), bodies, strict=True)
            ]
            captions = rows.by_row(model.caption(facts), lambda given: given[0].row_id, [one.row_id for one in facts])
            for row, mine in zip(some, bodies, strict=True):
                said += captions[row["row_id"]]
                subjects |= _subjects(row["row_id"], captions[row["row_id"]], [body["character_id"] for body in mine])
            yield step
        yield _made(film_id, said, subjects, model)

    return describe


def _made(film_id: str, said: Sequence[Caption], subjects: Mapping[tuple[str, int], str], model: Captioner) -> Made:
    """The captioner's rows and, where its answer could not be used, the describer's, with a note of how many."""

    def table(captions: Sequence[Caption], backend: Captioner) -> pa.Table:
        found = [
            {"row_id": one.row_id, "subject": subjects[one.row_id, one.subject_index], "text": one.text}
            for one in captions
        ]
        return rows.table("captions", film_id, found, backend)

    refused = [one for one in said if one.reason]
    if not refused:
        return Made({"captions": table(said, model)})
    first = (
        f"the first: {refused[0].row_id} {subjects[refused[0].row_id, refused[0].subject_index]!r}, {refused[0].reason}"
    )
    if len(refused) == len(said) >= ENOUGH:
        raise StageError(f"none of the {len(said)} captions of film {film_id} by {model.name} can be used; {first}")
    own = table([one for one in said if not one.reason], model)
    measured = table(refused, captioner.build(DescriberConfig()))
    note = FilmError(
        "partly_captioned", f"film {film_id}: {len(refused)} of {len(said)} captions are measured; {first}"
    )
    return Made({"captions": pa.concat_tables([own, measured])}, note)


def _facts(row: rows.Row, image: Image, persons: Sequence[Person], shot_second: int) -> FrameFacts:
    return FrameFacts(row["row_id"], image, tuple(persons), row["motion"], shot_second)


def _person(body: rows.Row, faces: dict[str, rows.Row]) -> Person:
    mine = faces.get(body["character_id"])
    seen = Face((mine["x0"], mine["y0"], mine["x1"], mine["y1"]), mine["score"]) if mine else None
    return Person((body["x0"], body["y0"], body["x1"], body["y1"]), body["score"], seen)


def _subjects(row_id: str, captions: Sequence[Caption], character_ids: Sequence[str]) -> dict[tuple[str, int], str]:
    """What the rows call the subjects of a keyframe's captions, whatever the order in which the captioner spoke."""
    names = {FRAME: "frame"} | dict(enumerate(character_ids))
    if sorted((one.row_id, one.subject_index) for one in captions) != [(row_id, index) for index in sorted(names)]:
        raise ValueError(f"captions of {row_id!r} don't fit its {len(character_ids)} persons: {captions}")
    return {(row_id, index): name for index, name in names.items()}
