"""The stories in a folder, by name: files of any format that is read, also ViStoryBench's <id>/story.json."""

from pathlib import Path

from storage.errors import ConfigError
from storage.printable import printable
from storage.stories.reading import ENDINGS, read
from storage.stories.story import Story


def stories(folder: Path) -> tuple[dict[str, tuple[Story, Path]], dict[str, str]]:
    """Name -> the story and its file, and name -> why a file is no story, such as a README.

    The name is that of the file, or of its folder where the file is `story.*`.

    Raises:
        ConfigError: for a folder without stories, or two stories of one name.
    """
    found: dict[str, tuple[Story, Path]] = {}
    faults: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS):
        name = path.parent.name if path.stem == "story" else path.stem
        try:
            story = read(path)
        except ConfigError as error:
            faults[name] = str(error)
            continue
        if name in found:
            raise ConfigError(f"{str(path)!r} and {str(found[name][1])!r} are both the story {name!r}: rename one")
        found[name] = story, path
    if not found:
        said = f": {next(iter(faults.values()))}" if faults else ""
        raise ConfigError(f"{printable(str(folder))!r} holds no story file{said}")
    return found, faults
