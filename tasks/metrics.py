"""Figures of our own stages for Prometheus, on the page of each node where Ray shows its own.

Ray adds "ray_" in front of their names, and labels for node, session and version; it forgets what was not said for half
a minute. Without a Ray they go nowhere.
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
    "moviedreamer_stage_waiting": "films, steps or keyframes that a stage has still to do: the depth of its queue",
    "moviedreamer_worker_busy": "share of time, 0-1, that a worker of a stage was at work and not waiting for films",
}

_EVERY = 10.0  # seconds


@contextmanager
def staged(stage: str) -> Iterator[Callable[[int, int], None]]:
    """Yields what says how far a stage is, (done, total); it is said again now and then until the block ends."""
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
    """How much of its time a worker is at work, since it began."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._began = self._changed = time.monotonic()
        self._worked = 0.0

    def waited(self) -> None:
        """The time up to now was spent waiting."""
        self._changed = time.monotonic()

    def worked(self) -> None:
        """The time since then was work."""
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
