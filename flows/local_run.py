"""Runs a flow in this process for the command line: no server to set up, bars to watch, one summary at the end."""

import fcntl
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows import catalogue
from flows.console import Terminal
from flows.local_api import local_api
from flows.reporting import listening
from storage.errors import StorageError
from storage.fingerprint import fingerprint
from storage.root import Storage

Result = dict[str, Any]
"""What `run --json` prints: flow, storage, result, files, metrics, rejects."""


def run_here(flow: str, recipe: str, uri: str, overrides: Sequence[str], console: Console) -> Result:
    """Runs a flow and returns what came out.

    Raises:
        ConfigError: unknown flow, recipe or setting; nothing has been written then.
        StorageError: a storage that cannot be written, or in which another run is at work.
    """
    catalogue.check("flow", flow, catalogue.FLOWS)
    from flows.recipes import resolve

    resolve(recipe, overrides)
    storage = Storage(uri)
    storage.check_writable()
    home = _home(storage)
    with _alone(home, storage), local_api(home) as ready:
        _quiet()
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
    if result["metrics"]:
        table = Table("metric", "value", "samples")
        for name, metric in result["metrics"].items():
            table.add_row(escape(name), _figure(metric["value"]), str(metric["n"]))
        console.print(table)
    for name, url in result["files"].items():
        console.print(f"{name:<16}{escape(url)}", soft_wrap=True)


def _results(storage: Storage, flow: str, result: Any) -> Result:
    from storage.publish import PUBLISHED
    from storage.tables import Tables

    files = {name: storage.url(name) for name in PUBLISHED} if flow in ("render_movies", "studio") else {}
    metrics = result if flow == "evaluate" else "metrics.json" if files else None
    rejects = [f"{reject.source} ({reject.reason}): {reject.detail}" for reject in Tables(storage).rejects()]
    return {
        "files": files,
        "metrics": json.loads(storage.read_bytes(metrics)) if metrics else {},
        "rejects": rejects,
    }


def _figure(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _home(storage: Storage) -> Path:
    """Where the local API keeps its database: inside a local storage, else in the user's cache."""
    if storage.is_local:
        return Path(storage.uri) / ".prefect"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "moviedreamer" / fingerprint(storage.base)


@contextmanager
def _alone(home: Path, storage: Storage) -> Iterator[None]:
    """Keeps a second local run out of the same storage; the system lifts the lock however this process ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(
                f"another run (process {_read(lock)}) is at work in {storage.base!r}: "
                "wait for it, or name another place with --storage"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _read(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read() or "unknown"


def _quiet() -> None:
    """Errors reach people once, as one line, by the command line; a Prefect server of theirs still gets its logs."""
    if os.environ.get("MOVIEDREAMER_DEBUG"):
        return
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("TQDM_DISABLE", "1")  # transformers draws bars of its own
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
