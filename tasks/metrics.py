"""Metrics of our stages for Prometheus, exported by Ray on each node beside its own.

Ray prefixes the names with "ray_", adds labels for node, session and version, and drops a value that was not set for
half a minute. Without Ray nothing is exported.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from tasks.cluster import connected

if TYPE_CHECKING:
    from ray.util.metrics import Gauge

GAUGES = {
    "moviedreamer_stage_done": "films, steps or keyframes that a stage has finished; its rate is the stage's pace",
    "moviedreamer_stage_waiting": "films, steps or keyframes that are left in a stage: the depth of its queue",
    "moviedreamer_worker_busy": "share of time, 0-1, that a worker of a stage works instead of waiting for films",
}

_EVERY = 10.0  # seconds


@contextmanager
def staged(stage: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function that sets a stage's (done, total); the values are set again regularly until the block ends."""
    over = threading.Event()
    last: tuple[int, int] | None = None

    def say(done: int, total: int) -> None:
        nonlocal last
        last = done, total
        _set("moviedreamer_stage_done", stage, done)
        _set("moviedreamer_stage_waiting", stage, total - done)

    def say_again() -> None:
        while not over.wait(_EVERY):
            if last:
                say(*last)

    thread = threading.Thread(target=say_again, daemon=True)
    thread.start()
    try:
        yield say
    finally:
        over.set()
        thread.join()


class Busy:
    """The share of time that a worker has worked since its start."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._began = self._changed = time.monotonic()
        self._worked = 0.0

    def waited(self) -> None:
        """Ends a time of waiting."""
        self._changed = time.monotonic()

    def worked(self) -> None:
        """Ends a time of work."""
        now = time.monotonic()
        self._worked += now - self._changed
        self._changed = now
        _set("moviedreamer_worker_busy", self._stage, self._worked / max(now - self._began, 1e-9))


def _set(name: str, stage: str, value: float) -> None:
    if connected():
        _gauge(name).set(value, {"stage": stage})


@cache
def _gauge(name: str) -> "Gauge":
    from ray.util.metrics import Gauge

    return Gauge(name, GAUGES[name], ("stage",))
