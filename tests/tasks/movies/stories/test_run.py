"""Stories through the pools of Ray: each movie once, and a bad story costs itself only."""

import pytest

from storage.errors import ConfigError
from storage.stories.story import Named
from tasks.movies.stories import places, takes
from tasks.movies.stories import run as runs
from tasks.movies.stories.planner import plan
from tasks.movies.stories.prepare import Planned
from tasks.progress import silent
from tests.tasks.movies.stories import small
from tests.tasks.movies.stories.small import SETTINGS, edited, story
from tests.tasks.movies.stories.test_work import bits, make

STORY = story(lines=4)


def planned(storage, one=STORY, pictures=None, files=None):
    return Planned(one.title, plan(one, SETTINGS, pictures or {}, takes.load(storage, one.title)), files or {})


def make_all(storage, cluster, *stories, hours=None):
    return runs.run(stories, SETTINGS, storage, cluster, silent, hours)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, cluster):
    """Two good stories, and one whose photograph is no picture, by two workers a pool."""
    folder = tmp_path_factory.mktemp("rendered")
    storage = small.storage(folder / "out")
    (folder / "ben.jpg").write_text("no picture")
    bad = story(lines=2, title="Bad", cast=(Named(name="Anna", pictures=("ben.jpg",)),))
    stories = (
        planned(storage),
        planned(storage, bad, {"ben.jpg": "aa"}, {"aa": str(folder / "ben.jpg")}),
        planned(storage, story(lines=2, title="Other")),
    )
    return storage, make_all(storage, cluster.model_copy(update={"workers": 2}), *stories)


def test_a_bad_story_fails_with_its_reason_and_the_others_become_movies(rendered):
    storage, outcomes = rendered
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done"]
    assert "ben.jpg' is not a picture" in outcomes[1].error
    assert outcomes[1].movie == ""
    assert outcomes[0].made == {
        "scripts": 1,
        "tokens": 4,
        "keyframes": 4,
        "enlarged": 4,
        "clips": 4,
        "movies": 1,
        "pages": 1,
    }
    assert storage.exists(places.movie_place(planned(storage).plan))


def test_the_movie_is_the_same_bytes_as_one_made_without_pools(rendered, tmp_path):
    storage, _ = rendered
    alone = small.storage(tmp_path)
    plan_ = planned(alone).plan
    make(alone, plan_, batch=3)
    assert bits(storage, plan_) == bits(alone, plan_)


def test_a_second_run_makes_nothing_and_an_old_take_is_picked_without_making_anything(rendered, cluster):
    storage, _ = rendered
    (again,) = make_all(storage, cluster, planned(storage))
    assert (again.state, again.made) == ("done", {})
    first = planned(storage).plan
    takes.save(storage, STORY.title, takes.redone(first, {2}, 7))
    second = planned(storage)
    told = runs.estimate([second], SETTINGS, storage, cluster)
    assert told.pieces == {"tokens": 2, "keyframes": 2, "enlarged": 2, "clips": 2, "movies": 1, "pages": 1}
    assert told.hours is not None
    assert told.hours > 0
    (looked,) = runs.look([second], storage)
    assert (looked.state, looked.made) == ("planned", told.pieces)
    (made,) = make_all(storage, cluster, second)
    assert (made.state, made.made) == ("done", told.pieces)
    assert takes.listed(second.plan)[1:3] == [(2, 1, 0, False), (2, 2, 7, True)]
    takes.save(storage, STORY.title, takes.picked(second.plan, {2: 1}))
    third = planned(storage)
    assert third.plan.movie == first.movie
    assert runs.estimate([third], SETTINGS, storage, cluster).pieces == {"pages": 1}  # which lists both takes


def test_a_run_that_is_out_of_time_makes_nothing_more_and_says_so(rendered, cluster):
    storage, _ = rendered
    (outcome,) = make_all(storage, cluster, planned(storage, edited(STORY, 1, plots=("Anna waits.",))), hours=-1)
    assert (outcome.state, outcome.made) == ("unfinished", {})


def test_a_shot_or_a_take_that_there_is_not_is_named_with_those_there_are(rendered):
    storage, _ = rendered
    one = planned(storage, story(lines=2, title="Other")).plan
    with pytest.raises(ConfigError, match="'Other' has no shot 5: its shots are 1 to 2"):
        takes.redone(one, {5}, None)
    with pytest.raises(ConfigError, match=r"shot 1 of 'Other' has no take 2: it has 1 to 1; --redo 1 makes another"):
        takes.picked(one, {1: 2})
    assert takes.redone(one, {1}, None)[one.shots[0].id].seeds == (1,)
    assert takes.redone(one, {1}, 0)[one.shots[0].id].chosen == 1
