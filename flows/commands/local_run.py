"""Runs a flow in this process for the command line: no server to set up, progress bars, one summary at the end."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows import catalogue
from flows.display.console import Terminal, quiet
from flows.display.reporting import listening
from flows.display.shown import show_figures, shown
from flows.server.local_api import local_api
from flows.settings.assignments import in_utf8
from models.metrics.figure import Figure
from storage.masked import masked
from storage.root import Storage
from storage.tables.rejects import NOTES, Reject
from tasks.progress import telling

if TYPE_CHECKING:
    from flows.run import References

_API_ROOM = 8 << 20  # bytes that Prefect's database takes, and a little more

Result = dict[str, Any]
"""What `run --json` prints: flow, storage, result (flows.run.References), files by name, metrics, rejects and notes of
this run, rejects_before."""


def run_here(
    flow: str, recipe: str, uri: str, overrides: Sequence[str], console: Console, into: bool = False
) -> Result:
    """Runs a flow and returns its results.

    Args:
        into: whether the storage may be a folder that holds other files.

    Raises:
        ConfigError: unknown flow, recipe or setting, or a storage that is not ours; nothing has been written then.
        StorageError: a storage that cannot be written, is full, or in which another run is at work.
    """
    catalogue.check("flow", flow, catalogue.FLOWS)
    from flows.run import opened
    from flows.server.home import home
    from storage.tables.tables import Tables

    with opened(flow, recipe, uri, overrides, into=into) as run:
        run.storage.check_room(_API_ROOM)
        before = Tables(run.storage).rejects()
        with local_api(home(run.storage)) as ready:
            quiet()
            if not console.is_terminal:
                console.print("starting")
            with console.status("starting"), telling(Terminal(console).warns):
                function = catalogue.flow(flow)
                ready()
            with Terminal(console) as terminal, listening(terminal):
                try:
                    told = [masked(in_utf8(one)) for one in overrides]  # Prefect keeps them; the run is open already
                    made = function(recipe=recipe, storage=masked(uri), overrides=told)
                except BaseException:
                    terminal.name_what_is_kept(run.storage.base)
                    raise
        return {"flow": flow, "storage": run.storage.base, **_results(run.storage, made, before)}


def print_result(result: Result, console: Console) -> None:
    """Prints what was left out, the metrics, and where the results are."""
    for note in result["notes"]:
        console.print(f"note: {shown(note)}", soft_wrap=True)
    for reject in result["rejects"]:
        console.print(f"left out: {shown(reject)}", soft_wrap=True)
    if earlier := result["rejects_before"]:
        lists = f"moviedreamer status --storage {shlex.quote(result['storage'])}"
        console.print(f"left out or noted by earlier runs: {earlier}; {shown(lists)} lists them", soft_wrap=True)
    if result["metrics"]:
        show_figures({name: Figure(**metric) for name, metric in result["metrics"].items()}, console)
    references = {name: text for name, text in result["result"].items() if name != "files" and text}
    for name, text in {**references, **result["files"]}.items():
        console.print(f"{name:<15} {shown(text)}", soft_wrap=True)


def _results(storage: Storage, made: "References", before: Sequence[Reject]) -> Result:
    from storage.tables.tables import Tables

    files = {url.rsplit("/", 1)[-1]: url for url in made.files}
    rels = {name: url.removeprefix(storage.url("").rstrip("/") + "/") for name, url in files.items()}
    metrics = rels.get("metrics.json")
    told = json.loads(storage.read_bytes(rels["notes.json"])) if "notes.json" in rels else []
    told += _left_alone(storage, rels.get("storyboard.html", ""))
    now = Tables(storage).rejects()
    known = set(before)
    new = [reject for reject in now if reject not in known]
    return {
        "result": asdict(made),
        "files": files,
        "metrics": json.loads(storage.read_bytes(metrics)) if metrics else {},
        "rejects": [_reject_line(reject) for reject in new if reject.reason not in NOTES],
        "rejects_before": len(now) - len(new),
        "notes": told + [_reject_line(reject) for reject in new if reject.reason in NOTES],
    }


def _left_alone(storage: Storage, page: str) -> list[str]:
    """Notes about files that this run did not overwrite."""
    from flows.server.home import home
    from storage import layout, publish

    told = publish.notes(storage, page.split("/")[1]) if "/" in page else []
    if storage.is_local and not home(storage).is_relative_to(storage.uri):
        left, place = storage.url(layout.HOME), str(home(storage))
        told.append(f"{left!r} was not made by a run and is left alone: what Prefect keeps is in {place!r}")
    return told


def _reject_line(reject: Reject) -> str:
    return f"{reject.source} ({reject.reason}): {reject.detail}"
