"""What the command line shows while a flow runs: progress bars on a terminal, a plain line now and then elsewhere."""

import os
import sys
import time
import warnings

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from flows.display.reporting import Stage, label, pace
from storage.printable import LINE, printable
from tasks.shown import clock


class Terminal:
    """Bars with the time so far and an estimate of the rest; a line for each stage that is done.

    Writes to standard error, so that a command's output stays separate.
    """

    plain_every = 10.0  # seconds between two lines of a stage where there is no terminal

    def __init__(self, console: Console) -> None:
        self.console = console
        self.finished: list[str] = []
        self.failed: list[Stage] = []
        self._bars: dict[tuple[str, str], TaskID] = {}
        self._last: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[times]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Terminal":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begins(self, stage: Stage) -> None:
        if self.console.is_terminal:
            self._bars[stage.name, ""] = self._progress.add_task(escape(stage.name), total=None, times="")

    def moves(self, stage: Stage, what: str) -> None:
        if not self.console.is_terminal:
            now = time.monotonic()
            if now - self._last.get(stage.name, stage.began) >= self.plain_every:
                self._last[stage.name] = now
                self._print(f"  {stage.name}: {pace(stage, what)}")
            return
        if (waiting := self._bars.pop((stage.name, ""), None)) is not None:
            self._progress.remove_task(waiting)
        steps, key = stage.steps[what], (stage.name, what)
        if steps.finished and what != stage.name:
            if (bar := self._bars.pop(key, None)) is not None:
                self._progress.remove_task(bar)
            return
        if key not in self._bars:
            name = stage.name if what == stage.name else f"{stage.name}: {label(what)}"
            self._bars[key] = self._progress.add_task(escape(name), total=steps.total, times="")
        rest = stage.remaining(what)
        times = clock(stage.seconds) + (f", about {clock(rest)} to go" if rest else "")
        self._progress.update(self._bars[key], completed=steps.done, total=steps.total, times=times)

    def ends(self, stage: Stage) -> None:
        self._clear(stage)
        if stage.name in self.finished and stage.idle:
            return  # a later flow asks for what an earlier one has just made
        self.finished.append(stage.name)
        self._print(f"[green]done[/] {stage.name:<20} {clock(stage.seconds):>6}  [dim]{escape(stage.summary())}[/]")

    def fails(self, stage: Stage) -> None:
        self._clear(stage)
        self.failed.append(stage)
        done = f": {stage.summary()}" if stage.steps else ""
        self._print(f"[red]stopped[/] {stage.name} after {clock(stage.seconds)}{escape(done)}")

    def warns(self, text: str) -> None:
        self._print(f"[yellow]note[/] {escape(text)}")

    def name_what_is_kept(self, place: str) -> None:
        """Says what a run that ends early has finished, so that the next run skips it."""
        if self.finished:
            done = f"finished and kept in {printable(place, LINE)}: {', '.join(self.finished)}"
            self._print(f"{escape(done)}; the same command goes on from there")

    def _clear(self, stage: Stage) -> None:
        for key in [key for key in list(self._bars) if key[0] == stage.name]:  # another stage may begin meanwhile
            self._progress.remove_task(self._bars.pop(key))

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def quiet() -> None:
    """Silences libraries: the command line prints each error once, in one line; a Prefect server still gets logs."""
    if os.environ.get("MOVIEDREAMER_DEBUG"):
        return
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    for name in ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS"):  # libraries draw bars of their own
        os.environ.setdefault(name, "1")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
