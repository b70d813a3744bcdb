"""Reports the progress of stages to a listener.

On the command line the listener shows bars (flows.display.console); in a deployment there is none, and the run's log
gets a line now and then. Either way Prefect gets a progress artifact.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Protocol

from flows.display.artifacts import ProgressArtifact, show_dashboard
from storage.printable import LINE, printable
from storage.remote import is_remote, local_path, split
from tasks.cluster import dashboard
from tasks.metrics import staged
from tasks.progress import telling
from tasks.shown import clock

Progress = Callable[[str, int, int], None]
"""(what, done, total), as tasks.progress has it."""

_LONG_ENOUGH = 30.0  # seconds after the first step, from which on the rest is estimated in any case


@dataclass(frozen=True)
class Steps:
    """Progress of one part of a stage.

    Attributes:
        first, heard: steps done when this run first heard of it, and the time then.
        start, began: steps done after the first step of this run, and the time then. Processes start and models load
            before that, so the pace is measured from there.
    """

    done: int
    total: int
    first: int
    heard: float
    start: int = 0
    began: float | None = None

    @property
    def finished(self) -> bool:
        return self.done >= self.total


@dataclass
class Stage:
    """Progress of one stage.

    Its own steps have its name; other steps belong to a part of it, such as a film, and are dropped once they are done.

    Args:
        of: what its own steps are when the first that is heard of them is how many were done before, such as "films".
    """

    name: str
    of: str = ""
    began: float = field(default_factory=time.monotonic)
    steps: dict[str, Steps] = field(default_factory=dict)
    left: int = 0  # parts

    def update(self, what: str, done: int, total: int) -> None:
        for name, steps in list(self.steps.items()):
            if name not in (self.name, what) and steps.finished:
                del self.steps[name]
                self.left += 1
        old = self.steps.get(what)
        if old is None or done < old.done:  # less than before: a film whose worker ended, or another of that name
            self.steps[what] = Steps(done, total, done, time.monotonic())
        elif old.began is None and done > old.done:
            self.steps[what] = replace(old, done=done, total=total, start=done, began=time.monotonic())
        else:
            self.steps[what] = replace(old, done=done, total=total)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def fraction(self) -> float:
        """Finished share of the known work, 0-1; unfinished parts count by their finished share."""
        own = self.steps.get(self.name)
        if own is None:
            total = sum(steps.total for steps in self.steps.values())
            return sum(steps.done for steps in self.steps.values()) / total if total else 0.0
        parts = sum(steps.done / steps.total for what, steps in self.steps.items() if what != self.name)
        return min(1.0, (own.done + parts) / own.total)

    def remaining(self, what: str) -> float | None:
        """Seconds that the rest will take at the pace since the first step, which leaves out the start-up.

        None until as much time has passed since the first step as before it, or half a minute: parallel workers finish
        their first steps together, so the pace is unknown until then.
        """
        steps, now = self.steps[what], time.monotonic()
        if steps.began is None or steps.done == steps.start:
            return None
        if now - steps.began < min(_LONG_ENOUGH, steps.began - steps.heard):
            return None
        return (now - steps.began) / (steps.done - steps.start) * (steps.total - steps.done)

    @property
    def idle(self) -> bool:
        """Whether nothing was done."""
        return not self.left and all(steps.done == steps.first for steps in self.steps.values())

    def summary(self) -> str:
        """What was done: the stage's own steps or, where it has none, its last parts and how many were before."""
        own = self.steps.get(self.name)
        if own and self.of:
            counts = {"new": own.done - own.first, "from before": own.first}
            told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            return f"{own.done} of {own.total} {self.of}" + (f": {told}" if told else "")
        seen = {self.name: self.steps[self.name]} if self.name in self.steps else self.steps
        parts = [f"{label(what)} {steps.done} of {steps.total}" for what, steps in seen.items()]
        more = f" and {self.left} more" if self.left and self.name not in self.steps else ""
        return "; ".join(parts) + more or "nothing to do, kept from before"


class Listener(Protocol):
    """Receives the progress of a run's stages, from one thread or several."""

    def begins(self, stage: Stage) -> None: ...

    def moves(self, stage: Stage, what: str) -> None: ...

    def ends(self, stage: Stage) -> None: ...

    def fails(self, stage: Stage) -> None: ...

    def warns(self, text: str) -> None: ...


class RunLog:
    """Writes to the log of the Prefect run: a line at the beginning, every half minute, and at the end.

    Each record has the fields `stage` and `film` besides Prefect's own ids of flow run and task run.
    """

    every = 30.0

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def begins(self, stage: Stage) -> None:
        self._say(f"{stage.name} begins", stage)

    def moves(self, stage: Stage, what: str) -> None:
        now = time.monotonic()
        if now - self._last.setdefault(stage.name, now) >= self.every:
            self._last[stage.name] = now
            self._say(f"{stage.name}: {pace(stage, what)}", stage, what)

    def ends(self, stage: Stage) -> None:
        self._say(f"{stage.name}: {stage.summary()} ({clock(stage.seconds)})", stage)

    def fails(self, stage: Stage) -> None:
        self._say(f"{stage.name} stopped: {stage.summary()}", stage)

    def warns(self, text: str) -> None:
        from prefect import get_run_logger

        get_run_logger().warning(text)

    def _say(self, text: str, stage: Stage, what: str = "") -> None:
        from prefect import get_run_logger

        film = label(what) if what and what != stage.name else ""
        get_run_logger().info(text, extra={"stage": stage.name, "film": film})


_listener: ContextVar[Listener] = ContextVar("listener")


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Sends the progress of all stages in the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def warn(text: str) -> None:
    """Shows a warning; the run continues."""
    (_listener.get(None) or RunLog()).warns(printable(text, LINE))


@contextmanager
def reported(name: str, of: str = "", artifact: bool = True) -> Iterator[Progress]:
    """Wraps one stage; yields a function that its work calls with (what, done, total).

    Args:
        of: see Stage.
        artifact: whether Prefect shows it too.
    """
    stage, listener = Stage(name, of), _listener.get(None) or RunLog()
    shown, one_at_a_time = ProgressArtifact(name) if artifact else None, threading.Lock()
    listener.begins(stage)

    def progress(what: str, done: int, total: int) -> None:
        if not total:  # nothing in sight yet
            return
        with one_at_a_time:
            stage.update(what, done, total)
            if what == stage.name:
                say(done, total)
            listener.moves(stage, what)
            if stage.idle:
                return
            if shown:
                shown.update(stage.fraction, pace(stage, what))

    try:
        with telling(listener.warns), staged(name) as say:
            yield progress
    except BaseException:
        listener.fails(stage)
        raise
    if shown:
        shown.finish(stage.summary())
        if url := dashboard():
            show_dashboard(url)
    listener.ends(stage)


def pace(stage: Stage, what: str) -> str:
    """Progress of a part of a stage, the stage's time so far, and an estimate of the part's remaining time."""
    steps, rest = stage.steps[what], stage.remaining(what)
    so_far = f"{label(what)} {steps.done}/{steps.total}, {clock(stage.seconds)} so far"
    return so_far + (f", about {clock(rest)} to go" if rest else "")


def label(what: str) -> str:
    """The display name of a part of a stage; for a film's path the name of its file."""
    place = split(what)[1] if is_remote(what) else str(local_path(what))
    return printable(PurePath(place).name or what)
