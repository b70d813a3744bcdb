"""What a system made of each story, and the plain folder layout that any system's results can be brought into.

<root>/<story>/<anything><number>.png     keyframes, or clips, in order of their last number
<root>/<story>/plots.txt                  optional: the plot of each, one a line
<root>/<story>.mp4                        or one video a story

The folder `movies` of a storage is taken as it is: <root>/<id>/*.mp4 with storyboard.html beside them.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.atomic import beside
from storage.errors import ConfigError
from storage.stories.text import decoded

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Result:
    """What a system made of one story.

    Args:
        story: its name.
        files: keyframes or clips in order of time. All are pictures or all are videos.
        plots: of each file, or empty where nobody tells them.
    """

    story: str
    files: tuple[Path, ...]
    plots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.plots and len(self.plots) != len(self.files):
            raise ConfigError(
                f"story {self.story!r} has {len(self.files)} keyframes and {len(self.plots)} plots: give one line each"
            )
        if len({file.suffix.lower() in VIDEOS for file in self.files}) > 1:
            raise ConfigError(f"story {self.story!r} mixes pictures and videos: leave one kind in its folder")

    @property
    def videos(self) -> bool:
        """Whether its files are videos."""
        return any(file.suffix.lower() in VIDEOS for file in self.files)


def read(root: Path) -> list[Result]:
    """The results in a folder of the plain layout, by name. An empty story has no files.

    Raises:
        ConfigError: where there is nothing, a file has no number, or two have the same.
    """
    found = [result for entry in entries(root) if entry.is_dir() for result in _stories(entry)]
    found += [Result(entry.stem, (entry,)) for entry in entries(root) if entry.suffix.lower() in VIDEOS]
    if not found:
        raise ConfigError(f"{str(root)!r} holds no stories: a story is a folder of pictures or clips, or a video")
    names = [result.story for result in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{str(root)!r} has {twice[0]!r} as a folder and as a video: leave one of them")
    return sorted(found, key=lambda result: result.story)


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden files.

    Raises:
        ConfigError: when it is none.
    """
    if not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is not a folder")
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def in_order(files: Sequence[Path]) -> tuple[Path, ...]:
    """Files in order of the last number in their names; a single file needs none.

    Raises:
        ConfigError: where one of several has no number, or two have the same.
    """
    if len(files) == 1:
        return tuple(files)
    by_number: dict[int, Path] = {}
    for file in files:
        number = _LAST_NUMBER.search(file.stem)
        if number is None:
            raise ConfigError(f"{str(file)!r} has no number in its name, and nothing else tells its place in the story")
        if (other := by_number.setdefault(int(number[1]), file)) != file:
            raise ConfigError(f"{str(file)!r} and {other.name!r} have the same number: leave one of them")
    return tuple(by_number[number] for number in sorted(by_number))


def without_number(file: Path) -> str:
    """A file's name without its last number and its ending: files of one such name have their order in any program."""
    return _LAST_NUMBER.sub(lambda found: found[0].removeprefix(found[1]), file.stem)


def copy(file: Path, target: Path) -> None:
    """Copies a file; the copy appears whole or not at all."""
    with beside(target) as part:
        shutil.copyfile(file, part)


def refuse_filled(folder: Path) -> None:
    """Makes sure that an export doesn't mix with other files.

    Raises:
        ConfigError: when the folder has files.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{str(folder)!r} is not empty: name a new folder")


def story_name(name: str) -> str:
    """A story's name where it can name a file.

    Raises:
        ConfigError: where it can't.
    """
    if not name or name.startswith(".") or any(sign in name for sign in '/\\\0:*?"<>|'):
        raise ConfigError(f"{name!r} can't name a file: rename the story")
    return name


def _stories(folder: Path) -> list[Result]:
    if (folder / "storyboard.html").is_file():
        movies = [entry for entry in entries(folder) if entry.suffix.lower() in VIDEOS]
        return [Result(folder.name if len(movies) == 1 else f"{folder.name} {one.stem}", (one,)) for one in movies]
    return [_story(folder)]


def _story(folder: Path) -> Result:
    files = [entry for entry in entries(folder) if entry.suffix.lower() in (*PICTURES, *VIDEOS)]
    plots = folder / "plots.txt"
    told = decoded(plots.read_bytes(), str(plots)).removesuffix("\n") if plots.is_file() else ""
    return Result(folder.name, in_order(files), tuple(told.split("\n")) if told else ())
