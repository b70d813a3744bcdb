"""The look of a picture says what it shows, mirrored or not."""

import numpy as np

from storage.decoding.look import MIRROR, look
from tests.storage.blobs import scenes


def test_the_look_of_a_mirrored_picture_is_known_from_the_picture():
    pictures = [scene.mean(axis=2, dtype=np.float32) for seed in range(5) for scene in scenes(seed)]
    for picture in pictures:
        assert (look(picture) ^ MIRROR ^ look(picture[:, ::-1])).bit_count() <= 10


def test_pictures_of_several_films_are_far_apart_and_one_that_says_nothing_has_no_look():
    looks = [look(scene.mean(axis=2, dtype=np.float32)) for seed in range(7) for scene in scenes(seed)]
    unlike = [(one ^ other).bit_count() for place, one in enumerate(looks) for other in looks[:place]]
    assert min(unlike) > 10
    assert look(np.full((64, 112), 90, np.uint8)) == 0
