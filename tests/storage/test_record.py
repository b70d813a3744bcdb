"""A storage knows what runs made in it: nothing else is overwritten or removed, whatever is done and killed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.commands.cleaning import clean
from storage import layout
from storage.checkpoints import save
from storage.claim import claim
from storage.errors import ConfigError, StorageError
from storage.layout import RECORD
from storage.record import Stamp
from storage.root import Storage
from storage.tables.delta import create_table
from tests.storage.placed import put

ID = "0123456789abcdef"
RUN = f"checkpoints/first_stage/{ID}"
EXAMPLES = (
    "tables/films",
    f"snapshots/{ID}.json",
    f"cards/{ID}/data_card.html",
    f"exports/{ID}/train-000000.tar",
    f"images/{ID}.parquet",
    f"{RUN}/final/unet/config.json",
    f"{RUN}/samples/000010.webp",
    f"{RUN}/tensorboard/events.out.tfevents.1.host.2.0",
    f"{RUN}/not_finite/000010-0.safetensors",
    f"{RUN}/ray/.validate_storage_marker",
    f"{RUN}/progress.json",
    "films/drawn-7-96s-896x512.truth.json",
    f"evaluations/{ID}/metrics.json",
    f"evaluations/vectors/{ID}.safetensors",
    f"movies/{ID}/movie-2.mp4",
    f"movies/{ID}/Anna and the door.about.json",
    f"pieces/tokens/{ID}.safetensors",
    f"pieces/keyframes/{ID}.json",
    f"pieces/enlarged/{ID}.webp",
    f"pieces/clips/{ID}.mp4",
    f"pieces/speech/{ID}.wav",
    "stories/report.json",
    f"stories/takes/{ID}.json",
    "movie-7.mp4",
)
"""One for each of layout.PLACES."""

WRITERS: dict[str, Callable[[Storage, str, Path], None]] = {
    "write_bytes": lambda storage, rel, _: storage.write_bytes(rel, b"ours"),
    "upload": lambda storage, rel, file: storage.upload(file, rel),
}


def test_the_layout_has_an_example_of_each_place_here() -> None:
    assert len(EXAMPLES) == len(layout.PLACES)
    for example, place in zip(EXAMPLES, layout.PLACES, strict=True):
        assert layout._fits(place, example)
        for folder in Path(example).parents:
            assert layout.is_place(str(folder)) == (str(folder) != ".")
            assert layout.leads_on(str(folder) if str(folder) != "." else "")


@pytest.mark.parametrize(
    "rel", ["notes.txt", "films/holiday.mp4", "films/drawn-mine.mp4", "movies/favourites/one.mp4", "tables/kitchen"]
)
def test_other_names_are_no_places(rel: str) -> None:
    assert not layout.is_place(rel)


@pytest.mark.parametrize("rel", EXAMPLES)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_stranger_s_file_is_named_and_neither_overwritten_nor_removed(
    storage: Storage, rel: str, writer: str, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_bytes(b"ours")
    stranger = put(Path(storage.uri) / rel)
    before = stranger.stat()
    with pytest.raises(StorageError, match=r"is in the way: no run made it") as caught:
        WRITERS[writer](storage, rel, own)
    assert repr(storage.url(rel)) in str(caught.value)
    storage.delete(rel)
    if "/" in rel:
        storage.delete(rel.split("/")[0])
    assert stranger.read_bytes() == b"a stranger's"
    assert stranger.stat().st_mtime_ns == before.st_mtime_ns
    stranger.unlink()
    WRITERS[writer](storage, rel, own)
    WRITERS[writer](storage, rel, own)
    storage.delete(rel)
    assert not storage.exists(rel)


def test_a_file_that_was_changed_since_is_no_run_s_any_more(storage: Storage) -> None:
    storage.write_bytes("movie.mp4", b"ours")
    put(Path(storage.uri) / "movie.mp4", b"cut!")
    with pytest.raises(StorageError, match="in the way"):
        storage.write_bytes("movie.mp4", b"another")
    storage.delete("movie.mp4")
    assert storage.read_bytes("movie.mp4") == b"cut!"


def test_a_copy_of_a_storage_is_known_by_its_bytes(storage: Storage) -> None:
    storage.write_bytes("movie.mp4", b"ours")
    os.utime(Path(storage.uri) / "movie.mp4", (1, 1))
    assert storage.record.made("movie.mp4")
    storage.write_bytes("movie.mp4", b"new")
    assert storage.read_bytes("movie.mp4") == b"new"


def test_a_change_that_keeps_size_and_time_is_seen(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write_bytes("movie.mp4", b"ours")
    movie = Path(storage.uri) / "movie.mp4"
    made = movie.stat()
    movie.write_bytes(b"cut!")
    os.utime(movie, ns=(made.st_atime_ns, made.st_mtime_ns))
    monkeypatch.setattr("storage.record._SETTLED_NS", 0)  # as later than a second after it was made
    assert not storage.record.made("movie.mp4")


def test_what_a_link_leads_to_in_another_storage_is_that_one_s(storage: Storage, tmp_path: Path) -> None:
    storage.write_bytes("movies/x.mp4", b"ours")
    create_table(storage, "films")
    copy = Storage(str(tmp_path / "copy"))
    shutil.copytree(Path(storage.uri) / RECORD, Path(copy.uri) / RECORD)
    for name in ("movies", "tables"):
        (Path(copy.uri) / name).symlink_to(Path(storage.uri) / name)
    with pytest.raises(StorageError, match="in the way"):
        copy.write_bytes("movies/x.mp4", b"another")
    with pytest.raises(ConfigError, match="tables/films"):
        claim(copy)
    assert not copy.record.remove("movies/x.mp4")
    assert storage.record.made("movies/x.mp4")


def test_a_link_that_a_user_put_there_stays(storage: Storage, tmp_path: Path) -> None:
    storage.write_bytes("films/x", b"")
    place = Path(storage.uri) / "movie.mp4"
    place.symlink_to(tmp_path / "nowhere.mp4")
    with pytest.raises(StorageError, match="in the way"):
        storage.write_bytes("movie.mp4", b"ours")
    storage.delete("movie.mp4")
    assert place.is_symlink()


@pytest.mark.parametrize("before", [False, True])
def test_a_run_that_is_killed_between_record_and_file_leaves_both_its_own_and_others_files_known(
    storage: Storage, before: bool
) -> None:
    if before:
        storage.write_bytes("movie.mp4", b"first")
    storage.record.enter("movie.mp4", Stamp.of_bytes(b"second"))  # killed here
    assert storage.record.made("movie.mp4") == before
    if not before:
        put(Path(storage.uri) / "movie.mp4", b"theirs")
        with pytest.raises(StorageError, match="in the way"):
            storage.write_bytes("movie.mp4", b"third")
        return
    storage.write_bytes("movie.mp4", b"third")
    assert storage.read_bytes("movie.mp4") == b"third"


def test_dropping_a_checkpoint_leaves_what_a_user_put_beside_it(storage: Storage) -> None:
    save(storage, "decoder", ID, 1, {"state.pt": b"1"}, keep=1)
    mine = put(Path(storage.uri) / f"checkpoints/decoder/{ID}/000001/mymodel.pt")
    save(storage, "decoder", ID, 2, {"state.pt": b"2"}, keep=1)
    assert mine.read_bytes() == b"a stranger's"
    assert storage.walk(f"checkpoints/decoder/{ID}/000001") == ["mymodel.pt"]


def test_something_else_in_the_record_s_place_is_left_alone(storage: Storage) -> None:
    put(Path(storage.uri) / ".moviedreamer/storage.json")
    with pytest.raises(StorageError, match="not the record of a storage"):
        storage.write_bytes("movie.mp4", b"ours")
    with pytest.raises(StorageError, match="not the record of a storage"):
        clean(storage)
    assert storage.read_bytes(".moviedreamer/storage.json") == b"a stranger's"


@pytest.mark.parametrize("size", [10, 2 << 20])
def test_a_bucket_has_a_record_too(size: int, s3: str, tmp_path: Path) -> None:
    storage = Storage(f"s3://bucket/{tmp_path.name}?endpoint_override={s3}&scheme=http&region=us-east-1")
    own = tmp_path / "own"
    own.write_bytes(bytes(size))
    storage.write_plain(f"movies/{ID}/movie.mp4", b"a stranger's")
    storage.write_plain("movie-7.mp4", b"a stranger's")
    with pytest.raises(ConfigError, match="neither empty"):
        claim(storage)
    with pytest.raises(ConfigError, match=f"movies/{ID}/movie.mp4"):
        claim(storage, into=True)
    storage.delete_file(f"movies/{ID}/movie.mp4")
    claim(storage, into=True)
    for _ in range(2):
        storage.upload(own, f"movies/{ID}/movie.mp4")
        storage.write_bytes("metrics.json", b"ours")
        with pytest.raises(StorageError, match="in the way"):
            storage.upload(own, "movie-7.mp4")
    storage.delete("movies")
    storage.delete("movie-7.mp4")
    assert storage.list("") == ["metrics.json", "movie-7.mp4"]
    storage.write_plain("metrics.json", b"cut!")
    assert not storage.record.made("metrics.json")
