"""The reading side of a snapshot: what models learn from and are asked about, film by film, without any pixels.

Shapes: T keyframes, S sentences of width E and F faces of width G of a keyframe.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.face.bank import FaceBank
from models.script_tokens import CHARACTER, FrameScript
from storage.evolve import check_columns
from storage.root import Storage
from storage.snapshot import Part, Snapshot, SnapshotFilm
from storage.tables import Tables
from tasks.rows import Row


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


def load(storage: Storage, snapshot: Snapshot, split: Part) -> list[FilmData]:
    """The films of a snapshot that have such a part; rows that a film's spans leave out are in none.

    Raises:
        StorageError: when the table `features` is not that of this version.
    """
    check_columns(storage, "features")
    films = snapshot.of_part(split)
    work = {film.film_id: snapshot.work["features"][film.film_id] for film in films}
    rows = Tables(storage).read("features", work).to_pylist()
    widths = _widths(rows)
    of_film = defaultdict(list)
    for row in rows:
        of_film[row["film_id"]].append(row)
    return [_film(film, split, of_film[film.film_id], widths) for film in films]


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


def characters(storage: Storage, snapshot: Snapshot) -> dict[str, NDArray[np.float32]]:
    """The most typical face of each character of a snapshot's films, by its name <film_id>/<character>."""
    rows = Tables(storage).read("features", snapshot.work["features"]).to_pylist()
    faces: dict[str, NDArray[np.float32]] = {}
    for film in snapshot.films:
        mine = [row for row in rows if row["film_id"] == film.film_id]
        bank = _bank(mine, _widths(mine)[1])
        for character in sorted({int(one) for row in mine for one in row["face_characters"]} - {-1}):
            typical = bank.typical(character, "")
            if typical is not None:
                faces[f"{film.film_id}/{character}"] = bank.embeddings_NE[typical]
    return faces


def _film(film: SnapshotFilm, split: Part, rows: list[Row], widths: tuple[int, int]) -> FilmData:
    mine, train = ([row for row in rows if film.part(row["second"]) == each] for each in (split, "train"))
    banks = [_bank(some, widths[1]) for some in (train, mine)]

    def scripts(said: str) -> tuple[FrameScript, ...]:
        if split == "train":
            return tuple(_learnt_from(row, row[said], banks[0], widths) for row in mine)
        return tuple(_foreseen(row, row[said], banks, widths) for row in mine)

    return FilmData(
        film,
        tuple(row["row_id"] for row in mine),
        np.array([row["second"] for row in mine], np.int32),
        np.array([row["shot"] for row in mine], np.int32),
        scripts("sentences"),
        scripts("sentences_flipped"),
        tuple(np.array(row["face_characters"], np.int32) for row in mine),
    )


def _bank(rows: Sequence[Row], width: int) -> FaceBank:
    faces = [
        (row["row_id"], place, character) for row in rows for place, character in enumerate(row["face_characters"])
    ]
    embeddings = [_matrix(row["faces"], len(row["face_characters"]), width) for row in rows]
    return FaceBank(
        [f"{row_id}-{place}" for row_id, place, _ in faces],
        [row_id for row_id, _, _ in faces],
        [character for _, _, character in faces],
        np.concatenate([np.zeros((0, width), np.float32), *embeddings]),
    )


def _learnt_from(row: Row, sentences: bytes, bank: FaceBank, widths: tuple[int, int]) -> FrameScript:
    """A script with its keyframe's own faces, and those in other keyframes to choose from."""
    kinds = np.array(row["sentence_kinds"], np.int8)
    faces_FG = _matrix(row["faces"], len(row["face_characters"]), widths[1])
    choices = (bank.others(character, row["row_id"]) for character in row["face_characters"])
    return FrameScript(
        row["row_id"],
        _matrix(sentences, len(kinds), widths[0]),
        kinds,
        faces_FG,
        tuple(bank.embeddings_NE[places] for places in choices),
    )


def _foreseen(row: Row, sentences: bytes, banks: Sequence[FaceBank], widths: tuple[int, int]) -> FrameScript:
    """A script with typical faces from other keyframes, out of the first bank that has one.

    A face that no other keyframe has is left out, and the sentence about that character goes behind those of the
    others: the i-th face stays with the i-th sentence.
    """
    kinds, row_id = np.array(row["sentence_kinds"], np.int8), row["row_id"]
    sentences_SE, faces, places = _matrix(sentences, len(kinds), widths[0]), [], []
    for place, character in enumerate(row["face_characters"]):
        found = ((bank, bank.typical(character, row_id)) for bank in banks)
        face = next((bank.embeddings_NE[typical] for bank, typical in found if typical is not None), None)
        if face is not None:
            faces.append(face)
            places.append(place)
    characters = np.flatnonzero(kinds == CHARACTER)
    first = [int(characters[place]) for place in places if place < len(characters)]
    order = [*first, *(place for place in range(len(kinds)) if place not in first)]
    faces_FG = np.stack(faces) if faces else np.zeros((0, widths[1]), np.float32)
    return FrameScript(row_id, sentences_SE[order], kinds[order], faces_FG)


def _widths(rows: Sequence[Row]) -> tuple[int, int]:
    """Numbers of a sentence's and of a face's vector.

    Raises:
        ValueError: when films of one snapshot differ.
    """
    found = sorted({(row["sentence_width"], row["face_width"]) for row in rows})
    if len(found) != 1:
        raise ValueError(f"the films of a snapshot have vectors of one width, got (sentence, face) {found}")
    return found[0]


def _matrix(blob: bytes, count: int, width: int) -> NDArray[np.float32]:
    return np.frombuffer(blob, np.float16).reshape(count, width).astype(np.float32)
