"""Whatever ends a run ends all that it started, and a run that hangs is ended too."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="looks for processes in /proc")

RUN = """
import signal, subprocess, sys, threading
from flows.server import keeper

keeper.GRACE, keeper.FAREWELL, hangs = float(sys.argv[1]), 0.1, threading.Event()
signal.signal(signal.SIGTERM, lambda *_: hangs.wait() if "hangs" in sys.argv else sys.exit(143))
with keeper.kept():
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    print(child.pid, flush=True)
    sys.stdin.readline()
    print("a line to nobody")
    sys.stdout.flush()
    print("another", file=sys.stderr)
    sys.exit(7)
"""


def start(grace: float, *arguments: str) -> "tuple[subprocess.Popen[str], int]":
    """A run, and a handle of the process that it started."""
    command = [sys.executable, "-c", RUN, str(grace), *arguments]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert run.stdout is not None
    return run, os.pidfd_open(int(run.stdout.readline()))


def ended(handle: int) -> bool:
    readable, _, _ = select.select([handle], [], [], 30)
    os.close(handle)
    return bool(readable)


@pytest.mark.parametrize(
    ("grace", "how", "said", "code"),
    [
        (60, signal.SIGTERM, (), 143),
        (60, signal.SIGKILL, (), -signal.SIGKILL),
        (0.2, signal.SIGTERM, ("hangs",), -signal.SIGKILL),
    ],
    ids=["told to stop", "killed", "told to stop and hangs"],
)
def test_nothing_that_a_run_started_outlives_it(grace: float, how: int, said: tuple[str, ...], code: int) -> None:
    run, child = start(grace, *said)
    run.send_signal(how)
    run.communicate()
    assert run.returncode == code
    assert ended(child)


def test_lines_to_a_pipe_that_nobody_reads_end_no_run() -> None:
    run, child = start(60)
    assert run.stdin is not None
    assert run.stdout is not None
    run.stdout.close()
    assert _points_nowhere(run.pid)
    run.stdin.write("\n")
    run.stdin.close()
    assert run.wait() == 7
    assert ended(child)


def _points_nowhere(process: int) -> bool:
    while Path(f"/proc/{process}/fd/1").readlink() != Path(os.devnull):
        os.sched_yield()
    return True
