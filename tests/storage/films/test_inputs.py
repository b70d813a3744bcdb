"""What a folder is searched for, and what of it is passed over."""

import os
import socket
from pathlib import Path

import pytest

from storage import remote
from storage.films.inputs import found
from storage.films.provenance import Named
from tests.storage.placed import put


def touch(folder, *names):
    for name in names:
        put(folder / name, name.encode())
    return folder


@pytest.mark.parametrize(
    "name", ["a.h264", "a.264", "a.HEVC", "a.m2v", "a.ivf", "a.3g2", "a.asf", "a.mjpeg", "a.dvr-ms", "a.WTV"]
)
def test_bare_streams_and_rare_containers_are_films(tmp_path, name):
    assert list(found(str(touch(tmp_path, name)))) == [Named(source=str(tmp_path / name))]


def test_an_empty_name_is_not_the_folder_that_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "a.mp4"))
    (empty,) = found("")
    assert (empty.reason, empty.source) == ("missing", "")
    (film,) = found(".")
    assert film == Named(source="a.mp4")


def test_what_is_no_film_by_its_ending_is_counted_once(tmp_path):
    touch(tmp_path / "films", "a.mp4", "a.srt", "deep/b.SRT", "films.csv", "film", ".hidden/c.txt", ".d.txt")
    for given in (tmp_path / "films", tmp_path / "fil*"):
        passed, film, *_ = found(str(given))
        assert (passed.reason, passed.source) == ("not_by_ending", str(given))
        assert f"{str(given)!r} holds files that are no films by their ending: 2 .srt, 1 without ending, 1 .csv; " in (
            passed.detail
        )
        assert "to use one of them, name it by its path" in passed.detail
        assert film.source == str(tmp_path / "films" / "a.mp4")


def test_the_effort_for_a_remote_folder_grows_with_its_files_alone(monkeypatch):
    class Name(str):
        looked_up = 0

        def __hash__(self):
            Name.looked_up += 1
            return super().__hash__()

    files = [Name(f"s3://films/{number}{ending}") for number in range(100) for ending in (".mp4", ".txt")]
    monkeypatch.setattr(remote, "listed", lambda given: files)
    passed, *films = found("s3://films")
    assert ([film.source for film in films], "100 .txt" in passed.detail) == (files[::2], True)
    assert Name.looked_up <= 2 * len(files)


def test_a_film_whose_link_leads_nowhere_is_missing(tmp_path):
    touch(tmp_path / "films", "a.mp4")
    (link := tmp_path / "films" / "b.mp4").symlink_to(tmp_path / "gone.mp4")
    (tmp_path / "films" / "notes.txt").symlink_to(tmp_path / "gone.txt")
    for given in (tmp_path / "films", tmp_path / "films" / "*.mp4", link):
        *_, last = found(str(given))
        assert (last.reason, last.source) == ("missing", str(link))
        assert f"{str(link)!r} is a broken link to {str(tmp_path / 'gone.mp4')!r}" in last.detail


def test_a_pipe_a_socket_and_a_device_in_a_folder_are_told_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "films.csv")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    (tmp_path / "a.mp4").write_bytes(b"film")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.mp4"))
    others, film, *rejects = found(str(tmp_path))
    assert (others.reason, "1 without ending, 1 .csv" in others.detail) == ("not_by_ending", True)
    assert film.source == str(tmp_path / "a.mp4")
    assert [Path(one.source).name for one in rejects] == ["pipe.mp4", "socket.mp4", "zero.mp4"]
    assert {one.reason for one in rejects} == {"not_a_video"}
    (manifest,) = found(str(tmp_path / "films.csv"))
    assert (manifest.reason, "not a file" in manifest.detail) == ("unreadable", True)
