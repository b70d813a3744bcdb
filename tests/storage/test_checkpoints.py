"""Checkpoints, snapshots and published movies: what is written last makes the rest count."""

import pytest
from pydantic import ValidationError

from storage import checkpoints, publish, snapshot
from storage.errors import StorageError
from storage.snapshot import Snapshot, SnapshotFilm

FILES = {"model.safetensors": b"weights", "deep/config.json": b"{}"}


def test_the_latest_checkpoint_comes_back(storage):
    assert checkpoints.latest(storage, "autoencoder", "f") is None
    for step in (100, 200):
        checkpoints.save(storage, "autoencoder", "f", step, FILES | {"step": str(step).encode()})
    latest = checkpoints.latest(storage, "autoencoder", "f")
    assert (latest.step, latest.rel) == (200, "checkpoints/autoencoder/f/000200")
    with checkpoints.opened(storage, latest) as folder:
        assert (folder / "step").read_bytes() == b"200"
        assert (folder / "deep" / "config.json").read_bytes() == b"{}"
    assert checkpoints.latest(storage, "autoencoder", "other") is None


def test_a_folder_goes_in_as_well(storage, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_bytes(b"{}")
    saved = checkpoints.save(storage, "decoder", "f", 7, tmp_path / "model")
    assert storage.list(saved.rel) == ["config.json", "done.json"]


def test_only_the_newest_stay(storage):
    for step in (1, 2, 3, 4):
        checkpoints.save(storage, "m", "f", step, FILES)
    assert storage.list("checkpoints/m/f") == ["000003", "000004"]
    checkpoints.save(storage, "m", "f", 5, FILES, keep=1)
    assert storage.list("checkpoints/m/f") == ["000005"]
    with pytest.raises(ValueError, match="keep=0"):
        checkpoints.save(storage, "m", "f", 6, FILES, keep=0)


def test_the_best_stays_beside_the_newest(storage):
    assert checkpoints.best(storage, "m", "f") is None
    for step, loss in ((1, 0.5), (2, 0.2), (3, None), (4, 0.3), (5, None)):
        checkpoints.save(storage, "m", "f", step, FILES, keep=1, loss=loss)
    assert checkpoints.best(storage, "m", "f").step == 2
    assert storage.list("checkpoints/m/f") == ["000002", "000005"]


def test_one_that_was_killed_while_it_was_written_does_not_count(storage):
    checkpoints.save(storage, "m", "f", 1, FILES)
    storage.write_bytes("checkpoints/m/f/000002/model.safetensors", b"weights")  # killed here
    assert checkpoints.latest(storage, "m", "f").step == 1
    assert [each.step for each in checkpoints.entries(storage)] == [1]
    checkpoints.save(storage, "m", "f", 3, FILES)
    assert storage.list("checkpoints/m/f") == ["000001", "000003"]


def test_one_that_was_killed_while_it_was_replaced_holds_nothing_of_the_old(storage, tmp_path):
    checkpoints.save(storage, "m", "f", 1, FILES)
    storage.delete("checkpoints/m/f/000001/done.json")  # what comes first when one is replaced or dropped
    assert checkpoints.latest(storage, "m", "f") is None
    checkpoints.save(storage, "m", "f", 1, {"a": b"new"})
    assert storage.list("checkpoints/m/f/000001") == ["a", "done.json"]


def test_the_final_export(storage):
    assert checkpoints.finished(storage, "m", "f") is None
    storage.write_bytes("checkpoints/m/f/final/model.safetensors", b"half")
    assert checkpoints.finished(storage, "m", "f") is None
    saved = checkpoints.save_final(storage, "m", "f", 300, FILES)
    assert checkpoints.finished(storage, "m", "f") == saved.rel == "checkpoints/m/f/final"
    checkpoints.save(storage, "m", "f", 300, FILES)
    assert [(each.step, each.final) for each in checkpoints.entries(storage)] == [(300, False), (300, True)]


def test_a_damaged_checkpoint_is_not_handed_out(storage):
    saved = checkpoints.save(storage, "m", "f", 1, FILES)
    storage.write_bytes(f"{saved.rel}/model.safetensors", b"wei")
    with (
        pytest.raises(StorageError, match=r"model.safetensors.*3 bytes, saved with 7"),
        checkpoints.opened(storage, saved),
    ):
        pass
    storage.delete(f"{saved.rel}/model.safetensors")
    with pytest.raises(StorageError, match=r"it is missing"), checkpoints.opened(storage, saved):
        pass


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden"])
def test_names_are_folder_names(storage, name):
    with pytest.raises(ValueError, match="no name for a folder"):
        checkpoints.save(storage, name, "f", 1, FILES)


def test_a_checkpoint_holds_something(storage):
    with pytest.raises(ValueError, match="without files"):
        checkpoints.save(storage, "m", "f", 1, {})


def film(film_id: str = "a" * 16, title: str = "A") -> SnapshotFilm:
    return SnapshotFilm(film_id=film_id, title=title, train=(0, 44), test=(45, 89))


def test_a_snapshot_is_named_by_its_data_and_not_by_titles_or_versions():
    work = {"keyframes": {"a" * 16: "f"}}
    one = Snapshot.of((film(),), work, {"keyframes": 3})
    assert one.id == Snapshot.of((film(title="B"),), work, {"keyframes": 9}).id
    assert one.id != Snapshot.of((film("b" * 16),), work, {"keyframes": 3}).id
    assert one.id != Snapshot.of((film(),), {"keyframes": {"a" * 16: "g"}}, {"keyframes": 3}).id


def test_a_snapshot_comes_back_and_never_changes(storage):
    made = Snapshot.of((film(),), {}, {"keyframes": 3})
    assert snapshot.ids(storage) == []
    snapshot.save(storage, made)
    snapshot.save(storage, made.model_copy(update={"versions": {"keyframes": 4}}))
    assert snapshot.ids(storage) == [made.id]
    assert snapshot.load(storage, made.id) == made
    with pytest.raises(StorageError, match=f"'nonesuch'.*{made.id}"):
        snapshot.load(storage, "nonesuch")
    text = storage.read_bytes(f"snapshots/{made.id}.json").replace(b"44", b"50")
    storage.write_bytes(f"snapshots/{made.id}.json", text)
    with pytest.raises(StorageError, match="changed by hand"):
        snapshot.load(storage, made.id)
    with pytest.raises(ValidationError, match="changed by hand"):
        Snapshot(id="x", films=(), work={}, versions={})


def test_the_newest_movie_is_copied_to_the_root(storage):
    for name in publish.PUBLISHED[:2]:
        storage.write_bytes(f"movies/m1/{name}", b"1")
    with pytest.raises(StorageError, match=r"m1'.*lacks metrics.json"):
        publish.publish(storage, "m1")
    assert storage.list("") == ["movies"]
    storage.write_bytes("movies/m1/metrics.json", b"1")
    assert publish.publish(storage, "m1") == [storage.url(name) for name in publish.PUBLISHED]
    assert storage.list("") == ["metrics.json", "movie.mp4", "movies", "storyboard.html"]


def test_the_movies_of_further_films_are_published_and_leave_with_their_set(storage):
    for movie, names in (("m1", ("movie-2.mp4", "movie-3.mp4")), ("m2", ("movie-2.mp4",))):
        for name in (*names, *publish.PUBLISHED):
            storage.write_bytes(f"movies/{movie}/{name}", movie.encode())
    publish.publish(storage, "m1")
    assert storage.exists("movie-3.mp4")
    publish.publish(storage, "m2")
    assert storage.read_bytes("movie-2.mp4") == b"m2"
    assert not storage.exists("movie-3.mp4")
