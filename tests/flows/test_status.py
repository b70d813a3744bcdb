"""What `status` tells of movies: those of films, and those of a user's own script."""

import io
import json
from pathlib import Path

from rich.console import Console

from flows.cleaning import look
from flows.status import show, status
from storage.root import Storage

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
    text = io.StringIO()
    show(found, Console(file=text))
    assert f"  {OWN}: movies/{OWN}/movie.mp4 of the script dance, 3 keyframes, 4.5 s\n" in text.getvalue()
    assert "    note: keyframe 1: said [twice]\n" in text.getvalue()
    assert f"  {FILMS}: metrics.json, movie.mp4\n" in text.getvalue()
    assert sorted(look(storage).removed)[1:] == [f"movies/{OWN}", f"movies/{FILMS}"]
