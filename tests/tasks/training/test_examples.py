"""Keyframes by number, read window by window, for a training run that goes through a snapshot."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import write_deltalake

from models.training import POOL, rows_of_step
from storage.decoding.pictures import decode
from storage.errors import StorageError
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks import dataset
from tasks.training.examples import Examples
from tasks.training.views import keyframe_ids
from tests.tasks.small_story import FILM, OTHER, small_story, webp, write_story


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Two films, of which the first two thirds are learnt from."""
    storage = Storage(str(tmp_path_factory.mktemp("story")))
    works = [write_story(storage, film_id, "film.mp4", has_audio=False) for film_id in (FILM, OTHER)]
    work = {name: works[0][name] | works[1][name] for name in works[0]}
    films = tuple(SnapshotFilm(film_id=each, title="story", train=(0, 7), test=(8, 11)) for each in (FILM, OTHER))
    return storage, Snapshot.of(films, work, {})


def examples(story, part="train"):
    storage, snapshot = story
    return Examples(storage, snapshot.work, keyframe_ids(*story, part))


def test_each_number_is_a_keyframe_of_the_part_with_its_own_picture_and_features(story, monkeypatch):
    monkeypatch.setattr(Examples, "window", 3)  # the last of the first film's windows reaches into the second film
    found = examples(story)
    names = [f"{OTHER}-000001", f"{FILM}-000002", f"{OTHER}-000007", f"{FILM}-000007", f"{OTHER}-000000"]
    assert len(found) == 16
    for row, name in zip([9, 2, 15, 7, 8], names, strict=True):
        assert found.row_ids[row] == name == found.features(row)["row_id"]
        assert np.array_equal(found.read(row), decode(webp(int(name[-6:]))))
    assert examples(story, "test").row_ids[3:5] == (f"{FILM}-000011", f"{OTHER}-000008")


def test_threads_get_what_they_ask_for(story, monkeypatch):
    monkeypatch.setattr(Examples, "window", 2)
    found = examples(story)
    rows = [row for _ in range(20) for row in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert [each["row_id"] for each in pool.map(found.features, rows)] == [found.row_ids[row] for row in rows]


def test_a_window_is_read_once_while_its_rows_are_dealt(story, monkeypatch):
    monkeypatch.setattr(Examples, "window", 4)
    reads = []
    between = FilmRows.between
    monkeypatch.setattr(FilmRows, "between", lambda *told: reads.append(told[2]) or between(*told))
    found = examples(story)
    for step in range(8):
        for row in rows_of_step(len(found), 2, 0, step, 0, 1, found.window).tolist():
            found.features(row)
    assert len(reads) == len(set(reads)) == 4


def test_a_keyframe_that_is_not_there_is_named(story):
    with pytest.raises(StorageError, match=f"no features of keyframe '{FILM}-000777'"):
        Examples(story[0], story[1].work, [f"{FILM}-000001", f"{FILM}-000777"]).features(1)


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


def features_of(storage, snapshot, part):
    return Examples(storage, snapshot.work, keyframe_ids(storage, snapshot, part)).features(0)


@pytest.mark.parametrize("read", [features_of, dataset.load])
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
        Examples(Storage(str(tmp_path)), {}, [])
