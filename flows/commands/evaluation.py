"""`moviedreamer evaluate` measures results in folders and writes reports; `moviedreamer compare` compares reports."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from flows.commands.outputs import refuse_to_replace, write_text
from flows.display.console import Terminal
from flows.display.reporting import listening, reported
from flows.display.shown import show_figures, shown
from flows.run import opened
from storage.errors import ConfigError
from storage.results.systems import loose, renamed, systems
from storage.stories import reading
from tasks.evaluation import report as reporting
from tasks.evaluation.comparison import Difference, compare, other_networks
from tasks.evaluation.report import Report
from tasks.evaluation.systems import reports


def run(
    folder: Path,
    layout: str,
    real: Path | None,
    stories: Path | None,
    recipe: str,
    uri: str,
    overrides: Sequence[str],
    console: Console,
    into: bool,
) -> list[Report]:
    """Evaluates the systems whose results are in a folder.

    Args:
        layout: the folder's, see storage.results.systems.
        real: folder with pictures of real films, for FID.
        stories: folder with the story files that the results were made of.
        into: whether the storage may be a folder that holds other files.

    Raises:
        ConfigError: a folder, layout or setting that can't be used.
        StorageError: a storage that cannot be written, or in which another run is at work.
    """
    found, others = systems(folder, layout), loose(real) if real else []
    told, faults = reading.stories(stories) if stories else ({}, {})
    every = [result for results in found.values() for result in results]
    told, faults = renamed(told, every), renamed(faults, every)
    with (
        opened("evaluate", recipe, uri, overrides, into=into, uses=frozenset({"evaluate"})) as work,
        Terminal(console) as terminal,
        listening(terminal),
        reported("evaluate", of="shards", artifact=False) as progress,
    ):
        measures, cluster = work.settings.evaluate, work.settings.cluster
        same_face = measures.same_face
        made = reports(measures.metrics, found, others, told, same_face, work.storage, cluster, progress)
    ours = {result.story for result in every}
    unread = [f"the story file of {name!r} can't be read: {said}" for name, said in faults.items() if name in ours]
    return [one.model_copy(update={"notes": (*one.notes, *unread)}) for one in made]


def write(found: Sequence[Report], path: Path) -> list[Path]:
    """Writes one file per report; if there are several, each file's name includes its report's.

    Raises:
        ConfigError: a file that can't be written, or is there and no report.
    """
    names = [report.name.replace("/", "-") for report in found]
    paths = [path.with_name(f"{path.stem}-{name}{path.suffix}") for name in names] if len(found) > 1 else [path]
    for each in paths:
        check_output(each)
    for each, report in zip(paths, found, strict=True):
        write_text(each, report.text())
    return paths


def check_output(path: Path) -> None:
    """Raises a ConfigError if `path` is a file that is not a report; a report is replaced."""
    refuse_to_replace(path, "-o", _is_report)


def _is_report(data: bytes) -> bool:
    try:
        reporting.parse(data, "")
    except ConfigError:
        return False
    return True


def show(report: Report, console: Console) -> None:
    """Prints the figures of a report and its notes, which say which stories don't count."""
    show_figures(report.figures, console, f"{report.name}: {report.n} pictures")
    for note in report.notes:
        console.print(shown(note), soft_wrap=True)


class Compared(BaseModel, frozen=True, extra="forbid"):
    """The names of two reports, their differences, and notes on what can't be compared."""

    first: str
    second: str
    differences: list[Difference]
    notes: list[str]


def compared(paths: Sequence[Path]) -> list[Compared]:
    """Compares the first report with each of the others.

    Raises:
        ConfigError: for a single report, a file that is not a report, or reports that share no samples.
    """
    if len(paths) < 2:
        raise ConfigError(f"compare needs two reports or more: name another one after {str(paths[0])!r}")
    first, *others = map(reporting.read, paths)
    return [
        Compared(
            first=first.name,
            second=other.name,
            differences=compare(first, other),
            notes=other_networks(first, other),
        )
        for other in others
    ]


def show_compared(found: Sequence[Compared], console: Console) -> None:
    """Prints a table for each pair and, below it, the reasons for missing values and the notes."""
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
        for note in pair.notes:
            console.print(shown(note), soft_wrap=True)


def _number(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{value:{sign}.4g}"
