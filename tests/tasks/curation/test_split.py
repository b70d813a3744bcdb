"""Half of each film or whole movies: who is held out, and that nothing is on both sides."""

import re

import pytest

from storage.errors import ConfigError
from storage.films.passages import Passage
from storage.snapshot import Snapshot, SnapshotFilm
from tasks.curation.split import FilmRow, FilmsConfig, HalvesConfig, LeakError, audit, far_off, split


def films(count, movies=0):
    """The i-th film is a part of the movie i % movies."""
    return [
        FilmRow(
            film_id=f"{number:016x}",
            title=f"film {number}",
            movie=f"tt{number % movies:07d}" if movies else "",
            seconds=tuple(range(4, 14)),
            looks=10,
        )
        for number in range(count)
    ]


def snapshot_of(config, rows):
    return Snapshot.of(split(config, rows), {"keyframes": {row.film_id: "f00d" for row in rows}}, {})


def held_out(config, rows):
    return {film.film_id for film in split(config, rows) if film.test and not film.train}


def test_halves_are_as_ever():
    (film,) = split(HalvesConfig(), films(1))
    assert (film.train, film.test) == ((4, 8), (9, 13))
    assert not snapshot_of(HalvesConfig(), films(3)).by_films


def test_a_number_of_movies_is_held_out_with_all_their_files():
    rows = films(40, movies=20)
    chosen = snapshot_of(FilmsConfig(test=5), rows)
    assert chosen.by_films
    test = chosen.of_part("test")
    assert len(test) == 10
    assert len({film.movie for film in test}) == 5
    assert not {film.movie for film in test} & {film.movie for film in chosen.of_part("train")}
    assert all((film.train is None) != (film.test is None) for film in chosen.films)
    assert all(film.train in (None, (4, 13)) and film.test in (None, (4, 13)) for film in chosen.films)
    result = audit(chosen, rows)
    assert result.movies == {"train": 15, "test": 5}
    assert result.films == {"train": 30, "test": 10}


def test_the_draw_depends_on_the_seed_and_not_on_order_or_company():
    config, rows = FilmsConfig(test=0.2), films(200)
    chosen = held_out(config, rows)
    assert 20 <= len(chosen) <= 60
    assert held_out(config, rows[::-1]) == chosen
    assert held_out(config, rows[:120]) == {row.film_id for row in rows[:120]} & chosen
    assert held_out(FilmsConfig(test=0.2, seed=1), rows) != chosen


@pytest.mark.parametrize("test", [1e-9, 1 - 1e-9])
def test_each_side_has_a_movie_whatever_the_share(test):
    assert 0 < len(held_out(FilmsConfig(test=test), films(3))) < 3


def share(test, count):
    """What is said of that many held-out movies, of `count`, under a share of 0.2."""
    rows = films(count)
    made = [whole(row, number < test) for number, row in enumerate(rows)]
    return far_off(FilmsConfig(test=0.2), Snapshot.of(tuple(made), {}, {}), rows)


@pytest.mark.parametrize(("test", "count"), [(1, 4), (1, 5), (1, 7), (5, 20), (170, 1000), (250, 1000)])
def test_a_share_that_is_about_met_is_nothing_to_tell(test, count):
    assert share(test, count) == ""


@pytest.mark.parametrize(("test", "count", "cure"), [(3, 4, "1"), (2, 5, "1"), (9, 20, "4"), (100, 1000, "200")])
def test_a_share_that_is_missed_is_told_with_both_and_a_cure(test, count, cure):
    said = share(test, count)
    assert f"snapshot.test=0.2 holds out {test} of {count} movies, a share of {test / count:.2f}" in said
    assert f"snapshot.test={cure} holds out {cure}" in said


def test_where_no_number_is_nearer_more_films_are_the_cure():
    said = far_off(FilmsConfig(test=1e-9), snapshot_of(FilmsConfig(test=1e-9), films(3)), films(3))
    assert "a share of 0.33: the draw left one side empty, so one movie was moved there" in said
    assert "no number is nearer; with more films the share comes closer" in said


def test_films_that_share_a_passage_are_counted_as_the_one_movie_that_is_drawn():
    rows = films(12)
    shared = [passage(rows[0], rows[number]) for number in range(1, 8)]
    for seed in range(12):
        config = FilmsConfig(test=0.2, seed=seed)
        made = Snapshot.of(split(config, rows, shared), {}, {})
        if said := far_off(config, made, rows, shared):
            assert " of 5 movies" in said
            number = re.search(r"snapshot\.test=(\d) holds out", said)
            assert number
            better = Snapshot.of(split(FilmsConfig(test=int(number[1])), rows, shared), {}, {})
            assert far_off(config, better, rows, shared) == ""


def test_a_number_and_halves_are_met_always():
    rows = films(4)
    assert far_off(FilmsConfig(test=3), snapshot_of(FilmsConfig(test=3), rows), rows) == ""
    assert far_off(HalvesConfig(), snapshot_of(HalvesConfig(), rows), rows) == ""


def test_too_few_movies_are_named_with_a_cure():
    with pytest.raises(ConfigError, match=r"snapshot\.test=100 needs 101 movies.* there are 3: give more films, or"):
        split(FilmsConfig(test=100), films(9, movies=3))
    with pytest.raises(ConfigError, match=r"there is 1"):
        split(FilmsConfig(), films(9, movies=1))
    with pytest.raises(ValueError, match=r"test=2\.5: a share below 1, or a whole number"):
        FilmsConfig(test=2.5)


def passage(one, other, offset=0, mirrored=False):
    return Passage(one.film_id, other.film_id, 6, 11, offset, mirrored)


def test_films_that_share_a_passage_stay_together_and_are_counted():
    rows = films(30, movies=15)
    shared = [passage(rows[3], rows[9]), passage(rows[9], rows[20], 40)]
    for seed in range(12):
        config = FilmsConfig(test=0.5, seed=seed)
        parts = split(config, rows, shared)
        sides = {film.film_id: film.test is None for film in parts}
        assert len({sides[rows[place].film_id] for place in (3, 9, 20, 18, 24, 5)}) == 1  # and the rest of their movies
        assert audit(Snapshot.of(parts, {}, {}), rows, shared).shared == 2


def test_the_audit_names_both_films_of_a_passage_on_both_sides():
    rows = films(2)
    parts = (whole(rows[0], False), whole(rows[1], True))
    leaking(
        parts,
        rows,
        r"'film 1' shows from 9 s to 14 s mirrored what 'film 0' shows from 6 s to 11 s, on the other side; split by "
        r"snapshot\.kind=films, which keeps such films on one side, or leave one out: .* by not giving it",
        [passage(rows[0], rows[1], 3, mirrored=True)],
    )


def test_a_passage_of_two_halved_films_leaks_where_one_learns_what_the_other_holds_out():
    rows = films(2)
    parts = split(HalvesConfig(), rows)
    assert audit(Snapshot.of(parts, {}, {}), rows, [passage(rows[0], rows[1])]).shared == 1  # second by second alike
    assert audit(Snapshot.of(parts, {}, {}), rows, [passage(rows[0], rows[1], 40)]).shared == 1  # outside of its spans
    leaking(parts, rows, "'film 1' shows from 5 s to 10 s what 'film 0' shows", [passage(rows[0], rows[1], -1)])


def whole(row, test, movie=""):
    span = row.seconds[0], row.seconds[-1]
    return SnapshotFilm(
        film_id=row.film_id, title=row.title, movie=movie, train=None if test else span, test=span if test else None
    )


def leaking(made, rows, match, shared=()):
    snapshot = Snapshot.of(tuple(made), {"keyframes": {row.film_id: "f00d" for row in rows}}, {})
    with pytest.raises(LeakError, match=match):
        audit(snapshot, rows, shared)


def test_the_audit_names_a_movie_on_both_sides():
    rows = films(2)
    leaking([whole(rows[0], False, "tt1"), whole(rows[1], True, "tt1")], rows, r"movie 'tt1' .*'film 0' .*'film 1'")


def test_the_audit_names_seconds_and_films_that_are_there_twice():
    (row,) = films(1)
    both = SnapshotFilm(film_id=row.film_id, title=row.title, train=(4, 9), test=(9, 13))
    leaking([both], [row], r"'film 0' has the seconds \(4, 9\) to learn from and \(9, 13\) held out")
    leaking([whole(row, False), whole(row, True)], [row], r"film 'film 0' is there twice")


def test_films_whose_pictures_could_not_be_compared_are_counted():
    rows = films(3)
    assert audit(snapshot_of(FilmsConfig(test=1), rows), rows).unseen == 0
    rows[1] = rows[1].model_copy(update={"looks": 0})
    assert audit(snapshot_of(FilmsConfig(test=1), rows), rows).unseen == 1


def test_a_film_of_no_use_is_refused():
    with pytest.raises(ValueError, match="nothing to learn from and nothing held out"):
        SnapshotFilm(film_id="0" * 16, title="x", train=None, test=None)
