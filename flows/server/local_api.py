"""A Prefect API for one run on this machine: it starts and ends with the run, however the run ends.

Prefect's own ephemeral server outlives a run that is killed. This one is the same application in a child process that
reads its standard input and exits when that closes, as it does when the run dies. Its small database is in a folder
beside the run's results, so `PREFECT_HOME=<storage>/.prefect prefect server start` shows the run afterwards.
"""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from storage.errors import MovieDreamerError
from tasks.progress import tell_while

STARTUP_LIMIT = 600  # seconds; the very first start takes 12 to 27 on two idle cores
_FAREWELL = 10  # seconds for its last events to arrive, and again for it to exit

QUIET = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
_PATIENCE = {  # seconds: Prefect's defaults, 5, 10 and 60, are too short on a busy machine
    "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "120",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "120",
    "PREFECT_API_REQUEST_TIMEOUT": "300",
}


class LocalApiError(MovieDreamerError):
    """The local Prefect API did not start; the message ends with the end of its log."""


@contextmanager
def local_api(home: Path) -> Iterator[Callable[[], None]]:
    """Starts a Prefect API that lives as long as the block. Prefect must not be imported before the block.

    The server starts while the block's imports run; the yielded function waits for it. If PREFECT_API_URL is set,
    that server is used and nothing is started. A PREFECT_HOME and a database that the environment names belong to the
    user and are not touched.

    Args:
        home: folder of the run's own database and log; created if missing. An incomplete database in it is removed.

    Raises:
        LocalApiError: from the yielded function, when the server does not start.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield lambda: None
        return
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        ours = {**QUIET, **_PATIENCE, **os.environ, **_own_database(home), **_past_proxies()}
        server = _start(listening, home, ours)
    ours["PREFECT_API_URL"] = url
    before = dict(os.environ)
    os.environ.update(ours)
    try:
        yield lambda: _wait(server, url, home)
    finally:
        _drain()
        os.environ.clear()
        os.environ.update(before)
        assert server.stdin is not None
        server.stdin.close()
        try:
            server.wait(_FAREWELL)
        except subprocess.TimeoutExpired:  # it hangs
            server.kill()
            server.wait()


def _start(listening: socket.socket, home: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    if not _is_whole(home):  # killed while its tables were created: they cannot be used
        for ending in ("", "-shm", "-wal", "-journal"):
            (home / f"prefect.db{ending}").unlink(missing_ok=True)
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.server.local_api", str(listening.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listening.fileno()],
            env=environment | {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"},
            start_new_session=True,  # Ctrl-C must reach only the run, which still has to report its end
        )


def _wait(server: "subprocess.Popen[bytes]", url: str, home: Path) -> None:
    waiting, limit = "waiting for Prefect's API to start", f"of at most {STARTUP_LIMIT}"
    try:
        with (
            tell_while(waiting, f"{limit}; minutes are normal on a busy machine"),
            urllib.request.urlopen(f"{url}/health", timeout=STARTUP_LIMIT),
        ):
            (home / "whole").write_text(version("prefect"))
    except OSError as error:
        log = (home / "server.log").read_text(errors="replace").strip().splitlines()
        raise LocalApiError(
            f"the local Prefect API did not start within {STARTUP_LIMIT} s ({error}); "
            f"{home / 'server.log'} ends with: {' | '.join(log[-3:]) or 'nothing'}"
        ) from error


def _drain() -> None:
    """Waits until Prefect's pending events are sent; it would log errors about them once the server is gone."""
    if worker := sys.modules.get("prefect.events.worker"):
        worker.EventsWorker.drain_all(timeout=_FAREWELL)


def _own_database(home: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
    }


def _past_proxies() -> dict[str, str]:
    others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    return dict.fromkeys(("no_proxy", "NO_PROXY"), f"{others},127.0.0.1" if others else "127.0.0.1")


def _is_whole(home: Path) -> bool:
    mark = home / "whole"
    return mark.exists() and mark.read_text() == version("prefect")


def serve(file_descriptor: int) -> None:
    """The child: serves Prefect's API on an open socket until standard input closes."""

    def leave_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=leave_with_parent, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app, factory=True, lifespan="on", log_level="error")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=file_descriptor)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
