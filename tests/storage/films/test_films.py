"""What people give as films, and what files say of themselves."""

import os

import pytest

from storage.errors import FilmError
from storage.films.films import FilmProbe, film_rows, probe, resolve
from storage.fingerprint import file_id
from storage.tables.schemas import SCHEMAS
from tests.storage.placed import put


def touch(path, data=b""):
    return put(path, data or str(path).encode())


def test_files_folders_and_patterns_in_the_order_given(tmp_path):
    touch(tmp_path / "b.mp4")
    touch(tmp_path / "folder" / "2.webm")
    touch(tmp_path / "folder" / "deep" / "1.MKV")
    touch(tmp_path / "folder" / "README.md")
    touch(tmp_path / "folder" / ".hidden" / "x.mp4")
    touch(tmp_path / "x" / "p1.mov")
    touch(tmp_path / "x" / "p2.mov")
    films, rejects = resolve([str(tmp_path / "b.mp4"), str(tmp_path / "folder"), str(tmp_path / "x" / "*.mov")])
    assert [film.path.name for film in films] == ["b.mp4", "2.webm", "1.MKV", "p1.mov", "p2.mov"]
    assert [film.film_id for film in films] == [file_id(film.path) for film in films]
    assert [(reject.reason, reject.source) for reject in rejects] == [("not_by_ending", str(tmp_path / "folder"))]
    assert "1 .md" in rejects[0].detail


def test_a_name_that_looks_like_a_pattern_is_taken_as_it_is(tmp_path):
    films, _ = resolve([str(touch(tmp_path / "film [1080p].mp4"))])
    assert films[0].title == "film [1080p]"


def test_what_is_not_there_is_quoted(tmp_path):
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path / "none.mp4"), str(tmp_path / "*.webm"), str(tmp_path / "empty")]
    films, rejects = resolve([*given, str(touch(tmp_path / "a.mp4"))])
    assert len(films) == 1
    assert [reject.reason for reject in rejects] == ["missing"] * 3
    assert [reject.source for reject in rejects] == given
    for reject in rejects:
        assert repr(reject.source) in reject.detail


def test_the_same_bytes_count_once_and_the_second_is_told(tmp_path):
    first, second = touch(tmp_path / "a.mp4", b"x"), touch(tmp_path / "b.mp4", b"x")
    films, rejects = resolve([str(first), str(first), str(tmp_path)])
    assert [film.path for film in films] == [first]
    assert [(reject.reason, reject.source) for reject in rejects] == [("duplicate", str(second))]
    assert str(first) in rejects[0].detail


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    films, rejects = resolve([str(tmp_path / "pipe.mp4")])
    assert films == []
    assert rejects[0].reason == "not_a_video"


def test_a_clip_says_what_it_is(clip):
    assert probe(clip) == FilmProbe(
        seconds=10.0, fps=25.0, width=448, height=256, has_audio=True, title="", licence="unknown"
    )
    (film,), _ = resolve([str(clip)])
    (row,) = film_rows(film, probe(clip)).to_pylist()
    assert row == {
        "film_id": film.film_id,
        "source": str(clip),
        "title": "ten seconds",
        "seconds": 10.0,
        "fps": 25.0,
        "width": 448,
        "height": 256,
        "has_audio": True,
        "licence": "unknown",
        "origin": "",
        "availability": "",
        "year": 0,
        "movie": "",
        "phash": "",
    }
    assert set(row) == set(SCHEMAS["films"].names) - {"fingerprint"}


def test_a_film_of_unknown_length_has_no_row_yet(clip):
    (film,), _ = resolve([str(clip)])
    with pytest.raises(ValueError, match="DecodedFilm"):
        film_rows(film, probe(clip).model_copy(update={"seconds": None}))


def test_probe_refuses_what_is_no_film(tmp_path):
    with pytest.raises(FilmError, match=r"missing: .*none\.mp4"):
        probe(tmp_path / "none.mp4")
