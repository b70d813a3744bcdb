"""The local Prefect API starts with a run and leaves with it, also when the run is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys, urllib.request
from pathlib import Path
from flows.server.local_api import local_api
with local_api(Path(sys.argv[1])) as ready:
    ready()
    from prefect import flow
    from prefect.settings import get_current_settings

    @flow
    def three() -> int:
        return 3

    print(get_current_settings().api.url, three(), flush=True)
    if len(sys.argv) > 2:
        sys.stdin.read()
"""


def _start(home: Path, *arguments: str, **names: str) -> "subprocess.Popen[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(home), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean | names,
    )


def _servers(home: Path) -> list[int]:
    """Ids of the processes that write to the log in `home`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "fd/1").readlink() == home / "server.log":
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc")
def test_leaves_with_a_run_that_is_killed_and_serves_the_next(tmp_path: Path) -> None:
    killed = _start(tmp_path, "stay")
    assert killed.stdout is not None
    assert killed.stdout.readline().endswith(" 3\n")
    (server,) = _servers(tmp_path)
    handle = os.pidfd_open(server)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert _ended(handle)
    assert (tmp_path / "whole").exists()

    again = _start(tmp_path)
    printed, _ = again.communicate()
    assert printed.startswith("http://127.0.0.1:")
    assert printed.endswith(" 3\n")
    assert _servers(tmp_path) == []


def test_the_users_own_database_is_left_alone(tmp_path: Path) -> None:
    theirs, home = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    (theirs / "prefect.db").write_bytes(b"a year of runs")
    other = f"sqlite+aiosqlite:///{theirs / 'prefect.db'}"
    run = _start(home, PREFECT_HOME=str(theirs), PREFECT_API_DATABASE_CONNECTION_URL=other)
    printed, _ = run.communicate()
    assert printed.endswith(" 3\n")
    assert [path.name for path in theirs.iterdir()] == ["prefect.db"]
    assert (theirs / "prefect.db").read_bytes() == b"a year of runs"
    assert (home / "prefect.db").exists()


EARLY = """
import sys
from pathlib import Path
from flows.server.local_api import local_api
with local_api(Path(sys.argv[1])) as ready:
    ready()
    from prefect import flow

    @flow
    def none() -> None:
        raise ValueError("at once")

    none()
"""


def test_a_flow_that_fails_at_once_is_no_reason_to_complain_of_the_server(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    ran = subprocess.run(
        [sys.executable, "-c", EARLY, str(tmp_path)], capture_output=True, text=True, env=clean, check=False
    )
    assert ran.stderr.endswith("ValueError: at once\n")
    assert "Service 'EventsWorker' failed" not in ran.stderr


HANGS = """
import os, signal, subprocess, sys
from pathlib import Path
from flows.server import local_api
from tasks import progress

class Hanging(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.kill(self.pid, signal.SIGSTOP)

local_api.subprocess.Popen = Hanging
local_api.STARTUP_LIMIT, local_api._FAREWELL, progress._SOON = 0.5, 0.1, 0
try:
    with progress.telling(print), local_api.local_api(Path(sys.argv[1])) as ready:
        ready()
except local_api.LocalApiError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc")
def test_a_server_that_hangs_is_reported_given_up_and_ended(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-c", HANGS, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, env=clean, check=True)
    told, given_up = ran.stdout.splitlines()
    limit = "of at most 0.5; minutes are normal on a busy machine"
    assert told == f"waiting for Prefect's API to start (0 s {limit})"
    assert given_up.startswith("the local Prefect API did not start within 0.5 s (timed out); ")
    assert _servers(tmp_path) == []


def _ended(handle: int) -> bool:
    import select

    readable, _, _ = select.select([handle], [], [], 30)
    os.close(handle)
    return bool(readable)
