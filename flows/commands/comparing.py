"""`moviedreamer compare`: compares evaluation reports in tables."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from flows.display.shown import shown
from storage.errors import ConfigError
from tasks.evaluation import report
from tasks.evaluation.comparison import Difference, compare


class Compared(BaseModel, frozen=True, extra="forbid"):
    """The names of two reports, and their differences."""

    first: str
    second: str
    differences: list[Difference]


def compared(paths: Sequence[Path]) -> list[Compared]:
    """Compares the first report with each of the others.

    Raises:
        ConfigError: for a single report, a file that is not a report, or reports that share no samples.
    """
    if len(paths) < 2:
        raise ConfigError(f"compare needs two reports or more: name another one after {str(paths[0])!r}")
    first, *others = map(report.read, paths)
    return [Compared(first=first.name, second=other.name, differences=compare(first, other)) for other in others]


def show(found: Sequence[Compared], console: Console) -> None:
    """Prints a table for each pair and, below it, the reasons for missing values."""
    for pair in found:
        table = Table("metric", shown(pair.first), shown(pair.second), "difference", "95 % interval", "p (Holm)", "n")
        reasons: dict[str, list[str]] = {}
        for one in pair.differences:
            if one.reason:
                reasons.setdefault(one.reason, []).append(one.metric)
            if one.first is None and one.second is None:
                continue
            interval = "{:+.4g} to {:+.4g}".format(*one.interval) if one.interval else ""
            numbers = (_number(one.first), _number(one.second), _number(one.difference, "+"))
            chance = "" if one.p_holm is None else f"{one.p_holm:.3f}"
            table.add_row(one.metric, *numbers, interval, chance, str(one.n))
        console.print(table)
        for reason, metrics in reasons.items():
            console.print(f"{shown(', '.join(metrics))}: {shown(reason)}", soft_wrap=True)


def _number(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{value:{sign}.4g}"
