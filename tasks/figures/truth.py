"""Where a film's truth is known, as of the drawn one: do detectors find who is there, are characters told apart?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drawn.truth import Second
from models.face.bank import agreement
from models.metrics.figure import Figure, mean
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.tables import Tables
from tasks import rows
from tasks.curation.drawn_films import known_truth
from tasks.rows import Row


def figures(storage: Storage, snapshot: Snapshot, least_pixels: float) -> dict[str, Figure]:
    """Recall and purity over all films with a truth beside them (<film>.truth.json); nothing when there are none.

    Args:
        least_pixels: drawn faces count from this height on.
    """
    seen_faces: list[bool] = []
    seen_persons: list[bool] = []
    pure: list[bool] = []
    sources = Tables(storage).sources(snapshot.work["keyframes"])
    truths = {film_id: truth for film_id, source in sources.items() if (truth := known_truth(storage, source))}
    films = [film for film in snapshot.films if film.film_id in truths]
    for film in films:
        timeline = {second.second: second for second in truths[film.film_id].timeline}
        work = {stage: {film.film_id: keys[film.film_id]} for stage, keys in snapshot.work.items()}
        tables = Tables(storage)
        keyframes = tables.read("keyframes", work["keyframes"], ["row_id", "second"]).to_pylist()
        known = {row["row_id"]: timeline[row["second"]] for row in keyframes if row["second"] in timeline}
        faces = rows.grouped(tables.read("faces", work["faces"]).to_pylist())
        persons = rows.grouped(tables.read("characters", work["characters"]).to_pylist())
        points = [_centres(second, least_pixels) for second in known.values()]
        seen_faces += recall(points, [_boxes(faces.get(row_id, [])) for row_id in known])
        seen_persons += recall(points, [_boxes(persons.get(row_id, [])) for row_id in known])
        pure += _pure(known, faces)
    if not films:
        return {}
    words = f"share of the drawn faces of {least_pixels:g} pixels or more"
    return {
        "truth_face_recall": mean(seen_faces, f"{words} that the face detector finds"),
        "truth_person_recall": mean(seen_persons, f"{words} that lie in a detected person's box"),
        "truth_character_purity": mean(
            pure, "share of faces in a cluster that show the person whom most of their cluster's faces show"
        ),
    }


def recall(truth: Sequence[NDArray[np.float64]], found: Sequence[NDArray[np.float64]]) -> list[bool]:
    """For each true point whether some found box holds it.

    Args:
        truth: for each keyframe points [F, 2] as x, y in 0-1.
        found: for each keyframe boxes [P, 4] as x0, y0, x1, y1 in 0-1. A box counts for one point only.
    """
    held = []
    for points, boxes in zip(truth, found, strict=True):
        free = list(range(len(boxes)))
        for x, y in points:
            hit = next((i for i in free if boxes[i][0] <= x <= boxes[i][2] and boxes[i][1] <= y <= boxes[i][3]), None)
            if hit is not None:
                free.remove(hit)
            held.append(hit is not None)
    return held


def _centres(second: Second, least_pixels: float) -> np.ndarray:
    boxes = [one.face for one in second.appearances if one.face_pixels >= least_pixels]
    return np.array([((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes]).reshape(-1, 2)


def _boxes(found: list[Row]) -> np.ndarray:
    return np.array([(row["x0"], row["y0"], row["x1"], row["y1"]) for row in found]).reshape(-1, 4)


def _pure(known: dict[str, Second], faces: dict[str, list[Row]]) -> list[bool]:
    """For each clustered face of a known person: does it show the person that prevails in its cluster?"""
    shown = [
        (face["character"], _shown(second, face)) for row_id, second in known.items() for face in faces.get(row_id, [])
    ]
    return agreement([character for character, _ in shown], [name for _, name in shown])


def _shown(second: Second, face: Row) -> str | None:
    """The drawn character whose face has its centre in the found one."""
    for one in second.appearances:
        x, y = (one.face[0] + one.face[2]) / 2, (one.face[1] + one.face[3]) / 2
        if face["x0"] <= x <= face["x1"] and face["y0"] <= y <= face["y1"]:
            return one.character
    return None
