"""What `status` tells of movies: those of films, and those of a user's own script."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.cli import app
from flows.commands.cleaning import look
from flows.commands.status import show, status
from storage.movies.encoder import ffmpeg_program
from storage.printable import json_text
from storage.root import Storage
from storage.tables.rejects import Reject
from storage.tables.tables import Tables
from tests.storage.test_printable import EVIL

OWN, FILMS = "0123456789abcdef", "fedcba9876543210"


def test_a_script_s_own_movie_is_listed_with_its_length_and_notes(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write_bytes(f"movies/{OWN}/notes.json", b'["keyframe 1: said [twice]"]')
    about = {"title": "dance", "keyframes": 3, "seconds": 4.5}
    storage.write_bytes(f"movies/{OWN}/about.json", json.dumps(about).encode())
    storage.write_bytes(".prefect/server.log", b"")
    for name in (f"{OWN}/movie.mp4", f"{FILMS}/movie.mp4", f"{FILMS}/metrics.json"):
        storage.write_bytes(f"movies/{name}", b"x")
    found = status(storage)
    assert found["movies"] == [
        {
            "movie": OWN,
            "files": ["about.json", "movie.mp4", "notes.json"],
            "title": "dance",
            "keyframes": 3,
            "seconds": 4.5,
            "notes": ["keyframe 1: said [twice]"],
        },
        {"movie": FILMS, "files": ["metrics.json", "movie.mp4"]},
    ]
    program = ffmpeg_program()
    assert found["ffmpeg"] == {"version": program.version, "path": program.path}
    text = io.StringIO()
    show(found, Console(file=text))
    assert f"ffmpeg: {program.version} at {program.path}\n" in text.getvalue()
    assert f"  {OWN}: movies/{OWN}/movie.mp4 of the script dance, 3 keyframes, 4.5 s\n" in text.getvalue()
    assert "    note: keyframe 1: said [twice]\n" in text.getvalue()
    assert f"  {FILMS}: metrics.json, movie.mp4\n" in text.getvalue()
    assert sorted(look(storage).removed)[1:] == [f"movies/{OWN}", f"movies/{FILMS}"]


def test_what_comes_from_outside_is_shown_escaped_and_cut(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    about = {"title": EVIL, "keyframes": 3, "seconds": 4.5}
    storage.write_bytes(f"movies/{OWN}/about.json", json.dumps(about).encode())
    storage.write_bytes(f"movies/{OWN}/notes.json", json.dumps([EVIL]).encode())
    storage.write_bytes(f"movies/{FILMS}/a\x1b[2J.mp4", b"x")
    storage.write_bytes("snapshots/s.json", json.dumps({"id": "s", "films": [{"title": EVIL}]}).encode())
    written = EVIL.replace("\udce9", "")  # what else tables can hold
    Tables(storage).judge("films", [], [Reject(source=written, reason="missing", detail=written)])
    found, text = status(storage), io.StringIO()
    assert json.loads(json_text(found)) == found
    show(found, Console(file=text, width=100))
    assert all(letter.isprintable() or letter == "\n" for letter in text.getvalue())
    assert max(map(len, text.getvalue().splitlines())) < 2100
    (line,) = (line for line in text.getvalue().splitlines() if "of the script" in line)
    assert line.endswith("…, 3 keyframes, 4.5 s")


def test_a_page_is_written_beside_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    page = tmp_path / "page.html"
    (tmp_path / "storage").mkdir()
    said = CliRunner().invoke(app, ["status", "--storage", str(tmp_path / "storage"), "--html", str(page)])
    assert said.exit_code == 0
    assert "nothing is kept here yet" in said.stdout
    assert "nothing is kept here yet" in page.read_text()
