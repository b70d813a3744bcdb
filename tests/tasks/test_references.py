"""What goes before held-out keyframes in few-shot generation: never the keyframe itself."""

import numpy as np
import pytest
import torch

from models.autoregressive.script_tokens import FrameScript
from tasks.references import references


def film(count, first=0):
    scripts = [
        FrameScript(f"r{first + t}", np.zeros((0, 4), np.float32), np.zeros(0, np.int8), np.zeros((0, 4), np.float32))
        for t in range(count)
    ]
    return scripts, torch.arange(first, first + count).float().reshape(-1, 1, 1)


def test_where_there_is_a_training_half_it_gives_them_for_all_keyframes():
    (one,) = references(*film(6), *film(5, first=6), count=2)
    assert [script.row_id for script in one.scripts] == ["r0", "r5"]
    assert one.tokens_RLD.flatten().tolist() == [0, 5]
    assert one.places == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("length", "count"), [(2, 10), (3, 1), (12, 2), (12, 10), (100, 10)])
def test_a_film_without_one_never_shows_a_keyframe_to_itself(length, count):
    scripts, tokens_TLD = film(length)
    found = references([], tokens_TLD[:0], scripts, tokens_TLD, count)
    for one in found:
        shown = [int(script.row_id[1:]) for script in one.scripts]
        assert 1 <= len(shown) <= count
        assert one.tokens_RLD.flatten().tolist() == shown
        assert not set(shown) & set(one.places)
    assert sorted(place for one in found for place in one.places) == list(range(length))


def test_a_film_of_one_keyframe_has_no_references():
    (one,) = references([], torch.zeros(0), *film(1), count=10)
    assert (one.tokens_RLD, one.places) == (None, [0])
