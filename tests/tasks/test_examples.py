"""Keyframes by number, read window by window, for a training run that goes through a snapshot."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import write_deltalake

from models.training import POOL, rows_of_step
from storage.errors import StorageError
from storage.filmrows import FilmRows
from storage.pictures import decode
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables import Tables
from tasks import dataset, examples
from tasks.examples import Examples
from tests.tasks.small_story import FILM, OTHER, small_story, webp, write_story


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Two films, of which the first two thirds are learnt from."""
    storage = Storage(str(tmp_path_factory.mktemp("story")))
    works = [write_story(storage, film_id, "film.mp4", has_audio=False) for film_id in (FILM, OTHER)]
    work = {name: works[0][name] | works[1][name] for name in works[0]}
    films = tuple(SnapshotFilm(film_id=each, title="story", train=(0, 7), test=(8, 11)) for each in (FILM, OTHER))
    return storage, Snapshot.of(films, work, {})


def test_each_number_is_a_keyframe_of_the_part_with_its_own_picture_and_features(story, monkeypatch):
    monkeypatch.setattr(examples, "WINDOW", 3)  # the last of the first film's windows reaches into the second film
    found = Examples(*story, "train")
    rows = [9, 2, 15, 7, 8]
    names = [f"{OTHER}-000001", f"{FILM}-000002", f"{OTHER}-000007", f"{FILM}-000007", f"{OTHER}-000000"]
    assert len(found) == 16
    assert found.row_ids(rows) == names == [row["row_id"] for row in found.features(rows)]
    expected = [decode(webp(int(name[-6:]))) for name in names]
    assert all(np.array_equal(one, other) for one, other in zip(found.frames(rows), expected, strict=True))
    assert np.array_equal(found.read(2), expected[1])
    held_out = Examples(*story, "test")
    assert held_out.row_ids(range(len(held_out)))[3:5] == [f"{FILM}-000011", f"{OTHER}-000008"]


def test_a_window_is_read_once_while_its_rows_are_dealt(story, monkeypatch):
    monkeypatch.setattr(examples, "WINDOW", 4)
    reads = []
    between = FilmRows.between
    monkeypatch.setattr(FilmRows, "between", lambda *told: reads.append(told[2]) or between(*told))
    found = Examples(*story, "train")
    for step in range(8):
        found.features(rows_of_step(len(found), 2, 0, step, 0, 1, window=4).tolist())
    assert len(reads) == len(set(reads)) == 4


def test_windows_are_dealt_whole_and_each_row_once_an_epoch():
    def dealt(count, steps):
        return torch.cat([rows_of_step(count, 8, 3, step, rank, 2, 16) for step in range(steps) for rank in range(2)])

    rows = dealt(1024, 64)
    assert sorted(rows.tolist()) == list(range(1024))
    for pool in rows.split(POOL * 16):
        windows, counts = (pool // 16).unique(return_counts=True)
        assert counts.tolist() == [16] * POOL
        assert windows.diff().max() > 1  # drawn
        assert ((pool // 16).diff() != 0).float().mean() > 0.7  # and mixed
    assert not torch.equal(dealt(1024, 128)[1024:], rows)
    assert sorted(dealt(1008 - 8, 63)[:1000].tolist()) == list(range(1000))  # the last window is a short one


@pytest.mark.parametrize("read", [Examples, dataset.load])
def test_tables_of_another_version_are_refused_with_their_columns(tmp_path, read):
    storage = Storage(str(tmp_path / "out"))
    snapshot = small_story(storage)
    rows = Tables(storage).read("features", snapshot.work["features"])
    place = rows.schema.get_field_index("second")
    other = rows.drop_columns(["face_width"]).set_column(place, "second", rows["second"].cast(pa.float64()))
    write_deltalake(storage.url("tables/features"), other, mode="overwrite", schema_mode="overwrite")
    with pytest.raises(StorageError, match=r"features' lacks face_width and has second double instead of integer"):
        read(storage, snapshot, "train")


def test_what_was_never_made_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"tables/keyframes' does not exist: make it with build_dataset"):
        Examples(Storage(str(tmp_path)), Snapshot.of((), {}, {}), "train")
