"""Reads a snapshot for training and generation: scripts and faces, film by film, without pixels.

Shapes: T keyframes, S sentences of width E and F faces of width G of a keyframe.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from models.autoregressive.script_tokens import CHARACTER, FrameScript
from models.face.bank import FaceBank
from storage.errors import ConfigError
from storage.printable import printable
from storage.root import Storage
from storage.snapshot import Part, Snapshot, SnapshotFilm
from storage.stories.files import nearest
from storage.stories.text import normal
from storage.tables.evolve import check_columns
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks.rows import Row

FACES = ("row_id", "second", "faces", "face_characters", "face_width")
"""Columns of the table `features` about faces."""


@dataclass(frozen=True)
class FilmData:
    """A film's keyframes of one split, in order.

    Attributes:
        row_ids, seconds [T], shots [T]: of the keyframes; numbers are int32.
        scripts, scripts_flipped: of the keyframes and of their mirror images. Those of "train" come with their own
            faces and the same characters' in other keyframes to choose from. Those of "test" tell nothing of their
            pictures: each character has the most typical of its faces in the training half or, where it isn't in
            it or there is none, in other keyframes of the film (Appendix C).
        face_characters: for each keyframe the characters [F] of the faces in it, -1 for a face like no other.
    """

    film: SnapshotFilm
    row_ids: tuple[str, ...]
    seconds: NDArray[np.int32]
    shots: NDArray[np.int32]
    scripts: tuple[FrameScript, ...]
    scripts_flipped: tuple[FrameScript, ...]
    face_characters: tuple[NDArray[np.int32], ...]


def film_called(storage: Storage, snapshot: Snapshot, name: str) -> SnapshotFilm:
    """The film of a snapshot with this id, title or file name.

    Raises:
        ConfigError: when no film has this name, or several have.
    """
    sources = Tables(storage).sources(snapshot.work["keyframes"])
    names = {
        film.film_id: set(map(normal, (film.film_id, film.title, PurePosixPath(sources.get(film.film_id, "")).name)))
        for film in snapshot.films
    }
    found = [film for film in snapshot.films if normal(name) in names[film.film_id]]
    if len(found) != 1:
        of = f"of the snapshot {snapshot.id}"
        what = f"no film {of} is" if not found else f"{len(found)} films {of} are"
        known = sorted({film.name for film in snapshot.films} | {film.film_id for film in found})
        raise ConfigError(f"{what} called {printable(name)!r}{nearest(name, known)}")
    return found[0]


def load(storage: Storage, snapshot: Snapshot, split: Part) -> list[FilmData]:
    """The films of a snapshot that have this part.

    Raises:
        StorageError: when the table `features` is not that of this version.
    """
    table = feature_rows(storage, snapshot)
    return [of_film(table, film, split) for film in snapshot.of_part(split)]


def of_film(table: FilmRows, film: SnapshotFilm, split: Part) -> FilmData:
    """A part of one film, empty if the film has no such part; `table` is the result of `feature_rows`."""
    rows = _rows(table, film.film_id)
    mine = [row for row in rows if film.part(row["second"]) == split]
    scripts = Scripts(film, split, rows)
    return FilmData(
        film,
        tuple(row["row_id"] for row in mine),
        np.array([row["second"] for row in mine], np.int32),
        np.array([row["shot"] for row in mine], np.int32),
        tuple(scripts.of(row) for row in mine),
        tuple(scripts.of(row, flipped=True) for row in mine),
        tuple(np.array(row["face_characters"], np.int32) for row in mine),
    )


def feature_rows(storage: Storage, snapshot: Snapshot) -> FilmRows:
    """The snapshot's rows of the table `features`; raises StorageError if the table is of another version."""
    check_columns(storage, "features")
    return FilmRows(storage, "features", snapshot.work["features"])


def images(storage: Storage, snapshot: Snapshot, row_ids: Sequence[str]) -> dict[str, bytes]:
    """The encoded pictures (WebP; storage.decoding.pictures.decode reads them) of some keyframes, by row id.

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


def characters(storage: Storage, snapshot: Snapshot, names: Collection[str] = ()) -> dict[str, NDArray[np.float32]]:
    """The most typical face of each character, by its name <film_id>/<character>.

    Only of the films that `names` refer to or, if none of them is in the snapshot, of all films.
    """
    table, faces = feature_rows(storage, snapshot), dict[str, NDArray[np.float32]]()
    named = {name.rpartition("/")[0] for name in names} & set(table.work)
    for film_id in sorted(named or table.work):
        bank = _bank(_rows(table, film_id, FACES))
        for character in sorted(set(bank.characters) - {-1}):
            typical = bank.typical(character, "")
            if typical is not None:
                faces[f"{film_id}/{character}"] = bank.embeddings_NE[typical]
    return faces


class Scripts:
    """Makes the scripts of one part of a film, with their faces; see `FilmData`.

    Args:
        rows: of the table `features`, all of the film's, with the columns FACES at least.
    """

    def __init__(self, film: SnapshotFilm, split: Part, rows: Sequence[Row]) -> None:
        self._split = split
        train, mine = ([row for row in rows if film.part(row["second"]) == each] for each in ("train", split))
        self._banks = [_bank(train)] if split == "train" else [_bank(train), _bank(mine)]

    def of(self, row: Row, flipped: bool = False) -> FrameScript:
        """The script of a keyframe, or of its mirror image; `row` is its row in the table `features`."""
        sentences_SE = _matrix(row["sentences_flipped" if flipped else "sentences"], row["sentence_width"])
        if self._split == "train":
            return _learnt_from(row, sentences_SE, self._banks[0], flipped)
        return _foreseen(row, sentences_SE, self._banks)


def _rows(table: FilmRows, film_id: str, columns: Sequence[str] | None = None) -> list[Row]:
    return [row for batch in table.batches(film_id, columns) for row in batch.to_pylist()]


def _bank(rows: Sequence[Row]) -> FaceBank:
    faces = [
        (row["row_id"], place, character) for row in rows for place, character in enumerate(row["face_characters"])
    ]
    embeddings = [_matrix(row["faces"], row["face_width"]) for row in rows if row["faces"]]
    return FaceBank(
        [f"{row_id}-{place}" for row_id, place, _ in faces],
        [row_id for row_id, _, _ in faces],
        [character for _, _, character in faces],
        np.concatenate(embeddings) if embeddings else np.zeros((0, 0), np.float32),
    )


def _learnt_from(row: Row, sentences_SE: NDArray[np.float32], bank: FaceBank, flipped: bool) -> FrameScript:
    """A script with the faces of its own keyframe, their boxes, and the same characters' faces in other keyframes."""
    boxes_F4 = np.array(row["face_boxes"], np.float32).reshape(-1, 4)
    if flipped:
        boxes_F4[:, [0, 2]] = 1 - boxes_F4[:, [2, 0]]
    return FrameScript(
        row["row_id"],
        sentences_SE,
        np.array(row["sentence_kinds"], np.int8),
        _matrix(row["faces"], row["face_width"]),
        tuple(bank.choices(character, row["row_id"]) for character in row["face_characters"]),
        boxes_F4,
    )


def _foreseen(row: Row, sentences_SE: NDArray[np.float32], banks: Sequence[FaceBank]) -> FrameScript:
    """A script with typical faces from other keyframes, out of the first bank that has one.

    A face that no other keyframe has is left out, and the sentence about that character goes behind those of the
    others: the i-th face stays with the i-th sentence.
    """
    kinds, row_id = np.array(row["sentence_kinds"], np.int8), row["row_id"]
    faces, places = [], []
    for place, character in enumerate(row["face_characters"]):
        found = ((bank, bank.typical(character, row_id)) for bank in banks)
        face = next((bank.embeddings_NE[typical] for bank, typical in found if typical is not None), None)
        if face is not None:
            faces.append(face)
            places.append(place)
    characters = np.flatnonzero(kinds == CHARACTER)
    first = [int(characters[place]) for place in places if place < len(characters)]
    order = [*first, *(place for place in range(len(kinds)) if place not in first)]
    faces_FG = np.stack(faces) if faces else np.zeros((0, row["face_width"]), np.float32)
    return FrameScript(row_id, sentences_SE[order], kinds[order], faces_FG)


def _matrix(blob: bytes, width: int) -> NDArray[np.float32]:
    return np.frombuffer(blob, np.float16).reshape(-1, width).astype(np.float32)
