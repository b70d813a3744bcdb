"""What pieces took tells how long others will take."""

from dataclasses import replace

import pytest

from storage.root import Storage
from tasks.movies.stories.rates import STARTING, Rates
from tasks.movies.stories.stream import ActorPool, Answer, Piece
from tests.tasks.movies.stories.small import SETTINGS

POOLS = [ActorPool({"tokens": print, "keyframes": print}, size=2), ActorPool({"enlarged": print, "clips": print})]


def measured(**seconds):
    answers = [Answer(STARTING, 10.0)]
    answers += [Answer(Piece(stage, str(number)), each) for stage, each in seconds.items() for number in range(4)]
    return Rates().learnt(answers, SETTINGS)


def pieces(**counts):
    return [Piece(stage, str(number)) for stage, count in counts.items() for number in range(count)]


def test_the_slower_pool_decides_and_starting_comes_before():
    rates = measured(tokens=1.0, keyframes=3.0, clips=2.0)
    assert rates.hours(pieces(tokens=10, keyframes=10, clips=10), SETTINGS, POOLS) == pytest.approx(30 / 3600)
    assert rates.hours(pieces(keyframes=100, clips=10), SETTINGS, POOLS) == pytest.approx(160 / 3600)
    assert rates.hours([], SETTINGS, POOLS) == 0


def test_what_was_never_measured_with_these_settings_has_no_estimate():
    rates = measured(keyframes=3.0)
    assert rates.hours(pieces(clips=1), SETTINGS, POOLS) is None
    more = replace(SETTINGS, render=SETTINGS.render.model_copy(update={"steps": 50}))
    assert rates.hours(pieces(keyframes=1), more, POOLS) is None


def test_rates_are_kept_and_newer_ones_count_more(tmp_path):
    storage = Storage(str(tmp_path))
    rates = measured(clips=1.0)
    rates.save(storage)
    assert Rates.load(storage) == rates
    many = [Answer(Piece("clips", str(number)), 3.0) for number in range(1000)]
    assert rates.learnt(many, SETTINGS).hours(pieces(clips=1), SETTINGS, POOLS) == pytest.approx(13 / 3600, rel=0.01)
    storage.write_bytes("stories/rates.json", b"not ours")
    assert Rates.load(storage) == Rates()
