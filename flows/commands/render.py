"""`moviedreamer render` and `takes`, without Prefect: pools, progress bars and one summary at the end."""

import re
from collections.abc import Sequence

from rich.console import Console

from flows.catalogue import needs
from flows.display.console import Terminal, quiet
from flows.display.reporting import listening
from flows.display.shown import shown
from flows.rendering import Report, counted, in_words, listed_takes, settings
from flows.rendering import render as render_stories
from flows.run import Run, opened
from flows.settings.recipes import resolve
from storage.errors import ConfigError
from storage.remote import is_remote, local_path
from storage.root import Storage
from tasks.movies.stories import queue
from tasks.movies.stories.prepare import Order

_SHOTS = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
_TAKE = re.compile(r"(\d{1,6})=(\d{1,6})")


def order(only: str, redo: str, seed: int | None, take: Sequence[str], continues: str = "") -> Order:
    """What the options of `render` ask for.

    Raises:
        ConfigError: quoting an option that names no shots.
    """
    if seed is not None and not redo:
        raise ConfigError(f"--seed {seed} is for new takes: say which shots, such as --redo 12-15 --seed {seed}")
    chosen: dict[int, int] = {}
    for one in take:
        if not (found := _TAKE.fullmatch(one)):
            raise ConfigError(f"--take {one!r}: name a shot and one of its takes, such as --take 12=1")
        chosen[int(found[1])] = int(found[2])
    again = numbers(redo, "--redo")
    if both := sorted(again & chosen.keys()):
        raise ConfigError(f"shot {both[0]} is in both --redo and --take: ask for a new take or for an earlier one")
    return Order(numbers(only, "--only"), again, seed, chosen, continues)


def numbers(text: str, option: str) -> frozenset[int]:
    """ "12-15,18" -> 12, 13, 14, 15, 18."""
    found: set[int] = set()
    for part in map(str.strip, text.split(",") if text else ()):
        span = _SHOTS.fullmatch(part)
        if not span:
            raise ConfigError(f"{option} {text!r}: name shots by their numbers, such as 3 or 12-15,18")
        first, last = int(span[1]), int(span[2] or span[1])
        if last < first:
            raise ConfigError(f"{option} {text!r}: {first}-{last} ends before it starts")
        found.update(range(first, last + 1))
    return frozenset(found)


def run(
    stories: Sequence[str],
    recipe: str,
    uri: str,
    overrides: Sequence[str],
    order: Order,
    preview: bool,
    dry: bool,
    hours: float | None,
    console: Console,
    into: bool = False,
) -> Report:
    """Renders story files and the story files of folders.

    Args:
        into: whether the storage may be a folder that holds other files.

    Raises:
        ConfigError: a setting or storage that cannot be used, or a model that is missing.
        StorageError: a storage that cannot be written, or in which another run is at work.
    """
    quiet()
    found = [file for story in stories for file in (queue.sources(story) if _is_folder(story) else [story])]
    sources, looked = list(dict.fromkeys(found)), _look(recipe, uri, overrides)
    if dry:
        return render_stories(looked, sources, order, preview, dry)
    with (
        opened("render_stories", recipe, uri, overrides, into=into) as work,
        Terminal(console) as terminal,
        listening(terminal),
    ):
        return render_stories(work, sources, order, preview, hours=hours)


def takes(story: str, recipe: str, uri: str, overrides: Sequence[str]) -> list[tuple[int, int, int, bool]]:
    """(shot, take, seed, whether the movie shows it) of all takes of a story."""
    return listed_takes(_look(recipe, uri, overrides), story)


def show(report: Report, dry: bool, console: Console) -> None:
    """Prints a line for each story, notes on what was not rendered as written, and the estimate."""
    for one in report.stories:
        for note in one.notes:
            console.print(f"note: {shown(one.title)}: {shown(note)}", soft_wrap=True)
        lines = shown(one.error or one.movie or counted(one.made))
        console.print(f"{one.state:<11}{shown(one.title or one.name)}  {lines}", soft_wrap=True)
        if one.page:
            console.print(f"{'':<11}{shown(one.page)}", soft_wrap=True)
    told = "to make" if dry else "" if report.estimate.hours is None else "expected"  # None in a new storage
    if told and (report.estimate.pieces or not all(one.error for one in report.stories)):
        console.print(f"{told}: {in_words(report.estimate)}", soft_wrap=True)


def _look(recipe: str, uri: str, overrides: Sequence[str]) -> Run:
    """A run that writes nothing; raises ConfigError if a model that it needs is missing."""
    work = Run(resolve(recipe, overrides, needs("render_stories")), Storage(uri).reached())
    settings(work.settings, work.storage)
    return work


def _is_folder(story: str) -> bool:
    return story.endswith("/") if is_remote(story) else local_path(story).is_dir()
