"""The script alone, over many seeds: nothing is drawn here."""

import pytest

from drawn.film import Truth, truth
from drawn.script import FRAMINGS

SEEDS = range(40)


def halves(told: Truth):
    middle = int(told.seconds) // 2
    scenes = [s for s in told.timeline if s.kind == "scene"]
    return [s for s in scenes if s.second < middle], [s for s in scenes if s.second >= middle]


@pytest.mark.parametrize("seed", SEEDS)
def test_both_halves_have_everybody_everywhere(seed):
    told = truth(seed)
    for half in halves(told):
        assert {a.character for s in half for a in s.appearances} == set(told.characters)
        assert {s.place for s in half} == set(told.places)
        assert {"close-up", "medium", "wide"} <= {s.shot_size for s in half} <= FRAMINGS.keys()
    assert 3 <= len(told.characters) <= 5
    assert len(told.places) == 4
    assert len(told.timeline) == 96
    assert int(told.seconds) // 2 in told.cuts


@pytest.mark.parametrize("seed", SEEDS)
def test_shots_are_as_the_film_promises(seed):
    told = truth(seed)
    shots = {s.shot for s in told.timeline if s.kind == "scene"}
    assert len(shots) >= 12
    assert {len(s.appearances) for s in told.timeline if s.kind == "scene"} in ({0, 1, 2}, {0, 1, 2, 3})
    assert [s.kind for s in told.timeline[:4]] == ["title"] * 4
    assert [s.kind for s in told.timeline[-4:]] == ["end"] * 4
    for s in told.timeline:
        for a in s.appearances:
            assert 0 <= a.face[0] < a.face[2] <= 1
            assert 0 <= a.face[1] < a.face[3] <= 1
            if s.shot_size in ("close-up", "extreme close-up"):
                assert a.face_pixels >= 0.4 * told.height


@pytest.mark.parametrize("seconds", [8, 12, 20, 30, 47, 60])
def test_short_films_repeat_their_first_half(seconds):
    for seed in range(10):
        told = truth(seed, seconds, (320, 184))
        first, second = halves(told)
        for key in (lambda s: {s.place}, lambda s: {a.character for a in s.appearances}):
            here, there = (set().union(*map(key, half)) for half in (first, second))
            assert here == there
            assert len(here) >= 2


def test_truth_survives_json():
    told = truth(3, 12)
    assert Truth.from_json(told.to_json()) == told


def test_seeds_differ():
    assert len({(t.title, *t.characters, *t.places) for t in map(truth, SEEDS)}) == len(SEEDS)


def test_too_short_is_refused():
    with pytest.raises(ValueError, match="at least 8 seconds, got 5"):
        truth(1, 5)
