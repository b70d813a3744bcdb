"""ViStoryBench 1.3's outputs: <method>/<mode>/<language>/<time>/<story>/shots/<name>_<NN>.png.

Its README and scripts show `shots` before the story too, or no such folder, and language before mode: all are read. A
run is written as it was read; others as its loader reads them, which takes the files of a story in natural order.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage.errors import ConfigError
from storage.results.results import (
    PICTURES,
    Result,
    copy,
    entries,
    in_order,
    refuse_filled,
    story_name,
    without_number,
)

_TIME = re.compile(r"\d{8}[_-]\d{6}")
_LANGUAGES = ("en", "ch")


@dataclass(frozen=True)
class Run:
    """One run of a method in ViStoryBench's words.

    Args:
        method: the system.
        mode: how it was run, such as "base".
        language: of the script, "en" or "ch".
        time: folder name such as "20261130_093000".
        results: by story.
        top: its folders, and below them `folders`, by what they are named after; "shots" is itself.
    """

    method: str
    mode: str
    language: str
    time: str
    results: tuple[Result, ...]
    top: tuple[str, ...] = ("method", "mode", "language", "time")
    folders: tuple[str, ...] = ("story", "shots")


def read(outputs: Path) -> list[Run]:
    """The latest run of each method, mode and language in a folder `outputs`.

    Raises:
        ConfigError: where there is none, or a file of it can't be placed.
    """
    latest: dict[tuple[str, str, str], tuple[Path, tuple[str, ...]]] = {}
    for method in _folders(outputs):
        for first in _folders(method):
            for second in _folders(first):
                turned = first.name in _LANGUAGES
                mode, language = (second, first) if turned else (first, second)
                top = ("method", *(("language", "mode") if turned else ("mode", "language")), "time")
                if times := [folder for folder in _folders(second) if _TIME.fullmatch(folder.name)]:
                    newest = max(times, key=lambda folder: folder.name.replace("-", "_"))
                    latest[method.name, mode.name, language.name] = newest, top
    if not latest:
        raise ConfigError(f"{str(outputs)!r} holds no <method>/<mode>/<language>/<YYYYMMDD_HHMMSS>")
    return [
        Run(*names, folder.name, _results(folder), top, _folders_below(folder))
        for names, (folder, top) in sorted(latest.items())
    ]


def write(run: Run, outputs: Path) -> Path:
    """Copies a run's keyframes into the layout and returns its folder.

    Raises:
        ConfigError: for videos, a language or time that ViStoryBench doesn't read, or a folder that has files.
    """
    if run.language not in _LANGUAGES:
        raise ConfigError(f"ViStoryBench's languages are en and ch, not {run.language!r}")
    if not _TIME.fullmatch(run.time):
        raise ConfigError(f"{run.time!r} is not a time such as {time_name(datetime(2026, 11, 30, 9, 30))!r}")
    names = {"method": story_name(run.method), "mode": story_name(run.mode), "language": run.language, "time": run.time}
    folder = outputs.joinpath(*(names[part] for part in run.top))
    refuse_filled(folder)
    for result in run.results:
        if result.videos:
            raise ConfigError(f"story {result.story!r} is a video, ViStoryBench takes a picture a shot")
        stories = folder.joinpath(*({"story": story_name(result.story)}.get(part, part) for part in run.folders))
        stories.mkdir(parents=True, exist_ok=True)
        kept = len({without_number(file) for file in result.files}) == 1
        for number, file in enumerate(result.files, 1):
            stem = file.stem if kept else f"{result.story}_{number:02d}"
            copy(file, stories / f"{stem}{file.suffix}")
    return folder


def time_name(time: datetime) -> str:
    """The folder name of a time."""
    return time.strftime("%Y%m%d_%H%M%S")


def _results(folder: Path) -> tuple[Result, ...]:
    shots = folder / "shots"
    stories = _folders(shots) if shots.is_dir() else _folders(folder)
    found = []
    for story in stories:
        pictures = story / "shots" if (story / "shots").is_dir() else story
        files = [entry for entry in entries(pictures) if entry.suffix.lower() in PICTURES]
        found.append(Result(story.name, in_order(files)))
    return tuple(sorted(found, key=_by_number))


def _folders_below(run: Path) -> tuple[str, ...]:
    if (run / "shots").is_dir():
        return ("shots", "story")
    return ("story", "shots") if any((story / "shots").is_dir() for story in _folders(run)) else ("story",)


def _by_number(result: Result) -> tuple[int, str]:
    return (int(result.story) if result.story.isdecimal() else 0, result.story)


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in entries(folder) if entry.is_dir()]
