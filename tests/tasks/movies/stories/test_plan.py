"""What is made anew after an edit: exactly what depends on it."""

from collections import Counter
from dataclasses import replace

import pytest

from models.upscaler import UnchangedConfig
from storage.stories.story import Line, Named, Shot
from tasks.movies.stories.plan import Takes, missing
from tasks.movies.stories.planner import beats, plan
from tests.tasks.movies.stories.small import SETTINGS, edited, story


def names(planned):
    return {piece.name for piece in planned.pieces()}


def made_anew(before, after):
    """Stage -> pieces that `after` lacks where all of `before` is there."""
    return Counter(piece.stage for piece in missing(after.pieces(), names(before)))


def with_history(reach):
    return replace(SETTINGS, stories=SETTINGS.stories.model_copy(update={"history": reach}))


@pytest.mark.parametrize(("reach", "wanted"), [("scene", 4), ("shot", 2), ("movie", 34)])
def test_an_edited_line_of_sixty_changes_the_keyframes_after_it_as_far_as_they_look_back(reach, wanted):
    settings, whole = with_history(reach), story(lines=60, scenes=6)
    before = plan(whole, settings, {})
    after = plan(edited(whole, 14, plots=("Anna waits.", "Anna does thing 2.7.")), settings, {})  # lines 27 and 28
    assert made_anew(before, before) == {}
    assert made_anew(before, after) == {
        "scripts": 1, "tokens": wanted, "keyframes": wanted, "enlarged": wanted, "clips": wanted,
        "movies": 1, "pages": 1,
    }  # fmt: skip


def test_an_edited_line_changes_the_clip_before_it_where_no_cut_is():
    whole = story(lines=6, scenes=2)
    before = plan(whole, SETTINGS, {})
    last = plan(edited(whole, 4, plots=("Anna sleeps.",)), SETTINGS, {})  # the only line of the last shot
    assert made_anew(before, last)["clips"] == made_anew(before, last)["keyframes"] == 1
    joined = edited(whole, 4, cut=False)
    changed = made_anew(plan(joined, SETTINGS, {}), plan(edited(joined, 4, plots=("Anna sleeps.",)), SETTINGS, {}))
    assert (changed["keyframes"], changed["clips"]) == (1, 2)


def test_a_new_take_changes_only_its_own_shot_and_the_old_one_comes_back():
    whole = story(lines=60, scenes=6)
    before = plan(whole, SETTINGS, {})
    shot = before.shots[11]
    redone = plan(whole, SETTINGS, {}, {shot.id: Takes(seeds=(7,), chosen=2)})
    assert made_anew(before, redone) == {
        "tokens": 2,
        "keyframes": 2,
        "enlarged": 2,
        "clips": 2,
        "movies": 1,
        "pages": 1,
    }
    again = plan(whole, SETTINGS, {}, {shot.id: Takes(seeds=(7,), chosen=1)})
    assert again.movie == before.movie
    assert made_anew(before, again) == {"pages": 1}  # which lists both takes


def test_takes_stay_when_shots_come_before_them_and_go_when_the_shot_is_edited():
    whole = story(lines=12, scenes=1)
    before = plan(whole, SETTINGS, {})
    scene = whole.scenes[0]
    longer = whole.model_copy(
        update={"scenes": (scene.model_copy(update={"shots": (Shot(plots=("Rain.",)), *scene.shots)}),)}
    )
    assert [shot.id for shot in plan(longer, SETTINGS, {}).shots[1:]] == [shot.id for shot in before.shots]
    changed = plan(edited(whole, 3, plots=("Another.",)), SETTINGS, {}).shots
    assert [one.id == other.id for one, other in zip(changed, before.shots, strict=True)].count(False) == 1
    twice = plan(edited(whole, 2, plots=scene.shots[0].plots), SETTINGS, {}).shots
    assert twice[0].id != twice[1].id


def test_words_that_are_heard_change_the_movie_alone():
    whole = story()
    before = plan(whole, SETTINGS, {})
    louder = edited(whole, 1, lines=(Line(text="Who is there?"),))
    assert made_anew(before, plan(louder, SETTINGS, {})) == {"movies": 1, "pages": 1}


@pytest.mark.parametrize("field", ["seed", "temperature", "guidance"])
def test_a_shot_has_settings_of_its_own(field):
    whole = story(lines=8, scenes=2)
    changed = made_anew(plan(whole, SETTINGS, {}), plan(edited(whole, 3, **{field: 3}), SETTINGS, {}))
    assert changed["tokens"] == 4  # the second scene


def test_a_photograph_counts_by_its_bytes_and_only_where_it_is_seen():
    whole = story()
    known = whole.model_copy(update={"cast": (whole.cast[0], Named(name="Ben", pictures=("ben.jpg",)))})
    before, after = (plan(known, SETTINGS, {"ben.jpg": key}) for key in ("aa", "bb"))
    assert made_anew(before, after) == {"pages": 1}  # which shows the cast
    seen = edited(known, 3, characters=("Ben",))
    before, after = (plan(seen, SETTINGS, {"ben.jpg": key}) for key in ("aa", "bb"))
    assert made_anew(before, after)["keyframes"] == 3
    assert before.shots[2].keyframes[0].references == (0,)


def test_a_person_and_a_place_of_one_name_are_both_seen_in_their_pictures():
    whole = story(lines=1, scenes=1)
    scene = whole.scenes[0].model_copy(update={"place": "Anna"})
    cast, places = (Named(name="Anna", pictures=("anna.jpg",)),), (Named(name="Anna", pictures=("hut.jpg",)),)
    named = whole.model_copy(update={"cast": cast, "places": places, "scenes": (scene,)})
    (shot,) = plan(named, SETTINGS, {"anna.jpg": "aa", "hut.jpg": "bb"}).shots
    assert len(shot.keyframes[0].references) == 2


def test_only_some_shots_need_only_their_own_pieces_and_the_tokens_before_them():
    whole = plan(story(lines=12, scenes=2), SETTINGS, {})
    some = missing(whole.only({2}).pieces(), set())
    assert Counter(piece.stage for piece in some) == {
        "scripts": 1, "tokens": 4, "keyframes": 2, "enlarged": 2, "clips": 2, "movies": 1, "pages": 1
    }  # fmt: skip


def test_a_preview_has_no_pictures_at_the_movies_size():
    planned = plan(story(), SETTINGS.preview(), {})
    assert planned.settings.movie.upscaler == UnchangedConfig()
    assert "enlarged" not in {piece.stage for piece in planned.pieces()}


@pytest.mark.parametrize(
    ("shot", "wanted"),
    [
        (Shot(plots=("a", "b")), [("a", 4), ("b", 4)]),
        (Shot(), [("", 4)]),
        (Shot(plots=("a", "b"), lines=(Line(text="Who?"),)), [("a", 4), ("b", 4)]),
        (Shot(plots=("a",), lines=(Line(text="A line that takes longer than a second to say."),)), [("a", 17)]),
        (Shot(plots=("a",), seconds=1, lines=(Line(text="A line that is too long."),)), [("a", 4)]),
        (Shot(plots=("a",), seconds=2.6), [("a", 3), ("a", 4), ("a", 3)]),
        (Shot(plots=("a", "b"), seconds=5), [("a", 4), ("a", 4), ("a", 4), ("b", 4), ("b", 4)]),
        (Shot(plots=("a", "b", "c"), seconds=0.1), [("a", 1), ("b", 1), ("c", 1)]),
    ],
)
def test_a_shot_lasts_as_long_as_it_says(shot, wanted):
    assert beats(shot, SETTINGS.movie, SETTINGS.sound) == wanted
