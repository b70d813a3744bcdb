"""Which people and places the film of a seed may show, over many seeds: nothing is drawn here."""

import numpy as np
import pytest

from drawn.casting import LEAST_APART, apart, cast, draw, held_out, seen
from drawn.film import truth
from drawn.people import CLOTHS, named
from drawn.places import places_of
from drawn.worlds import EVALUATION, HELD_OUT, HELD_PLACE, TRAINING

TRAINED = range(TRAINING, TRAINING + 300)


@pytest.mark.parametrize("seeds", [TRAINED, range(1, 50)])
def test_nothing_held_out_is_in_training(seeds):
    for seed in seeds:
        assert not any(held_out(person.look) for person in cast(seed))
        assert HELD_PLACE not in {place.kind for place in places_of(seed)}


@pytest.mark.parametrize("seed", HELD_OUT)
def test_held_out_films_show_both_looks_and_the_place(seed):
    held = [person.look for person in cast(seed) if held_out(person.look)]
    assert sorted(look.woman for look in held) == [False, True]
    assert HELD_PLACE in {place.kind for place in places_of(seed)}


def test_people_of_a_film_cannot_be_confused():
    for seed in [*EVALUATION, *TRAINED]:
        looks = [person.look for person in cast(seed)]
        distances = [apart(a, b) for i, a in enumerate(looks) for b in looks[:i]]
        assert min(distances) > 0.9 * LEAST_APART
        assert len({seen(look) for look in looks}) == len({named(look.top, CLOTHS) for look in looks}) == len(looks)


def test_words_follow_from_numbers():
    for seed in range(1000, 1040):
        told = truth(seed)
        for name, who in told.who.items():
            words = told.characters[name]
            for fact in (who.years, who.skin, who.top, *([] if who.style == "bald" else [who.hair])):
                assert fact in words
            assert (" beard" in words) == (who.beard == "full")
            assert ("glasses" in words) == (who.glasses != "none")
            assert (" woman " in words) == who.woman


def test_a_thousand_people_are_a_thousand_faces():
    rng = np.random.default_rng(0)
    assert len({draw(rng) for _ in range(1000)}) == 1000
