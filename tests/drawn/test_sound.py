"""The sound of drawn films stays as it was, and a score of any length is made part by part."""

import numpy as np
import pytest

from drawn.script import write
from drawn.sound import RATE, SCALES, Feeling, Part, compose, score

KNOWN = [-0.02258, -0.07555, 0.31381, 0.12823, -0.13561, 0.0944, 0.01012, -0.02056, 0.0687, 0.0765, 0.06517]


def test_the_sound_of_a_drawn_film_stays_the_same_for_ever():
    heard = compose(write(1, 12, 1.75))[0, 5000::37001]
    assert heard == pytest.approx(KNOWN, abs=1e-4)


def test_parts_follow_each_other_without_a_gap_or_a_click():
    parts = [
        Part(kind, seed, seconds)
        for seed, (kind, seconds) in enumerate(zip(SCALES, (3.3, 0.2, 0.5, 4.01), strict=False))
    ]
    waves = list(score(parts))
    whole = np.concatenate(waves, axis=1)
    assert (len(waves), whole.shape, whole.dtype) == (4, (2, round(8.01 * RATE)), np.float32)
    assert np.abs(whole).max() < 1
    steps = np.abs(np.diff(whole, axis=1)).max(0)
    joints = [round(at * RATE) - 1 for at in (3.3, 3.5, 4.0)]
    assert max(steps[joint] for joint in joints) < 0.5 * steps.max()
    loud = np.sqrt((whole[:, : 8 * RATE].reshape(2, 16, -1) ** 2).mean((0, 2)))
    assert loud[3:13].min() > 0.3 * loud.max()


def test_a_score_follows_its_seed_and_its_mood():
    tense = Feeling((0, 3, 6, 7, 8), -5)
    parts = [
        *(Part("forest", 7, 2), Part("forest", 7, 2), Part("forest", 8, 2)),
        *(Part("forest", 7, 2, tense), Part("forest", 7, 2, air=False), Part("beach", 7, 2)),
    ]
    first, again, *others = [np.concatenate(list(score([part])), axis=1) for part in parts]
    assert np.array_equal(first, again)
    assert not any(np.array_equal(first, other) for other in others)
