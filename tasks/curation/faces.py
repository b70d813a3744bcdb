"""A curation stage: the face bank. Finds faces, assigns them to persons, and clusters them by character (app. C)."""

from collections.abc import Iterator, Sequence

import numpy as np

from models import face
from models.face import Face, FaceConfig
from models.face.cluster import chinese_whispers
from models.face.quality import GOOD, reasons
from storage.root import Storage
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import face_id
from tasks import rows
from tasks.consent import REFUSED, Consent
from tasks.made import Made, ReadsAhead, Step
from tasks.stage import Stage, Work

INSIDE = 0.5  # smallest share of a face inside its person's box


def _make(config: FaceConfig, storage: Storage, work: Work) -> ReadsAhead:
    """Faces with embeddings, assigned to person boxes; good ones are clustered into the film's characters."""
    model = face.build(config)
    consent = Consent(config, model)
    keyframes = rows.Pictures(FilmRows(storage, "keyframes", work["keyframes"]))
    characters = FilmRows(storage, "characters", work["characters"])

    def bank(film_id: str) -> Iterator[Step | Made]:
        found = []
        for step, some, pictures in keyframes.of(film_id):
            persons = rows.of(characters, film_id, [row["row_id"] for row in some])
            for keyframe, image, faces in zip(some, pictures, model.faces(pictures), strict=True):
                rejected = [
                    reason if consent.given(one.embedding) else REFUSED
                    for one, reason in zip(faces, reasons(image, faces, config.quality), strict=True)
                ]
                found += _rows(keyframe["row_id"], faces, rejected, persons.get(keyframe["row_id"], []))
            yield step
        found.sort(key=lambda row: str(row["face_id"]))  # clustering depends on the order
        good = [row for row in found if row["rejected"] == GOOD]
        embeddings_NE = np.stack([row["embedding"] for row in good]) if good else np.zeros((0, 1), np.float32)
        for row, character in zip(good, chinese_whispers(embeddings_NE, config.clustering).tolist(), strict=True):
            row["character"] = character
        for row in found:
            row["embedding"] = row["embedding"].tobytes()
        yield Made({"faces": rows.table("faces", film_id, found, model)})

    return ReadsAhead(bank, keyframes.expect)


def _rows(row_id: str, faces: Sequence[Face], rejected: Sequence[str], persons: Sequence[rows.Row]) -> list[rows.Row]:
    found = owners([one.box for one in faces], [rows.box(person) for person in persons])
    return [
        {
            "face_id": face_id(row_id, index),
            "row_id": row_id,
            "character_id": persons[owner]["character_id"] if owner is not None else "",
            **dict(zip(("x0", "y0", "x1", "y1"), one.box, strict=True)),
            "score": one.score,
            "embedding": np.asarray(one.embedding, np.float32) * (reason != REFUSED),  # no likeness is stored
            "character": -1,
            "rejected": reason,
        }
        for index, (one, owner, reason) in enumerate(zip(faces, found, rejected, strict=True))
    ]


Box = tuple[float, float, float, float]


def owners(faces: Sequence[Box], persons: Sequence[Box]) -> list[int | None]:
    """For each face its person: the face is in the box, near the expected head; each person has at most one face."""
    pairs = sorted(
        (_distance(one, body), i, j)
        for i, one in enumerate(faces)
        for j, body in enumerate(persons)
        if _inside(one, body) >= INSIDE
    )
    found: list[int | None] = [None] * len(faces)
    taken: set[int] = set()
    for _, i, j in pairs:
        if found[i] is None and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def _inside(one: Box, body: Box) -> float:
    wide = max(0.0, min(one[2], body[2]) - max(one[0], body[0]))
    high = max(0.0, min(one[3], body[3]) - max(one[1], body[1]))
    return wide * high / max((one[2] - one[0]) * (one[3] - one[1]), 1e-12)


def _distance(one: Box, body: Box) -> float:
    """Distance from the middle of the box's upper edge, in units of the face's width and height."""
    across = abs((one[0] + one[2]) / 2 - (body[0] + body[2]) / 2) / (one[2] - one[0])
    down = abs(one[1] - body[1]) / (one[3] - one[1])
    return across + down


STAGE = Stage("faces", inputs=("keyframes", "characters"), tables=("faces",), make=_make, settings=("face",))
