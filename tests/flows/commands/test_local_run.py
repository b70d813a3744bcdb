"""What the command line says of a script's own movie."""

import io
from contextlib import nullcontext

from rich.console import Console

from flows.commands.local_run import _results, print_result, run_here
from flows.display.artifacts import show_settings
from flows.run import References
from flows.settings.recipes import resolve
from storage.root import Storage
from storage.tables.rejects import Reject
from storage.tables.tables import Tables
from tests.storage.test_printable import EVIL


def test_what_this_run_left_out_is_told_and_earlier_rejects_are_counted(tmp_path):
    storage = Storage(str(tmp_path / "my out"))

    def reject(name, reason):
        return Reject(source=f"{name}.mp4", reason=reason, detail=f"why {name} [!]")

    old, new, note = reject("old", "truncated"), reject("new", "too_short"), reject("note", "partly_decoded")
    Tables(storage).judge("films", [], [old, new, note])
    found = {"flow": "build_dataset", "storage": storage.base, **_results(storage, References("0123"), [old])}
    assert found["rejects"] == ["new.mp4 (too_short): why new [!]"]
    assert (found["rejects_before"], found["notes"]) == (1, ["note.mp4 (partly_decoded): why note [!]"])
    text = io.StringIO()
    print_result(found, Console(file=text))
    assert text.getvalue().splitlines() == [
        "note: note.mp4 (partly_decoded): why note [!]",
        "left out: new.mp4 (too_short): why new [!]",
        f"left out or noted by earlier runs: 1; moviedreamer status --storage '{storage.base}' lists them",
        "snapshot        0123",
    ]


def test_notes_of_a_script_are_told_one_by_one(tmp_path):
    storage = Storage(str(tmp_path))
    storage.write_bytes("movies/0123/notes.json", b'["keyframe 1: said [twice]"]')
    urls = tuple(storage.url(f"movies/0123/{name}") for name in ("movie.mp4", "notes.json"))
    found = {"flow": "render_movies", **_results(storage, References(files=urls), [])}
    assert (found["notes"], found["metrics"]) == (["keyframe 1: said [twice]"], {})
    text = io.StringIO()
    print_result(found, Console(file=text))
    assert "note: keyframe 1: said [twice]\n" in text.getvalue()
    assert urls[0] in text.getvalue()


def test_what_comes_from_outside_is_shown_escaped_and_cut() -> None:
    written = io.StringIO()
    told = {
        "flow": "studio",
        "storage": EVIL,
        "result": {"snapshot": EVIL},
        "notes": [EVIL],
        "rejects": [EVIL],
        "rejects_before": 1,
    }
    print_result(told | {"files": {"movie.mp4": EVIL}, "metrics": {}}, Console(file=written, width=100))
    assert all(letter.isprintable() or letter == "\n" for letter in written.getvalue())
    assert max(map(len, written.getvalue().splitlines())) < 4200


def test_prefect_keeps_no_keys_and_signatures(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr("flows.commands.local_run.local_api", lambda home: nullcontext(lambda: None))
    monkeypatch.setattr("flows.catalogue.flow", lambda name: lambda **given: kept.append(given) or References())
    monkeypatch.setattr("flows.display.artifacts.show_rows", lambda *table: kept.append(table))
    films = 'ingest.films=["https://h/a.mp4?X-Amz-Signature=SECRET&token=SECRET&v=1","s3://key:SECRET@bucket/a.mp4"]'
    run_here("studio", "smoke", str(tmp_path), [films, "name=one"], Console(file=io.StringIO()))
    show_settings("studio", resolve("smoke", [films]))
    assert kept[0] == {
        "recipe": "smoke",
        "storage": str(tmp_path),
        "overrides": ['ingest.films=["https://h/a.mp4?v=1","s3://***@bucket/a.mp4"]', "name=one"],
    }
    assert "a.mp4?v=1" in str(kept[1])
    assert "SECRET" not in str(kept)
