"""A storage root: bytes in, bytes out, whole or not at all."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem

from storage.atomic import beside
from storage.errors import ConfigError, StorageError
from storage.guard import storage_error
from storage.root import Storage


def test_bytes_come_back(storage):
    storage.write_bytes("movies/a/metrics.json", b"{}")
    storage.write_bytes("movies/a/metrics.json", b"{1}")
    assert storage.read_bytes("movies/a/metrics.json") == b"{1}"
    assert storage.size("movies/a/metrics.json") == 3
    assert storage.exists("movies/a")
    assert storage.url("movies/a") == f"{storage.base}/movies/a"


def test_listings_are_sorted_and_empty_where_nothing_is(storage):
    for rel in ("b/2", "b/1", "b/c/3", "a"):
        storage.write_bytes(rel, b"x")
    assert storage.list("") == ["a", "b"]
    assert storage.list("b") == ["1", "2", "c"]
    assert storage.walk("b") == ["1", "2", "c/3"]
    assert storage.list("none") == storage.walk("none") == []
    assert not storage.exists("none")
    assert storage.size("none") == -1


def test_delete_takes_files_folders_and_nothing(storage):
    for rel in ("a/1", "a/b/2", "c"):
        storage.write_bytes(rel, b"x")
    storage.delete("a")
    storage.delete("c")
    storage.delete("never there")
    assert storage.walk("") == []
    with pytest.raises(ValueError, match="whole storage"):
        storage.delete("")


def test_a_write_that_fails_leaves_the_old_bytes_and_no_part(tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def write() -> None:
        with beside(target) as part:
            part.write_bytes(b"half of the ne")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_unfinished_is_not_listed(storage):
    storage.write_bytes("a/whole", b"x")
    (Path(storage.uri) / "a" / ".file.0123.part").write_bytes(b"half")
    (Path(storage.uri) / "a" / ".movie.mp4.part").mkdir()
    (Path(storage.uri) / "a" / ".movie.mp4.part" / "pictures.mp4").write_bytes(b"half")
    assert storage.list("a") == storage.walk("a") == ["whole"]


def test_folders_go_up_and_come_down(storage, tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "one").write_bytes(b"1")
    (source / "deep" / "two").write_bytes(b"2")
    storage.upload(source, "checkpoints/m")
    assert storage.walk("checkpoints/m") == ["deep/two", "one"]
    target = storage.download("checkpoints/m", tmp_path / "target")
    assert (target / "deep" / "two").read_bytes() == b"2"
    assert storage.download("checkpoints/m/one", tmp_path / "alone").read_bytes() == b"1"
    with storage.local("checkpoints/m") as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["deep", "one"]


def test_reading_what_is_not_there_quotes_it(storage, tmp_path):
    with pytest.raises(StorageError, match="none/at/all"):
        storage.read_bytes("none/at/all")
    with pytest.raises(StorageError, match=r"none/at/all.*nothing"):
        storage.download("none/at/all", tmp_path / "x")
    with pytest.raises(StorageError, match=r"none/at/all.*nothing"), storage.local("none/at/all"):
        pass


@pytest.mark.parametrize("rel", ["/etc/passwd", "../x", "a/../../x"])
def test_paths_stay_below_the_root(storage, rel):
    with pytest.raises(ValueError, match="not a path below"):
        storage.read_bytes(rel)


def test_an_unwritable_storage_is_said_to_be_one(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"not usable.*file/out'"):
        Storage(str(tmp_path / "file" / "out")).check_writable()
    storage = Storage(str(tmp_path / "out"))
    storage.check_writable()
    assert storage.walk("") == []


def test_a_relative_folder_is_fixed_where_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = Storage("out")
    assert storage.uri == str(tmp_path / "out") == Storage(f"file://{tmp_path}/out").uri
    assert storage.delta_options is None
    assert pickle.loads(pickle.dumps(storage)) == storage


def test_an_s3_uri_carries_its_options():
    storage = Storage("s3://bucket/a/b?region=eu-1&endpoint_override=localhost:9000&scheme=http")
    assert storage.base == "s3://bucket/a/b"
    assert storage.url("tables/work") == "s3://bucket/a/b/tables/work"
    own = {"AWS_REGION": "eu-1", "AWS_ENDPOINT_URL": "http://localhost:9000", "AWS_ALLOW_HTTP": "true"}
    assert storage.delta_options == {**own, **(Storage("s3://bucket").delta_options or {})}
    assert Storage("gs://bucket/x").url("movies") == "gs://bucket/x/movies"


@pytest.mark.parametrize(
    ("given", "base", "key"),
    [
        ("a b+c", "a%20b+c", "a b+c"),
        ("a%20b+c", "a%20b+c", "a b+c"),
        ("café/#1", "caf%C3%A9/%231", "café/#1"),
        ("50%", "50%25", "50%"),
        ("what?/[x]|^", "what%3F/%5Bx%5D%7C%5E", "what?/[x]|^"),
    ],
)
def test_a_prefix_of_any_name_is_one_for_arrow_delta_and_films(given, base, key):
    storage = Storage(f"s3://bucket/{given}?region=eu-1")
    assert storage.base == f"s3://bucket/{base}"
    assert storage.url("x y.mp4") == f"s3://bucket/{base}/x%20y.mp4"
    assert storage.source("x y.mp4") == f"s3://bucket/{key}/x y.mp4?region=eu-1"
    assert FileSystem.from_uri(storage.uri)[1] == f"bucket/{key}"
    assert Storage(storage.uri) == storage


@pytest.mark.parametrize(
    "uri",
    [
        *("s3://AK:hidden@bucket/x", "s3://AK:hid/den@bucket/x", "s3://AK@bucket/x"),
        *("s3://bucket/x?secret_key=hidden", "gs://hidden@bucket/x"),
    ],
)
def test_keys_in_a_uri_are_refused_and_not_shown(uri):
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY") as caught:
        Storage(uri)
    assert "hidden" not in str(caught.value)
    assert "AK" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["", "  ", "ftp://host/x", "s3://", "http://host/x", "/out/[1080p]", "/out/50%", "/a\x1b[2Jb", "/a\tb"]
)
def test_a_uri_that_cannot_be_a_storage_is_refused(uri):
    with pytest.raises(ConfigError, match="storage"):
        Storage(uri)


def test_a_full_disk_is_called_one():
    for error in (OSError(28, "x"), OSError(122, "x"), RuntimeError("a: No space left on device (os error 28)")):
        message = str(storage_error(error, "write", "/out/a"))
        assert "no space left" in message
        assert "'/out/a'" in message
    assert "not permitted" in str(storage_error(OSError(30, "x"), "write", "/out/a"))


def test_a_disk_that_fills_up_keeps_the_old_file_and_no_half_of_the_new(tmp_path):
    """A limit on the size of files stands in for the disk: the system refuses the bytes half-way alike."""
    program = f"""
import resource
from storage.root import Storage
storage = Storage({str(tmp_path)!r})
storage.write_bytes("a", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
storage.write_bytes("a", bytes(5000))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "StorageError" in done.stderr
    assert "no space left" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".moviedreamer"}
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("place", ["file", "pipe", "link"])
def test_what_is_not_a_folder_is_no_storage(tmp_path, place):
    (tmp_path / "file").write_text("a user's own")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=f"'{tmp_path / place}' is not a folder: name a folder"):
        Storage(str(tmp_path / place))


@pytest.mark.parametrize(
    "said",
    [
        "AWS Error ACCESS_DENIED during HeadObject operation: No response body.",
        "AWS Error INVALID_ACCESS_KEY_ID during ListObjectsV2 operation",
        "AWS Error UNKNOWN (HTTP status 403) during HeadBucket operation",
        "AWS Error UNKNOWN (HTTP status 400) during HeadBucket operation",
        "the credential provider was not enabled",
    ],
)
def test_missing_keys_are_said_to_be_missing(said, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    message = str(storage_error(OSError(said), "write", "s3://bucket/a"))
    assert "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message
    assert "make it writable" not in message
