"""Stage 2 of the curation: who is in each keyframe, at most five (app. C)."""

from collections.abc import Callable
from functools import partial

from models import detector
from models.detector import DetectorConfig, Person
from storage.root import Storage
from storage.schemas import character_id
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.pool import Made
from tasks.progress import Progress
from tasks.stage import Work, identity, run_stage

STAGE = "characters"


def run(config: DetectorConfig, storage: Storage, work: Work, cluster: ClusterConfig, progress: Progress) -> Work:
    """Person boxes of all keyframes, the largest first."""
    return run_stage(
        storage,
        STAGE,
        inputs=["keyframes"],
        work=work,
        identity=identity(config),
        make=partial(_make, config, storage, work),
        cluster=cluster,
        progress=progress,
    )


def _make(config: DetectorConfig, storage: Storage, work: Work) -> Callable[[str], Made]:
    model = detector.build(config)

    def detect(film_id: str) -> Made:
        found = [
            _row(keyframe["row_id"], index, person)
            for keyframes, images in rows.chunks(rows.read(storage, work, "keyframes", film_id))
            for keyframe, persons in zip(keyframes, model.detect(images), strict=True)
            for index, person in enumerate(persons)
        ]
        return Made({"characters": rows.table("characters", film_id, found, model)})

    return detect


def _row(row_id: str, index: int, person: Person) -> rows.Row:
    x0, y0, x1, y1 = person.box
    box = {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
    return {"character_id": character_id(row_id, index), "row_id": row_id, "score": person.score, **box}
