"""What training reads: scripts of each half, with other faces of the same character to draw from."""

import numpy as np
import pytest

from storage.pictures import decode
from tasks import dataset
from tests.tasks.conftest import DRAWN, Curated


def test_the_halves_make_the_whole(curated: Curated) -> None:
    train, test, everything = (
        dataset.load(curated.storage, curated.snapshot, split)[0] for split in ("train", "test", "all")
    )
    assert train.row_ids + test.row_ids == everything.row_ids
    assert train.seconds.tolist() + test.seconds.tolist() == list(range(DRAWN.seconds))
    assert [script.row_id for script in everything.scripts] == list(everything.row_ids)
    for mine, whole in zip(train.scripts + test.scripts, everything.scripts, strict=True):
        assert np.array_equal(mine.sentences, whole.sentences)
        assert np.array_equal(mine.faces, whole.faces)


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
