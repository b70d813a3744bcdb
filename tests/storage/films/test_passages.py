"""What two films share is found, wherever it stands in them and mirrored or not; signets and look-alikes are not."""

import numpy as np
import pytest

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.look import MIRROR
from storage.films import passages as module
from storage.films.passages import COMMON, LEAST, LONG, Looks, Passage, passages
from tests.storage.blobs import write

DRAW = np.random.default_rng(0)


def looks(seconds=200):
    """Shots of three seconds each, whose keyframes differ by a few bits."""
    shots = np.repeat(DRAW.integers(1, 2**63, seconds // 3 + 1), 3)[:seconds]
    return shots ^ noise(seconds)


def noise(seconds, bits=2):
    return np.bitwise_or.reduce(1 << DRAW.integers(0, 63, (seconds, bits)), axis=1)


def film(*parts, first=0):
    whole = np.concatenate(parts)
    return Looks(np.arange(first, first + len(whole)), whole)


def shared(**films):
    return passages(films)


def test_a_copy_without_its_beginning_is_found_whole():
    whole = looks()
    copy = film(whole[30:] ^ noise(170), first=4)
    assert shared(a=film(whole), b=film(looks()), c=copy) == [Passage("a", "c", 30, 199, -26, False)]


def test_a_mirrored_clip_inside_another_film_is_found_with_its_place():
    whole = looks()
    other = film(looks(50), whole[60:111] ^ MIRROR ^ noise(51), looks(70))
    assert shared(a=film(whole), b=other) == [Passage("a", "b", 60, 110, -10, True)]
    assert shared(b=other, a=film(whole)) == [Passage("b", "a", 50, 100, 10, True)]


def test_two_passages_of_two_films_are_told_both():
    one, two = looks(60), looks(40)
    found = shared(a=film(one, looks(90), two), b=film(two, looks(90), one))
    assert found == [Passage("a", "b", 0, 59, 130, False), Passage("a", "b", 150, 189, -150, False)]


def test_the_order_of_films_changes_nothing_but_who_is_named_first():
    whole = looks()
    films = {"a": film(whole), "b": film(whole[40:120] ^ noise(80)), "c": film(whole[100:] ^ noise(100))}
    found = passages(films)
    assert [(one.one, one.other, one.offset) for one in found] == [("a", "b", -40), ("a", "c", -100)]
    turned = passages(dict(reversed(films.items())))
    assert [(one.one, one.other, one.offset) for one in turned] == [("c", "a", 100), ("b", "a", 40)]


def test_keyframes_that_fall_between_the_originals_are_enough_where_every_third_is_alike():
    whole = looks()
    copy = np.where(np.arange(150) % 3, looks(150), whole[20:170] ^ noise(150))
    copy[::6] = np.roll(copy, 1)[::6]  # a second later
    (one,) = shared(a=film(whole), b=film(copy))
    assert abs(one.offset + 20) <= 1
    assert one.last - one.first > 130


@pytest.mark.parametrize("seconds", [12, LEAST - 1])
def test_a_signet_is_no_passage_of_long_films(seconds):
    signet = looks(seconds)
    assert shared(a=film(signet, looks()), b=film(looks(40), signet, looks())) == []
    assert shared(a=film(signet, looks(seconds)), b=film(signet, looks())) != []  # but half of a short one


def test_a_picture_that_stands_still_in_two_films_is_no_passage():
    still = np.full(90, DRAW.integers(1, 2**63))
    assert shared(a=film(looks(60), still ^ noise(90)), b=film(still ^ noise(90), looks(60))) == []


def test_what_many_films_have_is_no_passage():
    titles = looks(40)

    def collection(count):
        return {f"{number}": film(titles ^ noise(len(titles), 1), looks(100)) for number in range(count)}

    assert passages(collection(COMMON + 2)) == []
    assert len(passages(collection(4))) == 6
    titles = looks(LONG + 1)
    assert len(passages(collection(COMMON + 2))) == (COMMON + 2) * (COMMON + 1) / 2  # copies of one film


def test_keyframes_may_be_many_seconds_apart():
    whole, part = looks(60), looks(60)
    every = np.arange(60) * 15
    copy = np.concatenate([part[:10], whole[20:]])
    films = {"a": Looks(every, whole), "b": Looks(every[: len(copy)], copy)}
    (found,) = passages(films)
    assert found.offset == -150
    assert (found.first - 300, found.last) in ((0, 885), (-15, 885))  # the keyframe before is of the same shot


def test_other_films_share_nothing():
    assert passages({f"{number}": film(looks(300)) for number in range(40)}) == []
    assert passages({}) == []
    assert shared(a=film(looks())) == []


def test_candidates_are_those_that_comparing_all_pairs_would_find(monkeypatch):
    """Keyframes that the index skips lose no passage of these films."""
    films = {f"{number}": film(looks(120)) for number in range(12)}
    films["6"] = film(looks(30), films["3"].looks[21:90] ^ noise(69, 4), looks(20))
    found = passages(films)
    pairs = [(one, other) for one in range(12) for other in range(one + 1, 12)]
    everything = [
        (*pair, mirrored, offset) for pair in pairs for mirrored in (False, True) for offset in range(-120, 121)
    ]
    monkeypatch.setattr(module, "_candidates", lambda *_: everything)
    assert found == passages(films) == [Passage("3", "6", 21, 89, 9, False)]


@pytest.mark.parametrize(("changed", "mirrored"), [({"cut": 22}, False), ({"cut": 20, "mirror": True}, True)])
def test_pictures_of_a_copy_that_was_cut_are_enough(tmp_path, changed, mirrored):
    paths = [write(tmp_path / "a.mp4", 0), write(tmp_path / "b.mp4", 0, size=(256, 144), **changed)]
    paths.append(write(tmp_path / "c.mp4", 1))
    films = {}
    for path in paths:
        with decode_film(path, KeyframesConfig(width=224, height=128)) as decoded:
            rows = decoded.numbers
            films[path.stem] = Looks(rows["second"].to_numpy().astype(np.int64), rows["look"].to_numpy())
    (found,) = passages(films)
    assert (found.one, found.other, found.mirrored) == ("a", "b", mirrored)
    assert found.last - found.first >= 4
