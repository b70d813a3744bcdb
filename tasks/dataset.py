"""The reading side of a snapshot: what models learn from and are asked about, film by film, without any pixels.

Shapes: T keyframes, S sentences and F faces of a keyframe.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.script_tokens import FrameScript
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables import Tables
from tasks.rows import Row

Split = Literal["train", "test", "all"]

_SENTENCE_WIDTH, _FACE_WIDTH = 384, 128  # of films without any


@dataclass(frozen=True)
class FilmData:
    """A film's keyframes of one split, in order.

    Attributes:
        row_ids, seconds [T], shots [T]: of the keyframes; numbers are int32.
        scripts, scripts_flipped: of the keyframes and of their mirror images; each with the faces of the same
            characters in other keyframes of the split to choose from.
        face_characters: for each keyframe the characters [F] of its script's faces, -1 for a face like no other.
    """

    film: SnapshotFilm
    row_ids: tuple[str, ...]
    seconds: NDArray[np.int32]
    shots: NDArray[np.int32]
    scripts: tuple[FrameScript, ...]
    scripts_flipped: tuple[FrameScript, ...]
    face_characters: tuple[NDArray[np.int32], ...]


def load(storage: Storage, snapshot: Snapshot, split: Split) -> list[FilmData]:
    """All films of a snapshot; rows that a film's halves leave out are in no split."""
    rows = Tables(storage).read("features", snapshot.work["features"]).to_pylist()
    widths = (
        _width(rows, "sentences", "sentence_kinds", _SENTENCE_WIDTH),
        _width(rows, "faces", "face_characters", _FACE_WIDTH),
    )
    of_film = defaultdict(list)
    for row in rows:
        of_film[row["film_id"]].append(row)
    return [
        _film(film, [row for row in of_film[film.film_id] if _within(film, split, row["second"])], widths)
        for film in snapshot.films
    ]


def images(storage: Storage, snapshot: Snapshot, row_ids: Sequence[str]) -> dict[str, bytes]:
    """The encoded pictures (WebP; storage.pictures.decode reads them) of some keyframes, by row id.

    Raises:
        ValueError: quoting a row that the snapshot doesn't have.
    """
    films = {film.film_id for film in snapshot.films if any(row.startswith(film.film_id) for row in row_ids)}
    work = {film_id: key for film_id, key in snapshot.work["keyframes"].items() if film_id in films}
    rows = Tables(storage).read("keyframes", work, ["row_id", "image"])
    pictures = {str(row["row_id"]): bytes(row["image"]) for row in rows.to_pylist()}
    if missing := [row_id for row_id in row_ids if row_id not in pictures]:
        raise ValueError(f"snapshot {snapshot.id} has no keyframe {missing[0]!r}")
    return {row_id: pictures[row_id] for row_id in row_ids}


def _within(film: SnapshotFilm, split: Split, second: int) -> bool:
    halves = {"train": [film.train], "test": [film.test], "all": [film.train, film.test]}[split]
    return any(first <= second <= last for first, last in halves)


def _film(film: SnapshotFilm, rows: list[Row], widths: tuple[int, int]) -> FilmData:
    faces = [_matrix(row["faces"], len(row["face_characters"]), widths[1]) for row in rows]
    bank: dict[int, list[tuple[str, NDArray[np.float32]]]] = defaultdict(list)
    for row, faces_F in zip(rows, faces, strict=True):
        for character, face in zip(row["face_characters"], faces_F, strict=True):
            bank[character].append((row["row_id"], face))

    def scripts(said: str) -> tuple[FrameScript, ...]:
        return tuple(
            _script(row, row[said], faces_F, bank, widths[0]) for row, faces_F in zip(rows, faces, strict=True)
        )

    return FilmData(
        film,
        tuple(row["row_id"] for row in rows),
        np.array([row["second"] for row in rows], np.int32),
        np.array([row["shot"] for row in rows], np.int32),
        scripts("sentences"),
        scripts("sentences_flipped"),
        tuple(np.array(row["face_characters"], np.int32) for row in rows),
    )


def _script(
    row: Row,
    sentences: bytes,
    faces_F: NDArray[np.float32],
    bank: Mapping[int, list[tuple[str, NDArray[np.float32]]]],
    width: int,
) -> FrameScript:
    choices = []
    for character in row["face_characters"]:
        others = [face for row_id, face in bank[character] if character >= 0 and row_id != row["row_id"]]
        choices.append(np.stack(others) if others else np.zeros((0, faces_F.shape[1]), np.float32))
    kinds = np.array(row["sentence_kinds"], np.int8)
    return FrameScript(row["row_id"], _matrix(sentences, len(kinds), width), kinds, faces_F, tuple(choices))


def _width(rows: Sequence[Row], blob: str, counted: str, default: int) -> int:
    """Numbers a vector, from the first row that has one."""
    widths = (len(row[blob]) // 2 // len(row[counted]) for row in rows if row[counted])
    return next(widths, default)


def _matrix(blob: bytes, count: int, width: int) -> NDArray[np.float32]:
    return np.frombuffer(blob, np.float16).reshape(count, width).astype(np.float32)
