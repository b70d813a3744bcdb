"""Own videos for VBench-Long and VBench-2: a flat folder of <prompt>-<index>.mp4."""

import re
from collections.abc import Iterable
from pathlib import Path

from storage.errors import ConfigError
from storage.results.results import Result, copy, entries, in_order, refuse_filled, story_name

_NAME = re.compile(r"(.+)-(\d+)")


def write(results: Iterable[Result], folder: Path) -> list[Path]:
    """Copies videos into a new flat folder, numbered from 0 for each story; returns them.

    Raises:
        ConfigError: for pictures, for other videos than mp4, or when the folder has files.
    """
    refuse_filled(folder)
    made = []
    for result in results:
        for index, file in enumerate(result.files):
            if file.suffix.lower() != ".mp4":
                raise ConfigError(f"VBench reads mp4, story {result.story!r} has {file.name!r}: render its movie first")
            made.append(folder / f"{story_name(result.story)}-{index}.mp4")
            copy(file, made[-1])
    return made


def read(folder: Path) -> list[Result]:
    """The videos of a flat folder, by prompt. A name without an index is a prompt with one video.

    Raises:
        ConfigError: when there is none.
    """
    prompts: dict[str, list[Path]] = {}
    for file in entries(folder):
        if file.suffix.lower() == ".mp4":
            named = _NAME.fullmatch(file.stem)
            prompts.setdefault(named[1] if named else file.stem, []).append(file)
    if not prompts:
        raise ConfigError(f"{str(folder)!r} holds no mp4")
    return [Result(prompt, in_order(files)) for prompt, files in sorted(prompts.items())]
