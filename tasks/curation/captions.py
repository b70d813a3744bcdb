"""A curation stage: describes each keyframe and each person in it, in sentences (app. C)."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from models import captioner
from models.captioner import FRAME, Caption, Captioner, CaptionerConfig, DescriberConfig, FrameFacts
from models.detector import Person
from models.face import Face, Image
from storage.errors import FilmError
from storage.root import Storage
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks import rows
from tasks.made import Made, ReadsAhead, Step
from tasks.stage import Stage, StageError, Work

ENOUGH = 16  # captions of a film; if none of so many is usable, the film or the captioner is at fault
_CURE = "fix the captioner or, if the film is at fault, run once without this film, which is then left out"
_FACE = ("character_id", "x0", "y0", "x1", "y1", "score")


def _make(config: CaptionerConfig, storage: Storage, work: Work) -> ReadsAhead:
    """Captions each keyframe (subject "frame") and each person in it (subject: the character_id).

    The describer's caption replaces an unusable answer of the captioner, and the row names the describer. The film then
    gets a row in `rejects` with the number of these captions and the reason of the first. A film without any usable
    answer is rejected as "uncaptioned".

    Raises:
        StageError: a server that can't be reached, or a captioner that never gave a usable answer.
    """
    model = captioner.build(config)
    keyframes = rows.Pictures(FilmRows(storage, "keyframes", work["keyframes"]))
    characters, faces = (FilmRows(storage, name, work[name]) for name in ("characters", "faces"))
    proven = False  # has the captioner given a usable answer?

    def describe(film_id: str) -> Iterator[Step | Made]:
        nonlocal proven
        refused: list[Caption] = []
        count = 0
        first: dict[int, int] = {}  # shot -> second of its first keyframe; shots are in order
        for step, some, pictures in keyframes.of(film_id):
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
            said: list[rows.Row] = []
            for row_id, mine in zip(row_ids, bodies, strict=True):
                said += _rows(captions[row_id], [body["character_id"] for body in mine])
                refused += [one for one in captions[row_id] if one.reason]
            count += len(said)
            yield Made({"captions": _table(film_id, said, model)})
            yield step
        proven = proven or len(refused) < count
        if len(refused) == count >= ENOUGH:
            none = f"none of the {count} captions of film {film_id} by {model.name} can be used; {_first(refused)}"
            proven = proven or _was_proven(config, storage, work, model)
            raise FilmError("uncaptioned", none) if proven else StageError(f"{none}; {_CURE}")
        if refused:
            told = f"film {film_id}: {len(refused)} of {count} captions are measured; {_first(refused)}"
            yield Made({}, FilmError("partly_captioned", told))

    return ReadsAhead(describe, keyframes.expect)


def _facts(row: rows.Row, image: Image, persons: Sequence[Person], shot_second: int) -> FrameFacts:
    return FrameFacts(row["row_id"], image, tuple(persons), row["motion"], shot_second)


def _person(body: rows.Row, faces: dict[str, rows.Row]) -> Person:
    mine = faces.get(body["character_id"])
    seen = Face((mine["x0"], mine["y0"], mine["x1"], mine["y1"]), mine["score"]) if mine else None
    return Person((body["x0"], body["y0"], body["x1"], body["y1"]), body["score"], seen)


def _rows(captions: Sequence[Caption], character_ids: Sequence[str]) -> list[rows.Row]:
    """One row for the frame and one per person, for captions in any order."""
    subjects = {FRAME: "frame"} | dict(enumerate(character_ids))
    if sorted(caption.subject_index for caption in captions) != sorted(subjects):
        raise ValueError(f"captions of {captions[0].row_id!r} don't fit its {len(character_ids)} persons: {captions}")
    return [
        {"row_id": caption.row_id, "subject": subjects[caption.subject_index], "text": caption.text}
        | {"measured": bool(caption.reason)}
        for caption in captions
    ]


def _table(film_id: str, said: Sequence[rows.Row], model: Captioner) -> pa.Table:
    """The captioner's rows under its name, the describer's replacements under the describer's."""
    own = rows.table("captions", film_id, [row for row in said if not row["measured"]], model)
    measured = [row for row in said if row["measured"]]
    describer = captioner.build(DescriberConfig())
    return pa.concat_tables([own, rows.table("captions", film_id, measured, describer)]) if measured else own


def _first(refused: Sequence[Caption]) -> str:
    subject = "frame" if refused[0].subject_index == FRAME else f"person {refused[0].subject_index}"
    return f"the first, of {refused[0].row_id} ({subject}), because {refused[0].reason}"


def _was_proven(config: CaptionerConfig, storage: Storage, work: Work, model: Captioner) -> bool:
    """Whether an earlier run or another worker has stored a usable caption of the captioner."""
    finished = dict(set(STAGE.keys([config], work).items()) & Tables(storage).done(STAGE.name))
    captions = FilmRows(storage, STAGE.name, finished)
    return any(
        model.name in some["backend"].to_pylist()
        for film_id in finished
        for some in captions.batches(film_id, ["backend"])
    )


STAGE = Stage(
    "captions",
    inputs=("keyframes", "characters", "faces"),
    tables=("captions",),
    make=_make,
    settings=("captioner",),
)
