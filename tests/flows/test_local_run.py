"""What the command line says of a script's own movie."""

import io

from rich.console import Console

from flows.local_run import _results, print_result
from storage.root import Storage


def test_notes_of_a_script_are_told_one_by_one(tmp_path):
    storage = Storage(str(tmp_path))
    storage.write_bytes("movies/0123/notes.json", b'["keyframe 1: said [twice]"]')
    urls = [storage.url(f"movies/0123/{name}") for name in ("movie.mp4", "notes.json")]
    found = {"flow": "render_movies", "result": urls, **_results(storage, "render_movies", urls)}
    assert (found["notes"], found["metrics"]) == (["keyframe 1: said [twice]"], {})
    text = io.StringIO()
    print_result(found, Console(file=text))
    assert "note: keyframe 1: said [twice]\n" in text.getvalue()
    assert urls[0] in text.getvalue()
