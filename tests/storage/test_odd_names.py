"""Names as file systems allow them, in bytes that are not UTF-8: one costs itself at most, wherever it stands."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.decoding.child import decode_in_child
from storage.decoding.decode import KeyframesConfig
from storage.errors import ConfigError
from storage.films.films import resolve
from storage.films.hashing import Hasher
from storage.films.inputs import found
from storage.films.provenance import Named
from storage.images import images
from storage.printable import json_text, printable
from storage.remote import as_source, fetched, local_path
from storage.root import Storage
from storage.tables.rejects import Reject
from tests.storage.blobs import write
from tests.storage.films.test_condensed_movies import CLIPS
from tests.storage.images.test_images import picture
from tests.storage.placed import put_all

NAME = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "layout", ["folder", "pattern", "file", "inner folder", "beside a manifest", "condensed movies"]
)
def test_a_film_is_used_under_an_escaped_name(tmp_path: Path, layout: str) -> None:
    place = tmp_path / NAME if layout in ("inner folder", "beside a manifest", "condensed movies") else tmp_path
    film = write(place / ("Sv-BxH3SVS8.mp4" if place != tmp_path else f"{NAME}.mp4"), 1)
    put_all(place, {"other.mp4": b"text", "films.csv": b"path\nSv-BxH3SVS8.mp4\n"})
    if layout == "condensed movies":
        put_all(place, {"metadata/clips.csv": CLIPS.encode()})
    given = {"pattern": tmp_path / "c*.mp4", "file": film, "beside a manifest": place / "films.csv"}
    given["condensed movies"] = place
    films, rejects = resolve([str(given.get(layout, tmp_path))], Hasher(Storage(str(tmp_path / "out"))))
    (mine,) = (one for one in films if "caf" in one.source and "other" not in one.source)
    assert (mine.source, mine.path) == (film.as_uri(), film)
    assert mine.said.title or mine.title == printable(film.stem)
    again, _ = resolve([mine.source], Hasher(Storage(str(tmp_path / "out"))))
    assert again[0].film_id == mine.film_id
    for one in rejects:
        one.model_dump_json().encode()


def test_such_a_film_is_decoded(tmp_path: Path) -> None:
    source = write(tmp_path / f"{NAME}.mp4", 1).as_uri()
    with fetched(source) as path, decode_in_child(path, KeyframesConfig(width=112, height=64)) as film:
        assert film.numbers.num_rows == 8


def test_what_cannot_be_used_is_shown_and_costs_itself(tmp_path: Path) -> None:
    put_all(tmp_path, {"good.mp4": b"good", f"x.{NAME}": b"?", f"{NAME}.mp4": b""})
    (tmp_path / f"{NAME}-link.mp4").symlink_to(f"no-{NAME}")
    films, rejects = resolve([str(tmp_path), str(tmp_path / f"none-{NAME}.mp4")])
    assert [Path(film.source).name for film in films] == ["caf%E9.mp4", "good.mp4"]
    details = "\n".join(one.detail for one in rejects)
    assert "1 .caf%e9" in details
    assert "caf%E9-link.mp4' is a broken link to 'no-caf" in details
    assert "none-caf%E9.mp4'" in details
    details.encode()


def test_sources_and_paths_are_one_to_one(tmp_path: Path) -> None:
    for path in (tmp_path / NAME, tmp_path / "a b%20#?é.mp4"):
        assert local_path(as_source(path)) == local_path(path.as_uri()) == path
    assert as_source("s3://bucket/" + NAME) == r"s3://bucket/caf\xe9"


def test_manifests_that_are_not_utf8_say_how_such_a_name_is_given(tmp_path: Path) -> None:
    put_all(tmp_path, {"latin.csv": b"path\ncaf\xe9.mp4\n", "good.mp4": b"good", f"{NAME}.mp4": b"film"})
    films, (bad,) = resolve([str(tmp_path / "latin.csv"), str(tmp_path / "good.mp4")])
    assert ([film.title for film in films], bad.reason) == (["good"], "bad_manifest")
    assert "row 2: not UTF-8, save it as UTF-8" in bad.detail
    put_all(tmp_path, {"utf8.csv": f"path\n{(tmp_path / NAME).as_uri()}.mp4\n".encode()})
    assert resolve([str(tmp_path / "utf8.csv")])[0][0].path == tmp_path / f"{NAME}.mp4"
    raw = pa.array([b"a.mp4", b"caf\xe9.mp4"], pa.binary())
    path = pa.StringArray.from_buffers(2, *raw.buffers()[1:])
    pq.write_table(pa.table({"path": path}), tmp_path / "films.parquet")
    (bad,) = found(str(tmp_path / "films.parquet"))
    assert (bad.reason, "not UTF-8" in bad.detail) == ("bad_manifest", True)


def test_a_row_of_a_manifest_that_no_system_takes_costs_itself(tmp_path: Path) -> None:
    put_all(tmp_path, {"films.csv": f"path\n{'a' * 60_000}.mp4\nx\0y.mp4\nloop/x.mp4\nb.mp4\n".encode(), "b.mp4": b"b"})
    (tmp_path / "loop").symlink_to("loop")
    films, rejects = resolve([str(tmp_path / "films.csv")])
    assert [film.title for film in films] == ["b"]
    assert sorted(one.reason for one in rejects) == ["bad_row", "unreadable", "unreadable"]


@pytest.mark.parametrize("given", ["{}.mp4", "{}*.mp4", "{}/film.mp4", "**/{}.mp4", "{}"])
def test_a_name_that_no_system_takes_costs_itself(tmp_path: Path, given: str) -> None:
    (only,) = found(str(tmp_path / given.format("a" * 300)))
    assert isinstance(only, Reject)
    assert only.reason in ("unreadable", "missing")


def test_an_image_is_left_out_with_a_warning_that_shows_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = put_all(tmp_path, {"a/1.png": picture(1), f"a/{NAME}.png": picture(2), f"{NAME}/3.png": picture(3)})
    assert images.index([images.FolderConfig(root=root)])["name"].to_pylist() == ["a/1.png"]
    assert r"caf\udce9.png" in caplog.text
    assert Storage(root).list("") == ["a"]


def test_annotations_of_images_may_be_in_another_encoding(tmp_path: Path) -> None:
    lines = b'{"img_path": "aa.png", "by": "Ren\xe9"}\n{"img_path": "gone.png"}\n'
    root = put_all(tmp_path, {"train/train_anno.jsonl": lines, "train/imgs/aa.png": picture(1)})
    assert images.index([images.JourneyDbConfig(root=root)])["name"].to_pylist() == ["train/imgs/aa.png"]


def test_a_storage_of_such_a_name_is_refused(tmp_path: Path) -> None:
    for uri in (str(tmp_path / NAME), (tmp_path / NAME).as_uri()):
        with pytest.raises(ConfigError, match="not UTF-8"):
            Storage(uri)


def test_the_row_of_such_a_film_is_json_and_arrow(tmp_path: Path) -> None:
    named = Named(source=as_source(tmp_path / NAME), row=f"{as_source(tmp_path / NAME)}:2")
    assert json.loads(json_text(named.model_dump())) == named.model_dump()
    assert pa.array([named.source]).to_pylist() == [named.source]


def test_a_name_may_begin_like_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put_all(tmp_path, {"~nobody.mp4": b"a", "films.csv": b"path\n~nobody.mp4\n"})
    for given in ("~nobody.mp4", "films.csv", "."):
        assert [film.title for film in resolve([given])[0]] == ["~nobody"]
