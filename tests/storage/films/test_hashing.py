"""Films are hashed once, several at a time, and none that breaks its decoder stops the others."""

import os
import time

import pyarrow.parquet as pq
import pytest

from storage.errors import FilmError
from storage.films import hashing
from storage.films.hashing import REL, FilmHash, Hasher
from storage.films.perceptual import perceptual_hash
from storage.fingerprint import file_id
from storage.root import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "out"))


def test_names_and_looks_are_those_of_the_file_and_kept(storage, clip, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    told = []
    found = Hasher(storage, lambda done, total: told.append((done, total)), workers=2)(
        [str(clip), str(text), str(tmp_path / "none.mp4")]
    )
    assert found[str(clip)] == FilmHash(
        film_id=file_id(clip), phash=perceptual_hash(clip), width=448, height=256, size=clip.stat().st_size
    )
    assert found[str(text)] == FilmHash(film_id=file_id(text), size=7)  # its decoding says why it is no film
    assert isinstance(found[str(tmp_path / "none.mp4")], FilmError)
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_what_is_known_is_not_read_again_until_it_changes(storage, clip, tmp_path, monkeypatch):
    film = tmp_path / "film.mp4"
    film.write_bytes(clip.read_bytes())
    first = Hasher(storage)([str(film)])
    kept = (tmp_path / "out" / REL).stat().st_mtime_ns

    def forbidden(path):
        raise AssertionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "file_id", forbidden)
        assert Hasher(storage)([str(film)]) == first
        monkeypatch.chdir(tmp_path)
        assert Hasher(storage)(["film.mp4"]) == {"film.mp4": first[str(film)]}  # the same file by another name
        os.utime(film, ns=(1, time.time_ns()))
        with pytest.raises(AssertionError):
            Hasher(storage)([str(film)])
    assert (tmp_path / "out" / REL).stat().st_mtime_ns == kept
    film.write_bytes(b"something else")
    assert Hasher(storage)([str(film)])[str(film)] != first[str(film)]
    (row,) = pq.read_table(tmp_path / "out" / REL).to_pylist()
    assert row["film_id"] == file_id(film)


def test_a_film_that_is_replaced_while_it_is_read_is_read_again(storage, clip, tmp_path, monkeypatch):
    film = tmp_path / "film.mp4"
    film.write_bytes(clip.read_bytes())

    def named_too_early(path):
        name = file_id(path)
        path.write_bytes(b"another film")
        return name

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "file_id", named_too_early)
        Hasher(storage)([str(film)])
    assert Hasher(storage)([str(film)])[str(film)].film_id == file_id(film)


def test_hashes_of_another_method_are_made_anew(storage, clip, monkeypatch):
    first = Hasher(storage)([str(clip)])
    monkeypatch.setattr(hashing, "VERSION", 99)
    asked = []
    monkeypatch.setattr(hashing, "file_id", lambda path: asked.append(path) or file_id(path))
    assert Hasher(storage)([str(clip)]) == first
    assert asked


def test_a_film_that_ends_or_hangs_its_process_has_no_looks_and_the_others_go_on(storage, clip, tmp_path, monkeypatch):
    script = tmp_path / "child.py"
    script.write_text(
        "import json, os, sys, time\n"
        "for line in sys.stdin:\n"
        "    if 'killer' in line: os.abort()\n"
        "    if 'sleeper' in line: time.sleep(600)\n"
        "    print(json.dumps(['seen', 2, 1]), flush=True)\n"
    )
    start = hashing.subprocess.Popen
    monkeypatch.setattr(
        hashing.subprocess, "Popen", lambda command, **options: start([command[0], str(script)], **options)
    )
    monkeypatch.setattr(hashing, "_PATIENCE", 1.0)
    paths = [tmp_path / f"{name}.mp4" for name in ("a", "killer", "b", "sleeper", "c")]
    for path in paths:
        path.write_text(path.name)
    found = Hasher(storage, workers=1)([str(path) for path in paths])
    assert [found[str(path)].phash for path in paths] == ["seen", "", "seen", "", "seen"]
    assert [found[str(path)].film_id for path in paths] == [file_id(path) for path in paths]
