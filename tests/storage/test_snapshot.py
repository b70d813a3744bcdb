"""Rows of one side of a snapshot."""

import pyarrow as pa

from storage.snapshot import Snapshot, SnapshotFilm

FILMS = (
    SnapshotFilm(film_id="a", title="", train=(0, 2), test=(3, 5)),
    SnapshotFilm(film_id="b", title="", train=None, test=(1, 4)),
    SnapshotFilm(film_id="c", title="", train=(0, 9), test=None),
)


def test_each_keyframe_is_on_the_side_that_its_film_says():
    rows = pa.table({"film_id": list("abc" * 12), "second": pa.array([n // 3 for n in range(36)], pa.int32())})
    snapshot, films = Snapshot.of(FILMS, {}, {}), {film.film_id: film for film in FILMS}
    for part in ("train", "test"):
        wanted = [row for row in rows.to_pylist() if films[row["film_id"]].part(row["second"]) == part]
        assert snapshot.rows_of(part, rows).to_pylist() == wanted


def test_of_no_rows_none_are_left():
    rows = pa.table({"film_id": pa.array([], pa.string()), "second": pa.array([], pa.int32())})
    assert Snapshot.of((), {}, {}).rows_of("train", rows).num_rows == 0
