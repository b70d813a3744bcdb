"""A small process beside a run that kills everything the run leaves behind, however the run ends.

It waits until the run's process has ended, then kills the processes that it started: Ray's processes, decoders, the
local API. It finds them by a mark in their environment, even if their parent process has changed. If a run still
exists GRACE seconds after SIGTERM, it hangs in a library or while Ray starts or stops, and the keeper kills it. The
keeper learns of the signal through a pipe, even when the run can't execute Python code.

Work on a remote cluster needs no keeper: Ray ends the actors and placement groups of a driver that is gone.
"""

import functools
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GRACE = 12.0  # seconds from SIGTERM; Prefect's workers send SIGKILL after 30
FAREWELL = 2.0  # seconds in which the processes that the run started may exit by themselves
_LOOK_EVERY = 1.0  # seconds
_MARK = "MOVIEDREAMER_RUN"


@contextmanager
def kept() -> Iterator[None]:
    """Starts a keeper, which stays until this process ends, and protects this process from broken output pipes.

    Processes that are started in the block get the mark. Output to a pipe whose reader is gone, for example after a
    SIGKILL of the Prefect worker, is discarded.
    """
    signals, mark = _keeper()
    os.environ[_MARK] = mark
    main = threading.current_thread() is threading.main_thread()
    before = signal.set_wakeup_fd(signals, warn_on_full_buffer=False) if main else -1
    if before != -1:  # an event loop's
        signal.set_wakeup_fd(before)
    try:
        yield
    finally:
        os.environ.pop(_MARK, None)
        if main and before == -1:
            signal.set_wakeup_fd(-1)


@functools.cache
def _keeper() -> tuple[int, str]:
    """The pipe to this process's keeper, and the mark that it looks for."""
    mark = uuid.uuid4().hex
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), mark, str(GRACE), str(FAREWELL)]
    with Path(os.devnull).open("r+b") as nowhere:
        subprocess.Popen(command, stdin=reads, stdout=nowhere, stderr=nowhere, start_new_session=True)
    os.close(reads)
    threading.Thread(target=_outlive_readers, daemon=True).start()
    return writes, mark


def _outlive_readers() -> None:
    """Redirects standard output and error to /dev/null once their reader is gone."""
    broken = select.poll()
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                broken.register(descriptor, 0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    while True:
        for descriptor, event in broken.poll(_LOOK_EVERY * 1000):
            if event & select.POLLERR:
                os.dup2(nowhere, descriptor)
            else:  # closed
                broken.unregister(descriptor)


def keep(run: int, mark: str, grace: float, farewell: float) -> None:
    """The keeper's loop: waits for the run's end, kills a run that hangs, then kills the processes that it left.

    Args:
        run: id of the run's process, which is the parent of this one.
        grace: seconds between SIGTERM and killing the run.
        farewell: seconds between the run's end and killing the processes that it started.
    """
    deadline = float("inf")
    while os.getppid() == run:
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(run, signal.SIGKILL)
        readable, _, _ = select.select([0], [], [], min(_LOOK_EVERY, grace))
        told = os.read(0, 1024) if readable else b""
        if signal.SIGTERM in told:
            deadline = min(deadline, time.monotonic() + grace)
        elif readable and not told:  # the run closed the pipe, most likely because it is ending
            time.sleep(0.01)
    end = time.monotonic() + farewell
    while left := _marked(f"{_MARK}={mark}".encode()):
        for process in left if time.monotonic() > end else ():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


def _marked(mark: bytes) -> list[int]:
    """Ids of the processes that have the mark in their environment; none where the system has no /proc."""
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in place.read_bytes().split(b"\0"):
                found.append(int(place.parent.name))
    return found


if __name__ == "__main__":
    keep(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
