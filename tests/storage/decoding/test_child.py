"""Decoding in a child process: the same rows, and nothing that a film does reaches the parent."""

import errno
import io
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from storage.decoding import child, server
from storage.decoding.child import decode_in_child
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.errors import FilmError

SMALL = KeyframesConfig(width=448, height=256)
LINUX = sys.platform == "linux"


def test_the_child_decodes_as_this_process_does(clips, monkeypatch, tmp_path):
    clip = clips(tmp_path / "a film.mp4", [number / 10 for number in range(30)])
    monkeypatch.chdir(tmp_path)  # and finds its way from anywhere
    here, there = decode_film(clip, SMALL), decode_in_child(clip, SMALL)
    assert there.rows().equals(here.rows())
    assert there.rows().schema == here.rows().schema
    assert (there.film_id, there.probe, there.cuts, there.frames, there.damage) == (
        here.film_id,
        here.probe,
        here.cuts,
        here.frames,
        here.damage,
    )


def test_the_childs_errors_come_through(tmp_path):
    (tmp_path / "text.mp4").write_bytes(b"once upon a time")
    with pytest.raises(FilmError, match="holds text") as caught:
        decode_in_child(tmp_path / "text.mp4", SMALL)
    assert caught.value.reason == "not_a_video"


def test_keyframes_come_in_batches_and_their_file_goes(clips, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    clip = clips(tmp_path / "film.mp4", [number / 5 for number in range(40)])
    with decode_in_child(clip, SMALL) as film:
        assert list((tmp_path / "temporary").iterdir()) == []  # it has no name, so nobody must remove it
        batches = list(film.batches(rows=3))
        assert [batch.num_rows for batch in batches] == [3, 3, 2]
        assert pa.concat_tables(batches).equals(film.rows())
        assert film.numbers.nbytes < 3000
    with pytest.raises(ValueError, match="closed file"):
        next(film.batches())


@pytest.mark.skipif(not LINUX, reason="needs limits")
def test_a_film_that_takes_too_much_of_the_cpu_is_given_up(clips, tmp_path):
    clip = clips(tmp_path / "film.mp4", [number / 25 for number in range(1500)])
    with pytest.raises(FilmError, match=r"film\.mp4' takes more than 1 s of CPU time") as caught:
        decode_in_child(clip, SMALL.model_copy(update={"cpu_limit": 1.0, "width": 1792, "height": 1024}))
    assert caught.value.reason == "timed_out"


def test_a_full_disk_is_not_the_films_fault(clip):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    assert server._answer(str(clip), SMALL, Full()) == b'{"full": "No space left on device"}\n'


@pytest.mark.skipif(not LINUX, reason="needs named pipes and limits")
def test_a_film_that_never_ends_is_given_up(tmp_path):
    os.mkfifo(tmp_path / "endless.mp4")
    with pytest.raises(FilmError, match=r"endless\.mp4' takes more than 1.5 s") as caught:
        decode_in_child(tmp_path / "endless.mp4", SMALL.model_copy(update={"time_limit": 1.5}))
    assert caught.value.reason == "timed_out"


@pytest.mark.skipif(not LINUX, reason="needs named pipes and limits")
def test_a_child_without_memory_is_one_rejected_film(clip):
    with pytest.raises(FilmError) as caught:
        decode_in_child(clip, SMALL.model_copy(update={"memory_limit": 0.2}))
    assert caught.value.reason in ("crashed", "out_of_memory")
    assert str(clip) in caught.value.detail


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


@pytest.fixture
def waiting(tmp_path):
    """A process that decodes a film which never comes, the server of its films, and its child inside av.open."""
    os.mkfifo(tmp_path / "endless.mp4")
    program = (
        "from storage.decoding.child import *\n"
        f"try:\n    decode_in_child({str(tmp_path / 'endless.mp4')!r}, KeyframesConfig())\n"
        "except FilmError as error:\n    print(error)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with (tmp_path / "endless.mp4").open("wb"):  # opens once the child reads
        (server,) = children(parent.pid)
        (process,) = children(server)
        yield parent, server, process
    parent.kill()
    parent.wait()
    parent.stdout.close()


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_a_child_that_crashes_is_one_rejected_film(waiting):
    parent, _, child = waiting
    os.kill(child, signal.SIGSEGV)
    output = parent.stdout.read()
    assert output.startswith("crashed: decoding '")
    assert "endless.mp4' ended with SIGSEGV" in output


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_a_server_that_is_killed_is_one_rejected_film_and_its_child_ends(waiting):
    parent, server, child = waiting
    watch = os.pidfd_open(child)
    os.kill(server, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)  # as the system does where memory runs out
    assert "endless.mp4' ended with its server: SIGKILL: no message" in parent.stdout.read()
    assert ended(watch)


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_neither_the_child_nor_the_server_outlives_the_caller(waiting):
    parent, *others = waiting
    watches = [os.pidfd_open(process) for process in others]
    parent.kill()
    assert all(map(ended, watches)), "one is still there"


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_one_server_without_threads_serves_all_films_and_one_that_ends_is_replaced(clip, tmp_path):
    child.end_servers()
    (tmp_path / "text.mp4").write_bytes(b"once upon a time")
    for _ in range(2):
        with pytest.raises(FilmError, match="holds text"):
            decode_in_child(tmp_path / "text.mp4", SMALL)
    ((_, server),) = child._idle
    process = server._process.pid
    assert len(list(Path(f"/proc/{process}/task").iterdir())) == 1
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    assert decode_in_child(clip, SMALL).frames == 250
    ((_, another),) = child._idle
    assert another is not server
    child.end_servers()
    assert (child._idle, another.alive) == ([], False)


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_a_film_pays_for_no_imports(clip):
    code = (
        "import os, sys; from storage.decoding import server; server._prepare(); before = set(sys.modules);"
        "from storage.decoding.decode import KeyframesConfig, decode_film;"
        "decode_film(sys.argv[1], KeyframesConfig(width=448, height=256)).close();"
        "print(set(sys.modules) - before, len(os.listdir('/proc/self/task')))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(clip)], env=child._environment(), check=True, capture_output=True, text=True
    )
    assert ran.stdout == "set() 1\n"


def test_no_program_of_the_path_is_run(clip, monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho called >> {tmp_path / 'called'}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    child.end_servers()
    decode_in_child(clip, SMALL).close()
    child.end_servers()
    assert not (tmp_path / "called").exists()


def test_films_decoded_at_the_same_time_have_a_server_each():
    child.end_servers()
    with child._server() as one, child._server() as other:
        assert one is not other
    with child._server() as again:
        assert again in (one, other)


def test_a_film_is_found_from_the_folder_that_the_caller_is_in_now(clip, monkeypatch, tmp_path):
    decode_in_child(clip, SMALL).close()
    monkeypatch.chdir(clip.parent)
    assert decode_in_child(clip.name, SMALL).frames == 250
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert decode_in_child(clip, SMALL).frames == 250


def ended(watch: int) -> bool:
    try:
        return bool(select.select([watch], [], [], 60)[0])
    finally:
        os.close(watch)
