"""What training reads: scripts of each half, with other faces of the same character to draw from."""

import numpy as np
import pytest

from storage.decoding.pictures import decode
from storage.tables.tables import Tables
from tasks import dataset
from tests.tasks.conftest import DRAWN, Curated


def test_the_halves_make_the_whole(curated: Curated) -> None:
    train, test = (dataset.load(curated.storage, curated.snapshot, split)[0] for split in ("train", "test"))
    assert train.seconds.tolist() + test.seconds.tolist() == list(range(DRAWN.seconds))
    for film in (train, test):
        assert [script.row_id for script in film.scripts] == list(film.row_ids)


def test_scripts_of_the_held_out_half_tell_no_face_of_their_own_keyframe(curated: Curated) -> None:
    """With the faces of the training half, each beside the sentence about the character that it belongs to."""
    train, test = (dataset.load(curated.storage, curated.snapshot, split)[0] for split in ("train", "test"))
    rows = Tables(curated.storage).read("features", curated.snapshot.work["features"]).to_pylist()
    own = {row["row_id"]: row for row in rows}
    known = {tuple(face) for script in train.scripts for face in script.faces}
    shown = 0
    for script, characters in zip(test.scripts, test.face_characters, strict=True):
        row = own[script.row_id]
        measured = np.frombuffer(row["faces"], np.float16).astype(np.float32).reshape(-1, 128)
        assert not {tuple(face) for face in script.faces} & {tuple(face) for face in measured}
        kept = [place for place, who in enumerate(characters) if any(who in seen for seen in train.face_characters)]
        assert {tuple(face) for face in script.faces[: len(kept)]} <= known
        said = np.frombuffer(row["sentences"], np.float16).astype(np.float32).reshape(-1, 384)
        assert np.array_equal(script.sentences[: len(kept)], said[kept])
        assert sorted(map(tuple, script.sentences)) == sorted(map(tuple, said))
        shown += len(kept)
    assert shown


def test_faces_to_choose_from_are_of_the_same_character_in_other_keyframes_of_the_split(curated: Curated) -> None:
    (film,) = dataset.load(curated.storage, curated.snapshot, "train")
    offered = 0
    for script, characters in zip(film.scripts, film.face_characters, strict=True):
        assert len(script.face_choices) == len(script.faces) == len(characters)
        for choices, character in zip(script.face_choices, characters, strict=True):
            others = [
                face
                for other, theirs in zip(film.scripts, film.face_characters, strict=True)
                for face, who in zip(other.faces, theirs, strict=True)
                if who == character >= 0 and other.row_id != script.row_id
            ]
            assert np.array_equal(choices, np.array(others, np.float32).reshape(-1, 128))
            offered += len(choices)
    assert offered


def test_pictures_come_by_row_id_and_unknown_rows_are_named(curated: Curated) -> None:
    (film,) = dataset.load(curated.storage, curated.snapshot, "test")
    wanted = [film.row_ids[3], film.row_ids[0]]
    pictures = dataset.images(curated.storage, curated.snapshot, wanted)
    assert list(pictures) == wanted
    assert decode(pictures[wanted[0]]).shape == (256, 448, 3)
    with pytest.raises(ValueError, match="has no keyframe 'f-000001'"):
        dataset.images(curated.storage, curated.snapshot, ["f-000001"])
