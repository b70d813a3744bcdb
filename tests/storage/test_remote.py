"""Films behind URIs: found, looked at, and here only as long as somebody works on them."""

import os
import tempfile
from pathlib import Path

import fsspec
import pytest

from storage import remote
from storage.errors import FilmError
from storage.films import hashing
from storage.films.films import FilmProbe, FilmSource, film_rows, resolve
from storage.films.inputs import found
from storage.films.manifest import is_manifest
from storage.films.provenance import Named


@pytest.fixture
def memory():
    place = fsspec.filesystem("memory")
    place.pipe({"/films/a.mp4": b"a", "/films/deep/b.webm": b"b", "/films/notes.txt": b"words", "/list/own.mp4": b"o"})
    yield place
    place.rm("/films", recursive=True)
    place.rm("/list", recursive=True)


def sources(given):
    return [one.source for one in found(given)]


def test_files_folders_and_patterns_behind_a_uri(memory):
    passed, *films = found("memory://films")
    assert [film.source for film in films] == ["memory:///films/a.mp4", "memory:///films/deep/b.webm"]
    assert (passed.reason, passed.source, "1 .txt" in passed.detail) == ("not_by_ending", "memory://films", True)
    assert sources("memory://films/*.mp4") == ["memory:///films/a.mp4"]
    assert len(sources("memory://films/a.mp4")) == 1


def test_a_manifest_behind_a_uri_names_files_beside_it(memory):
    memory.pipe("/list/films.csv", b"path,title\nown.mp4,Own\nmemory://films/a.mp4,A\n")
    assert [(one.source, one.said.title) for one in found("memory://list/films.csv")] == [
        ("memory://list/own.mp4", "Own"),
        ("memory://films/a.mp4", "A"),
    ]


def test_a_copy_is_here_only_inside_the_block(memory):
    with remote.fetched("memory://films/a.mp4") as path:
        assert path.read_bytes() == b"a"
        assert path.name == "a.mp4"
    assert not path.exists()
    assert not path.parent.exists()


def test_what_a_killed_process_left_is_removed(memory, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with remote.fetched("memory://films/a.mp4") as path:
        here = path.parent.name.rpartition(f"{os.getpid()}-")[0]
    left, elsewhere = tmp_path / f"{here}999999999-x", tmp_path / "moviedreamer-film-otherhost-1-999999999-x"
    for folder in (left, elsewhere):
        folder.mkdir()
    with remote.fetched("memory://films/a.mp4") as path:
        assert path.is_relative_to(tmp_path)
        assert not left.exists()
        assert elsewhere.exists()


def test_the_copies_of_other_hosts_and_containers_have_other_names(monkeypatch):
    names = [remote._copies()]
    monkeypatch.setattr(remote.platform, "node", lambda: "otherhost")
    names.append(remote._copies())
    monkeypatch.setattr(remote.os, "readlink", lambda path: "pid:[7]")
    names.append(remote._copies())
    assert len(set(names)) == 3
    assert names[2] == "moviedreamer-film-otherhost-7-"


def test_local_files_are_read_where_they_are(tmp_path):
    (tmp_path / "a b.mp4").write_bytes(b"x")
    with remote.fetched("a b.mp4", tmp_path) as path:
        assert path == tmp_path / "a b.mp4"
    assert sources((tmp_path / "a b.mp4").as_uri()) == [str(tmp_path / "a b.mp4")]
    assert list(found(str(tmp_path))) == [Named(source=str(tmp_path / "a b.mp4"))]


@pytest.mark.parametrize(
    ("uri", "reason", "what"),
    [
        ("memory://films/none.mp4", "missing", "there is no file"),
        ("memory://films/*.mkv", "missing", "there is no film at"),
        ("nonsense://x/a.mp4", "unreadable", "nonsense"),
        ("s3://key:secret@bucket/a.mp4", "unreadable", "environment"),
        ("s3://key:top/secret@bucket/films.csv", "unreadable", "environment"),
        ("https://somebody:secret@host/a.mp4", "unreadable", "environment"),
    ],
)
def test_what_cannot_be_reached_is_a_reject_with_a_reason(memory, uri, reason, what):
    films, (reject,) = resolve([uri])
    assert films == []
    assert (reject.reason, what in reject.detail, "secret" in reject.model_dump_json()) == (reason, True, False)


def test_a_missing_package_is_named(monkeypatch):
    def refuse(uri):
        raise ImportError("Install aiohttp to access HTTP")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(FilmError, match="another package: Install aiohttp"):
        remote.look("http://host/a.mp4")


def test_the_same_bytes_behind_a_uri_and_here_are_one_film(memory, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a")
    (film,), (reject,) = resolve([str(tmp_path / "a.mp4"), "memory://films/a.mp4"])
    assert Path(film.source) == tmp_path / "a.mp4"
    assert reject.reason == "duplicate"


def test_a_change_is_seen_without_reading(memory):
    before = remote.look("memory://films/a.mp4")
    memory.pipe("/films/a.mp4", b"b")
    assert before.version
    assert remote.look("memory://films/a.mp4") != before


def test_how_a_store_is_reached_is_kept_and_shown_nowhere(tmp_path):
    options = "?endpoint_override=127.0.0.1:9&scheme=http&region=x"
    film = FilmSource(film_id="f", source=f"s3://b/a?b#c.mp4{options}")
    assert (film.address, film.title) == ("s3://b/a?b#c.mp4", "a?b#c")
    probe = FilmProbe(seconds=1.0, fps=25, width=64, height=64, has_audio=True, title="", licence="unknown")
    assert film_rows(film, probe)["source"].to_pylist() == [film.address]
    assert remote.reached(film.address, ["out", "s3://other/x?region=y", f"s3://b/films.csv{options}"]) == film.source
    assert remote.reached("films/a.mp4", [f"s3://b/films.csv{options}"]) == "films/a.mp4"
    with pytest.raises(FilmError) as caught, remote._explained(film.source):
        raise OSError(f"no answer from {film.source}")
    assert "endpoint" not in str(caught.value)


@pytest.mark.parametrize(
    ("signed", "kept"),
    [
        ("https://h/a.b.mp4?X-Amz-Credential=a%2Fb.c/d&X-Amz-Signature=s3cret", "https://h/a.b.mp4"),
        ("https://h/a.b.mp4?jwt=s3cret&hdnts=exp=1~hmac=s3cret", "https://h/a.b.mp4"),
        ("https://h/a.b.mp4#access_token=s3cret", "https://h/a.b.mp4"),
        ("https://h/a.b.mp4?v=2&Expires=1&Signature=s3cret~&Key-Pair-Id=K", "https://h/a.b.mp4?v=2"),
        ("abfs://c@account.dfs.core.windows.net/a.b.mp4?sv=2025&se=2026&sig=s3cret%3D", None),
        ("http://h:8080/x@y/a.b.mp4?id=7&token=s3cret", "http://h:8080/x@y/a.b.mp4?id=7"),
    ],
)
def test_a_signature_is_kept_and_shown_nowhere_and_changes_no_film(signed, kept):
    kept = kept or signed.partition("?")[0]
    film = FilmSource(film_id="f", source=signed)
    assert (film.address, film.title, hashing._key(signed)) == (kept, "a.b", kept)
    assert remote.reached(kept, ["films", "https://h/other.mp4", signed]) == signed
    with pytest.raises(FilmError) as caught, remote._explained(signed):
        raise OSError(f"no answer from {signed}")
    assert "s3cret" not in str(caught.value)


def test_a_server_that_refuses_is_a_reject_without_the_signature(monkeypatch):
    class RefusedError(Exception):
        """As aiohttp's, which is no OSError."""

    class Web:
        def __getattr__(self, name):
            raise RefusedError("403, message='Forbidden', url='https://h/a%20b.mp4?v=1&X-Amz-Signature=s3cret'")

    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda uri: (Web(), uri))
    films, (reject,) = resolve(["https://h/a b.mp4?v=1&X-Amz-Signature=s3cret"])
    assert (films, reject.reason, "403" in reject.detail) == ([], "unreachable", True)
    assert "s3cret" not in reject.model_dump_json()


def test_a_signed_manifest_is_one():
    assert is_manifest("https://h/films.csv?X-Amz-Signature=s3cret")


def test_a_long_signature_is_no_part_of_a_copys_name(memory):
    memory.pipe(f"/films/a.mp4?X-Amz-Security-Token={'t' * 1000}", b"a")
    with remote.fetched(f"memory://films/a.mp4?X-Amz-Security-Token={'t' * 1000}") as path:
        assert path.name == "a.mp4"


@pytest.mark.parametrize("uri", ["http://[bad/a.mp4", "s3://[bad]/a.mp4?region=x", "s3://b?region=x", "://x.mp4"])
def test_an_address_that_is_none_costs_itself(uri, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "films.csv").write_text(f"path\n{uri}\na.mp4\n")
    films, rejects = resolve([str(tmp_path / "films.csv")])
    assert ([film.title for film in films], len(rejects)) == (["a"], 1)
