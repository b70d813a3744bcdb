"""Stage 4 of the curation: what each keyframe and each person in it look like, in sentences (app. C)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from models import captioner
from models.captioner import FRAME, Caption, CaptionerConfig, FrameFacts
from models.detector import Person
from models.face import Face, Image
from storage.filmrows import FilmRows
from storage.root import Storage
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.made import Made, Step
from tasks.progress import Progress
from tasks.stage import Work, run_stage

STAGE = "captions"
_FACE = ("character_id", "x0", "y0", "x1", "y1", "score")


def run(config: CaptionerConfig, storage: Storage, work: Work, cluster: ClusterConfig, progress: Progress) -> Work:
    """A caption of each keyframe (subject "frame") and of each person in it (subject: the character_id)."""
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
    keyframes, characters, faces = (
        FilmRows(storage, name, work[name]) for name in ("keyframes", "characters", "faces")
    )

    def describe(film_id: str) -> Iterator[Step | Made]:
        first: dict[int, int] = {}  # second of each shot's first keyframe; shots come in order
        for step, some, pictures in rows.pictured(keyframes, film_id):
            row_ids = [row["row_id"] for row in some]
            persons = rows.of(characters, film_id, row_ids)
            seen = faces.between(film_id, row_ids[0], row_ids[-1], _FACE).to_pylist()
            face_of = {row["character_id"]: row for row in seen}
            bodies = [persons.get(row_id, []) for row_id in row_ids]
            facts = [
                _facts(
                    row,
                    image,
                    [_person(body, face_of) for body in mine],
                    row["second"] - first.setdefault(row["shot"], row["second"]),
                )
                for row, image, mine in zip(some, pictures, bodies, strict=True)
            ]
            captions = rows.by_row(model.caption(facts), lambda given: given[0].row_id, row_ids)
            said = []
            for row_id, mine in zip(row_ids, bodies, strict=True):
                said += _rows(captions[row_id], [body["character_id"] for body in mine])
            yield Made({"captions": rows.table("captions", film_id, said, model)})
            yield step

    return describe


def _facts(row: rows.Row, image: Image, persons: Sequence[Person], shot_second: int) -> FrameFacts:
    return FrameFacts(row["row_id"], image, tuple(persons), row["motion"], shot_second)


def _person(body: rows.Row, faces: dict[str, rows.Row]) -> Person:
    mine = faces.get(body["character_id"])
    seen = Face((mine["x0"], mine["y0"], mine["x1"], mine["y1"]), mine["score"]) if mine else None
    return Person((body["x0"], body["y0"], body["x1"], body["y1"]), body["score"], seen)


def _rows(captions: Sequence[Caption], character_ids: Sequence[str]) -> list[rows.Row]:
    """One row for the frame and one for each person, whatever the order in which the captioner spoke of them."""
    subjects = {FRAME: "frame"} | dict(enumerate(character_ids))
    if sorted(caption.subject_index for caption in captions) != sorted(subjects):
        raise ValueError(f"captions of {captions[0].row_id!r} don't fit its {len(character_ids)} persons: {captions}")
    return [
        {"row_id": caption.row_id, "subject": subjects[caption.subject_index], "text": caption.text}
        for caption in captions
    ]
