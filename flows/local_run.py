"""Runs a flow in this process for the command line: no server to set up, bars to watch, one summary at the end."""

import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows import catalogue
from flows.console import Terminal
from flows.local_api import local_api
from flows.reporting import listening
from storage.root import Storage

_API_ROOM = 8 << 20  # bytes that Prefect's database takes, and a little more

Result = dict[str, Any]
"""What `run --json` prints: flow, storage, result, files, metrics, rejects, notes."""


def run_here(flow: str, recipe: str, uri: str, overrides: Sequence[str], console: Console) -> Result:
    """Runs a flow and returns what came out.

    Raises:
        ConfigError: unknown flow, recipe or setting; nothing has been written then.
        StorageError: a storage that cannot be written, is full, or in which another run is at work.
    """
    catalogue.check("flow", flow, catalogue.FLOWS)
    from flows.workplace import workplace

    with workplace(recipe, uri, overrides, flow) as (_, storage):
        storage.check_room(_API_ROOM)
        return _run(flow, recipe, uri, overrides, storage, console)


def _run(flow: str, recipe: str, uri: str, overrides: Sequence[str], storage: Storage, console: Console) -> Result:
    from flows.lock import home

    with local_api(home(storage)) as ready:
        _quiet()
        if not console.is_terminal:
            console.print("starting")
        with console.status("starting"):
            function = catalogue.flow(flow)
            ready()
        with Terminal(console) as terminal, listening(terminal):
            try:
                result = function(recipe=recipe, storage=uri, overrides=list(overrides))
            except BaseException:
                terminal.name_what_is_kept(storage.base)
                raise
    return {"flow": flow, "storage": storage.base, "result": result, **_results(storage, flow, result)}


def print_result(result: Result, console: Console) -> None:
    """What was left out, the metrics, and where the movie and its page are."""
    if isinstance(result["result"], str):
        console.print(f"{result['flow']}: {escape(result['result'])} in {escape(result['storage'])}", soft_wrap=True)
    for reject in result["rejects"]:
        console.print(f"left out or damaged: {escape(reject)}", soft_wrap=True)
    for note in result["notes"]:
        console.print(f"note: {escape(note)}", soft_wrap=True)
    if result["metrics"]:
        table = Table("metric", "value", "samples")
        for name, metric in result["metrics"].items():
            table.add_row(escape(name), _figure(metric["value"]), str(metric["n"]))
        console.print(table)
    for name, url in result["files"].items():
        console.print(f"{name:<16}{escape(url)}", soft_wrap=True)


def _results(storage: Storage, flow: str, result: Any) -> Result:
    from storage.tables import Tables

    urls = result if flow == "render_movies" else result["files"] if flow == "studio" else []
    files = {url.rsplit("/", 1)[-1]: url for url in urls}
    metrics = result if flow == "evaluate" else "metrics.json" if "metrics.json" in files else None
    notes = files["notes.json"].removeprefix(storage.url("") + "/") if "notes.json" in files else None
    rejects = [f"{reject.source} ({reject.reason}): {reject.detail}" for reject in Tables(storage).rejects()]
    return {
        "files": files,
        "metrics": json.loads(storage.read_bytes(metrics)) if metrics else {},
        "rejects": rejects,
        "notes": json.loads(storage.read_bytes(notes)) if notes else [],
    }


def _figure(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _quiet() -> None:
    """Errors reach people once, as one line, by the command line; a Prefect server of theirs still gets its logs."""
    if os.environ.get("MOVIEDREAMER_DEBUG"):
        return
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    for name in ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS"):  # libraries draw bars of their own
        os.environ.setdefault(name, "1")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
