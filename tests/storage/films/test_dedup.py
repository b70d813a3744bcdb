"""Of films that show the same pictures the best that can be used is kept."""

import pytest

from storage.films.dedup import without_copies
from storage.films.films import FilmSource
from storage.films.provenance import Provenance

LOOKS = ".".join(f"{number * 0x1234567890ABCD % 2**64:016x}" for number in range(1, 9))
OTHER = ".".join(f"{number * 0x7FEDCBA0987653 % 2**64:016x}" for number in range(1, 9))


def film(name, height=720, size=1000, phash=LOOKS):
    return FilmSource(film_id=name, source=f"{name}.mp4", phash=phash, width=height * 16 // 9, height=height, size=size)


def names(films):
    return [one.film_id for one in films]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"height": 1080, "size": 10}, {"height": 240, "size": 9000}),
        ({"size": 2000}, {"size": 1000}),
        ({"height": 240}, {"height": 1080, "phash": f"{LOOKS.rsplit('.', 2)[0]}.x.x"}),
    ],
)
def test_more_pixels_count_most_then_more_bytes_whatever_comes_first(one, other):
    better, worse, else_ = film("better", **one), film("worse", **other), film("else", phash=OTHER)
    for given in ([worse, else_, better], [better, worse, else_]):
        films, rejects = without_copies(given)
        assert films == [one for one in given if one is not worse]
        assert [(reject.reason, reject.film_id) for reject in rejects] == [("near_duplicate", "worse")]
    assert "'worse.mp4'" in rejects[0].detail
    assert "the same pictures as 'better.mp4' (" in rejects[0].detail
    assert "ingest.near_duplicates=false" in rejects[0].detail


def test_the_film_that_stays_inherits_what_its_copies_say_and_disagreements_are_told():
    large = film("large", 1080).model_copy(update={"said": Provenance(title="Large")})
    middle = film("middle", 480).model_copy(update={"said": Provenance(movie="tt1")})
    small = film("small", 240).model_copy(update={"said": Provenance(licence="CC0", movie="tt2", title="Large")})
    for given in ([large, middle, small], [small, middle, large]):
        (kept,), rejects = without_copies(given)
        assert kept == large.model_copy(update={"said": Provenance(title="Large", movie="tt1", licence="CC0")})
        told = {reject.film_id: reject.detail for reject in rejects}
        assert "does not count" not in told["middle"]
        assert "; what is said of it does not count: movie 'tt2' instead of 'tt1'; " in told["small"]


def test_of_equal_copies_the_first_stays():
    films, _ = without_copies([film("b"), film("a"), film("c")])
    assert names(films) == ["b"]


def test_what_the_storage_holds_stays_and_the_better_copy_is_told_how_to_take_its_place():
    films, (reject,) = without_copies([film("large", 1080), film("small", 240)], held={"small"})
    assert names(films) == ["small"]
    assert "which the storage already holds: to keep this one instead, run without 'small.mp4'" in reject.detail
    films, _ = without_copies([film("large", 1080), film("small", 240)], held={"small", "large"})
    assert names(films) == ["large"]


def test_the_next_best_copy_takes_the_place_of_one_that_was_lost():
    copies = [film("small", 240), film("large", 1080), film("middle", 480)]
    films, rejects = without_copies(copies, held={"large"}, lost={"large"})
    assert names(films) == ["middle"]
    assert [reject.film_id for reject in rejects] == ["small"]  # the lost one has its own reject
    films, _ = without_copies(copies, lost={"small", "large", "middle"})
    assert names(films) == ["large"]
