"""Films are hashed once, several at a time."""

import os
import time

import pyarrow.parquet as pq
import pytest

from storage.errors import FilmError
from storage.films import hashing
from storage.films.hashing import REL, Hasher
from storage.fingerprint import file_id


def test_names_are_those_of_the_files(storage, clip, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    told = []
    found = Hasher(storage, lambda done, total: told.append((done, total)), workers=2)(
        [str(clip), str(text), str(tmp_path / "none.mp4")]
    )
    assert found[str(clip)] == file_id(clip)
    assert found[str(text)] == file_id(text)  # its decoding says why it is no film
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
    assert Hasher(storage)([str(film)])[str(film)] == file_id(film)


def test_hashes_of_another_method_are_made_anew(storage, clip, monkeypatch):
    first = Hasher(storage)([str(clip)])
    monkeypatch.setattr(hashing, "VERSION", 99)
    asked = []
    monkeypatch.setattr(hashing, "file_id", lambda path: asked.append(path) or file_id(path))
    assert Hasher(storage)([str(clip)]) == first
    assert asked
