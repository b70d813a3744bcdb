"""A curation stage: detects the people in each keyframe, at most five (app. C)."""

from collections.abc import Iterator

from models import detector
from models.detector import DetectorConfig, Person
from storage.root import Storage
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import character_id
from tasks import rows
from tasks.made import Made, ReadsAhead, Step
from tasks.stage import Stage, Work


def _make(config: DetectorConfig, storage: Storage, work: Work) -> ReadsAhead:
    """Person boxes of all keyframes, the largest first."""
    model, keyframes = detector.build(config), rows.Pictures(FilmRows(storage, "keyframes", work["keyframes"]))

    def detect(film_id: str) -> Iterator[Step | Made]:
        for step, some, pictures in keyframes.of(film_id):
            found = []
            for keyframe, persons in zip(some, model.detect(pictures), strict=True):
                found += [_row(keyframe["row_id"], index, person) for index, person in enumerate(persons)]
            yield Made({"characters": rows.table("characters", film_id, found, model)})
            yield step

    return ReadsAhead(detect, keyframes.expect)


def _row(row_id: str, index: int, person: Person) -> rows.Row:
    x0, y0, x1, y1 = person.box
    box = {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
    return {"character_id": character_id(row_id, index), "row_id": row_id, "score": person.score, **box}


STAGE = Stage("characters", inputs=("keyframes",), tables=("characters",), make=_make, settings=("detector",))
