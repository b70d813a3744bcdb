"""What a storage holds. A run that was killed and resumed has the same status as an uninterrupted one.

The status contains no times, Delta versions, attempts, or the path of the storage.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.commands.outputs import refuse_to_replace, write_text
from flows.display.shown import shown
from storage.errors import ConfigError, StorageError
from storage.movies.encoder import ffmpeg_program
from storage.printable import printable
from storage.root import Storage

_WATCH_EVERY = 5.0  # seconds
_MADE_BY = '<meta name="generator" content="moviedreamer status">'

Status = dict[str, Any]
"""What `status --json` prints: tables, snapshots, checkpoints, movies, rejects, each sorted; and the ffmpeg in use."""


def status(storage: Storage) -> Status:
    """Counts and names everything that runs keep in a storage.

    Raises:
        StorageError: when it cannot be read, does not exist, or holds something else.
    """
    from storage import layout, snapshot
    from storage.tables.tables import Tables

    if not storage.exists(""):
        raise StorageError(
            f"there is no storage at {storage.base!r}: name one with --storage, or run a flow to make it"
        )
    from tasks.movies.stories import takes

    tables = Tables(storage)
    newest = takes.newest(storage)
    rows = tables.count()
    if not storage.record.exists and not any(rows.values()) and storage.list(""):
        raise StorageError(f"{storage.base!r} is not a storage: name one with --storage")
    home = storage.base.rstrip("/") + "/"
    counts = {name: count for name, count in rows.items() if name not in ("work", "rejects")}
    return {
        "tables": counts,
        "snapshots": [_snapshot(storage, name) for name in snapshot.ids(storage)],
        "checkpoints": _checkpoints(storage),
        "movies": [
            _movie(storage, movie, newest) for movie in storage.list("movies") if layout.is_place(f"movies/{movie}")
        ],
        "rejects": sorted(
            (
                {key: getattr(reject, key).replace(home, "") for key in ("source", "stage", "reason", "detail")}
                for reject in tables.rejects()
            ),
            key=lambda reject: tuple(reject.values()),
        ),
        "ffmpeg": _ffmpeg(),
    }


def _snapshot(storage: Storage, name: str) -> dict[str, Any]:
    kept = json.loads(storage.read_bytes(f"snapshots/{name}.json"))
    return {"snapshot": kept["id"], "films": [film["title"] for film in kept["films"]]}


def _movie(storage: Storage, name: str, newest: Mapping[str, str]) -> dict[str, Any]:
    """Files and notes on what was not rendered as written; for a script's movie also title, keyframes and seconds.

    Args:
        newest: the newest movie of each story -> the story's title.
    """
    folder = f"movies/{name}"
    files = storage.walk(folder)
    about = json.loads(storage.read_bytes(f"{folder}/about.json")) if "about.json" in files else {}
    notes = {"notes": json.loads(storage.read_bytes(f"{folder}/notes.json"))} if "notes.json" in files else {}
    stories = [newest[f"{folder}/{file}"] for file in files if f"{folder}/{file}" in newest]
    story = {"newest_of": stories[0]} if stories else {}
    return {"movie": name, "files": files, **about, **story, **notes}


def _checkpoints(storage: Storage) -> list[dict[str, Any]]:
    """The last checkpoint of each training: its export if it is finished, else the newest complete checkpoint."""
    from storage import checkpoints

    last = {(entry.model, entry.fingerprint): entry for entry in checkpoints.entries(storage)}
    return [
        {"model": model, "fingerprint": fingerprint, "step": entry.step, "finished": entry.final}
        for (model, fingerprint), entry in last.items()
    ]


def _ffmpeg() -> dict[str, str]:
    try:
        program = ffmpeg_program()
    except ConfigError as error:
        return {"problem": str(error)}
    return {"version": program.version, "path": program.path}


def show_all(storage: Storage, watch: bool = False, html: Path | None = None) -> None:
    """Prints the runs of the Prefect server that PREFECT_API_URL names, and what the storage holds.

    Args:
        watch: print again every five seconds, until Ctrl-C.
        html: file for the same output as a page.

    Raises:
        ConfigError: `html` can't be written, or is there and no such page.
    """
    if html:
        refuse_to_replace(html, "--html", lambda data: _MADE_BY.encode() in data)
    page = Console(highlight=False, record=html is not None)
    while True:
        if watch:
            page.clear()
        _show_once(storage, page)
        if html:
            write_text(html, page.export_html().replace("<head>", f"<head>\n{_MADE_BY}", 1))
        if not watch:
            return
        time.sleep(_WATCH_EVERY)


def _show_once(storage: Storage, console: Console) -> None:
    found = status(storage)
    if os.environ.get("PREFECT_API_URL"):
        from flows.server import runs as server_runs

        server_runs.show(server_runs.runs(), console)
    console.print(f"[bold]{shown(storage.base)}[/]", soft_wrap=True)
    show(found, console)


def show(found: Status, console: Console) -> None:
    """Prints a status for people."""
    console.print(shown("ffmpeg: " + " at ".join(found["ffmpeg"].values())), soft_wrap=True)
    kept = ("snapshots", "checkpoints", "movies", "rejects")
    if not any(found["tables"].values()) and not any(found[part] for part in kept):
        console.print("nothing is kept here yet")
        return
    table = Table("table", "rows")
    for name, count in found["tables"].items():
        table.add_row(name, str(count))
    console.print(table)
    lines = {
        "Snapshots": [f"{row['snapshot']}: {', '.join(map(printable, row['films']))}" for row in found["snapshots"]],
        "Checkpoints": [
            f"{row['model']} {row['fingerprint']}: {'finished' if row['finished'] else 'stopped'} at step {row['step']}"
            for row in found["checkpoints"]
        ],
        "Movies": [line for row in found["movies"] for line in _movie_lines(row)],
        "Left out or damaged": [
            f"{row['source']} ({row['reason']}, {row['stage']}): {row['detail']}" for row in found["rejects"]
        ],
    }
    for title, rows in lines.items():
        console.print(f"[bold]{title}[/]" + (": none" if not rows else ""))
        for row in rows:
            console.print(f"  {shown(row)}", soft_wrap=True)


def _movie_lines(movie: dict[str, Any]) -> Iterator[str]:
    if "title" in movie:
        length = f"{movie['keyframes']} keyframes, {movie['seconds']:g} s"
        yield f"{movie['movie']}: movies/{movie['movie']}/movie.mp4 of the script {printable(movie['title'])}, {length}"
    else:
        newest = f", the newest of {printable(movie['newest_of'])!r}" if "newest_of" in movie else ""
        yield f"{movie['movie']}: {', '.join(movie['files'])}{newest}"
    yield from (f"  note: {note}" for note in movie.get("notes", []))
