"""MSVBench's generated videos: Evaluation/data/videos/<story>/*.mp4, a clip a shot in the order of their names."""

from collections.abc import Iterable
from pathlib import Path

from storage.errors import ConfigError
from storage.results.results import VIDEOS, Result, copy, entries, refuse_filled, story_name

FOLDER = "Evaluation/data/videos"


def read(root: Path) -> list[Result]:
    """The clips of each story, in a folder with `Evaluation` in it.

    Raises:
        ConfigError: where there is no such folder, or no story in it.
    """
    stories = [folder for folder in entries(root / FOLDER) if folder.is_dir()]
    if not stories:
        raise ConfigError(f"{str(root / FOLDER)!r} holds no <story>/*.mp4")
    return [
        Result(story.name, tuple(file for file in entries(story) if file.suffix.lower() in VIDEOS)) for story in stories
    ]


def write(results: Iterable[Result], root: Path) -> Path:
    """Copies clips, in order, into the layout and returns the folder of stories.

    Raises:
        ConfigError: for pictures, for other videos than mp4, or when the folder has files.
    """
    folder = root / FOLDER
    refuse_filled(folder)
    for result in results:
        (folder / story_name(result.story)).mkdir(parents=True)
        for number, file in enumerate(result.files, 1):
            if file.suffix.lower() != ".mp4":
                raise ConfigError(f"MSVBench reads mp4, story {result.story!r} has {file.name!r}: render clips first")
            copy(file, folder / result.story / f"{number:03d}.mp4")
    return folder
