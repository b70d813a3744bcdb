"""What people see of a stage while it works: one place that the flows tell, and whoever listens.

The command line listens with bars (flows.console); in a deployment nobody does, and the run's log gets a line now and
then. Either way Prefect gets a progress artifact.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from flows.artifacts import ProgressArtifact

Progress = Callable[[str, int, int], None]
"""(what, done, total), as tasks.progress has it."""


@dataclass
class Stage:
    """One stage of this run, as far as it has come."""

    name: str
    began: float = field(default_factory=time.monotonic)
    first: dict[str, int] = field(default_factory=dict)
    steps: dict[str, tuple[int, int]] = field(default_factory=dict)

    def update(self, what: str, done: int, total: int) -> None:
        self.first.setdefault(what, done)
        self.steps[what] = done, total

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def fraction(self) -> float:
        """0-1 of the work in sight."""
        total = sum(total for _, total in self.steps.values())
        return sum(done for done, _ in self.steps.values()) / total if total else 0.0

    def remaining(self, what: str) -> float | None:
        """Seconds that the rest will take at the pace so far; None before there is a pace."""
        done, total = self.steps[what]
        new = done - self.first[what]
        return self.seconds / new * (total - done) if new > 0 else None

    def summary(self) -> str:
        """What was done in this run, and what had been done before."""
        parts = [f"{what} {done} of {total}" for what, (done, total) in self.steps.items()]
        return "; ".join(parts) or "nothing to do, kept from before"


class Listener(Protocol):
    """Who hears about the stages of a run, from one thread or several."""

    def begins(self, stage: Stage) -> None: ...

    def moves(self, stage: Stage, what: str) -> None: ...

    def ends(self, stage: Stage) -> None: ...

    def fails(self, stage: Stage) -> None: ...


class RunLog:
    """Tells the log of the Prefect run: a line at the beginning, every half minute, and at the end."""

    every = 30.0

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def begins(self, stage: Stage) -> None:
        self._say(f"{stage.name} begins")

    def moves(self, stage: Stage, what: str) -> None:
        now = time.monotonic()
        if now - self._last.setdefault(stage.name, now) >= self.every:
            self._last[stage.name] = now
            self._say(f"{stage.name}: {pace(stage, what)}")

    def ends(self, stage: Stage) -> None:
        self._say(f"{stage.name}: {stage.summary()} ({clock(stage.seconds)})")

    def fails(self, stage: Stage) -> None:
        self._say(f"{stage.name} stopped: {stage.summary()}")

    def _say(self, text: str) -> None:
        from prefect import get_run_logger

        get_run_logger().info(text)


_listener: ContextVar[Listener] = ContextVar("listener")


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Makes `listener` the one who hears about all stages in the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def reported(name: str) -> Iterator[Progress]:
    """Wraps one stage; yields what its work calls with (what, done, total) as it goes on."""
    stage, listener = Stage(name), _listener.get(None) or RunLog()
    artifact = ProgressArtifact(name)
    listener.begins(stage)

    def progress(what: str, done: int, total: int) -> None:
        if not total:  # nothing in sight yet
            return
        stage.update(what, done, total)
        listener.moves(stage, what)
        artifact.update(stage.fraction, pace(stage, what))

    try:
        yield progress
    except BaseException:
        listener.fails(stage)
        raise
    artifact.finish(stage.summary())
    listener.ends(stage)


def pace(stage: Stage, what: str) -> str:
    done, total = stage.steps[what]
    rest = stage.remaining(what)
    return f"{what} {done}/{total}, {clock(stage.seconds)} so far" + (f", about {clock(rest)} to go" if rest else "")


def clock(seconds: float) -> str:
    """1:05, or 2:03:04."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"
