"""What a drawn film says of itself in plain words, against its truth; nothing is drawn here."""

import pytest

from drawn.film import truth
from drawn.moods import moods
from drawn.places import KINDS
from drawn.script import FRAMINGS
from drawn.words import FRAMES, PLACES, TIMES, told


def test_everything_that_can_be_drawn_has_words():
    assert PLACES.keys() == KINDS.keys()
    assert TIMES.keys() == {mood.word for mood in moods().values()}
    assert FRAMES.keys() == FRAMINGS.keys() - {"card"}


@pytest.mark.parametrize("seed", [7, 55, 1000, 1001])
def test_words_name_who_is_there_with_clothes_and_hair_and_nobody_else(seed):
    film = truth(seed)
    for moment in film.timeline:
        script = told(film, moment.second, 0)
        assert len(script.characters) == len(moment.appearances) <= 5
        assert 1 <= len(script.scene_elements) <= 7
        assert 1 <= len(script.plots) <= 3
        assert script.plots[0] == moment.plot
        shown = sorted(moment.appearances, key=lambda one: one.box[0] + one.box[2])
        for said, one in zip(script.characters, shown, strict=True):
            assert not any(name in said for name in film.who.keys() - {one.character})
            who = film.who[one.character]
            assert who.top in said
            assert who.hair in said or (who.style, who.beard) in {("bald", "none"), ("bald", "stubble")}
            assert (" beard" in said) == (who.beard == "full")
            assert ("glasses" in said) == (who.glasses != "none")


def test_a_moment_is_said_in_many_ways_and_the_same_number_says_it_the_same():
    film = truth(1000)
    second = next(s.second for s in film.timeline if len(s.appearances) == 2)
    assert told(film, second, 3) == told(film, second, 3)
    assert len({told(film, second, seed) for seed in range(50)}) > 30


def test_half_of_the_scripts_are_shot_lists_which_note_the_framing_and_may_leave_names_out():
    film = truth(1000)
    moment = next(s for s in film.timeline if len(s.appearances) == 2)
    scripts = [told(film, moment.second, seed) for seed in range(200)]
    noted = [one for one in scripts if any(moment.shot_size in said for said in one.scene_elements)]
    nameless = [one for one in noted if not any(name in said for name in film.who for said in one.characters)]
    assert 70 < len(noted) < 130
    assert len(nameless) > len(noted) / 2
