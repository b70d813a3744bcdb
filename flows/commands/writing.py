"""`moviedreamer write` and `export`: write a story file from a synopsis or from a curated film."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from flows.commands.outputs import refuse_to_replace, write_text
from storage.errors import ConfigError
from storage.printable import json_text, printable, printable_lines
from storage.stories.text import MOST_BYTES, decoded

if TYPE_CHECKING:
    from storage.stories.story import Story


class Written(NamedTuple):
    """What was written and where, and what the synopsis did not say."""

    path: Path
    scenes: int
    shots: int
    keyframes: int
    cast: tuple[str, ...]
    added: tuple[str, ...]

    def json(self) -> str:
        return json_text({**self._asdict(), "path": str(self.path)})


def write_story(
    synopsis: Path, output: Path | None, recipe: str, overrides: Sequence[str], keyframes: int | None, verbatim: bool
) -> Written:
    """Turns a synopsis into a story file, in the same folder or at `output`. An existing file is never overwritten.

    Raises:
        ConfigError: a synopsis that can't be read or has no sentence, a file that exists, an unknown setting.
    """
    from flows.display.console import quiet
    from flows.settings.recipes import resolve
    from models.errors import ModelError
    from models.writer import choices
    from storage.stories.reading import parse
    from storage.stories.writing import yaml_text
    from tasks.movies.synopsis.story import chosen, story_of

    quiet()
    settings = resolve(recipe, overrides, frozenset({"writer"}))
    path = output or synopsis.with_suffix(".yaml")
    refuse_to_replace(path, "-o")
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(f"{printable(str(path))!r} is not the name of a story file: end it with .yaml")
    written = story_of(_read(synopsis), synopsis.stem.replace("_", " "), keyframes, verbatim)
    story, heads, added = written.story, dict[int, str](), list(written.added)
    try:
        if written.unsure and (chooser := choices.build(settings.writer)):
            story, heads = chosen(written, chooser)
    except ModelError as error:
        added.append(f"the sizes of all shots are by rule, since the language model can't be used: {error}")
    top = (
        f"Made of {synopsis.name} by `moviedreamer write`. Its sentences are the plots, word for word.\n"
        "plot is drawn, narration is spoken: edit both, or delete what should not be heard."
    )
    text = yaml_text(story, heads, "\n".join([top, *added]))
    if parse(text.encode(), path.name) != story:
        raise AssertionError(f"the story of {synopsis} doesn't read back as it was written")
    write_text(path, text)
    return _written(path, story, added)


def export_film(film: str, storage: str, snapshot: str, folder: Path) -> Written:
    """Writes the story of a curated film, story.yaml, and the photographs of its people into a new folder.

    Args:
        film: id, title or file name.
        snapshot: id; "" for the newest of the storage.

    Raises:
        ConfigError: no such film, or several; a folder that exists.
        StorageError: no such snapshot.
    """
    from storage import snapshot as snapshots
    from storage.root import Storage
    from storage.stories.reading import read
    from storage.stories.writing import yaml_text
    from tasks.movies.film_story import film_story

    place = Storage(storage).reached()
    data = snapshots.load(place, snapshot or snapshots.newest(place))
    refuse_to_replace(folder, "-o")
    made = film_story(place, data, film)
    path = folder / "story.yaml"
    try:
        folder.mkdir(parents=True)
        for name, picture in made.pictures.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(picture)
        path.write_text(yaml_text(made.story), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{printable(str(folder))!r} can't be written: {error.strerror}") from None
    if read(path) != made.story:
        raise AssertionError(f"the story of {film!r} doesn't read back as it was written")
    return _written(path, made.story, ())


def show(written: Written, console: Console, as_json: bool) -> None:
    """Prints where a story is and what it contains."""
    if as_json:
        print(written.json())
        return
    for line in written.added:
        console.print(printable_lines(line), markup=False, soft_wrap=True, style="dim")
    counted = f"{written.scenes} scenes, {written.shots} shots, {written.keyframes} keyframes"
    who = f", with {', '.join(written.cast)}" if written.cast else ""
    console.print(printable_lines(f"{written.path}: {counted}{who}"), markup=False, soft_wrap=True)


def _written(path: Path, story: "Story", added: Sequence[str]) -> Written:
    shots = [one.shot for one in story.shots()]
    keyframes = sum(max(1, len(shot.plots)) for shot in shots)
    names = tuple(one.name for one in story.cast)
    return Written(path, len(story.scenes), len(shots), keyframes, names, tuple(added))


def _read(synopsis: Path) -> str:
    shown = printable(str(synopsis))
    try:
        if not synopsis.is_file():
            raise ConfigError(f"there is no file {shown!r}: a synopsis is a text file with one sentence per keyframe")
        with synopsis.open("rb") as file:
            return decoded(file.read(MOST_BYTES + 1), str(synopsis))
    except OSError as error:
        raise ConfigError(f"{shown!r} can't be read: {error.strerror}") from None
