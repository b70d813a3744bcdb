"""What strikes the runs of benchmarks/faults.py."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import stack as stacks


def worker(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    stacks.until(parts.ray_workers, "a Ray worker")
    kill(draw.choice(parts.ray_workers()))


def node(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    address = draw.choice(stacks.NODES)
    for process in stacks.family(parts.raylets()[address]):
        kill(process)
    parts.kill(address, group=True)
    parts.start_node(address)


def driver(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    stacks.until(lambda: parts.drivers(run), "the driver")
    for process in parts.drivers(run):
        kill(process)


def submitter(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The process that waits for the Ray job."""
    stacks.until(lambda: parts.waiting(run), "the process that waits for the Ray job")
    for process in parts.waiting(run):
        kill(process)


def prefect_worker(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    parts.kill("worker")
    parts.start_worker()


def machine(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The Prefect worker and the flow's process at once."""
    stacks.until(lambda: parts.drivers(run), "the driver")
    parts.kill("worker")
    for process in parts.drivers(run):
        kill(process)
    parts.start_worker()


def prefect_server(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    parts.kill("server", group=True)
    parts.start_prefect()


def postgres(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    parts.control_postgres("restart", "-m", "immediate")


def s3(mood: str) -> "Strike":
    """The object store behaves so for 20 s."""

    def strike(parts: stacks.Stack, run: str, draw: random.Random) -> None:
        parts.proxy.mood = mood
        time.sleep(20)
        parts.proxy.mood = ""

    return strike


def full(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The disk that holds the storage is full for 20 s."""
    ballast = parts.small_disk / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    time.sleep(20)
    ballast.unlink()


def clock(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The clock of all processes of the run jumps by up to a day, back or forth (benchmarks/jumping_clock.c)."""
    with (parts.folder / "clock").open("r+b") as offset:
        offset.write(draw.randint(-86400, 86400).to_bytes(8, sys.byteorder, signed=True))


Strike = Callable[[stacks.Stack, str, random.Random], None]
STRIKES: Mapping[str, tuple[Strike, str]] = {
    "SIGKILL of a Ray worker": (worker, "job"),
    "SIGKILL of a Ray node": (node, "job"),
    "SIGKILL of the job's driver": (driver, "job"),
    "SIGKILL of the process that waits for the job": (submitter, "job"),
    "SIGKILL of the Prefect worker": (prefect_worker, "job"),
    "SIGKILL of the Prefect worker, flow in its process": (prefect_worker, "process"),
    "SIGKILL of the flow's process": (driver, "process"),
    "SIGKILL of Prefect worker and flow's process at once": (machine, "process"),
    "restart of the Prefect server": (prefect_server, "job"),
    "restart of Postgres": (postgres, "job"),
    "S3 answers 500": (s3("500"), "s3"),
    "S3 answers 503": (s3("503"), "s3"),
    "S3 drops connections": (s3("silent"), "s3"),
    "S3 drops every third request": (s3("unheard"), "s3"),
    "S3 drops every third answer of a commit": (s3("unanswered"), "s3"),
    "full disk": (full, "disk"),
    "clock jump": (clock, "clock"),
}
"""Fault -> who strikes, and what kind of run: a Ray job, with its storage in a folder, in S3 or on a small disk; or a
process of the Prefect worker, which is a driver on the cluster, or has a Ray of its own and a clock that can jump."""

CANCELS: Mapping[str, tuple[str, str]] = {
    "cancel of a hung flow, Ray job": ("work", "job"),
    "cancel of a hung training, Ray job": ("training", "job"),
    "cancel of a hung flow, process": ("work", "process"),
    "cancel of a flow that hangs before Ray, process": ("start", "process"),
}


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
