"""The results of one or more systems in a folder, whatever its layout."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar, get_args

from storage.errors import ConfigError
from storage.results import msvbench, results, vbench, vistorybench
from storage.results.results import PICTURES, VIDEOS, Result
from storage.stories.text import normal

Layout = Literal["plain", "vistorybench", "vbench", "msvbench"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
T = TypeVar("T")


def systems(root: Path, layout: str) -> dict[str, list[Result]]:
    """Name of a system -> its results.

    Raises:
        ConfigError: for an unknown layout, or a folder that doesn't have it.
    """
    match layout:
        case "plain":
            return {root.resolve().name: results.read(root)}
        case "vistorybench":
            runs = vistorybench.read(root)
            return {f"{run.method}/{run.mode}/{run.language}": list(run.results) for run in runs}
        case "vbench":
            return {root.resolve().name: vbench.read(root)}
        case "msvbench":
            return {root.resolve().name: msvbench.read(root)}
    raise ConfigError(f"there is no layout {layout!r}: it is one of {', '.join(LAYOUTS)}")


def renamed(found: Mapping[str, T], results: Iterable[Result]) -> dict[str, T]:
    """What is found under a story's name, under its result's name: file systems differ in how they write accents."""
    names = {normal(result.story): result.story for result in results}
    return {names.get(normal(name), name): one for name, one in found.items()}


def loose(root: Path) -> list[Result]:
    """All pictures and videos in a folder and below it, in no story: a folder of them is one result; none is hidden.

    Raises:
        ConfigError: where there is none.
    """
    below = sorted(folder for folder in root.rglob("*") if folder.is_dir())
    folders = [root, *(one for one in below if not any(part[0] == "." for part in one.relative_to(root).parts))]
    found = []
    for folder in folders:
        files = [file for file in results.entries(folder) if file.is_file()]
        for endings in (PICTURES, VIDEOS):
            if some := tuple(file for file in files if file.suffix.lower() in endings):
                found.append(Result(str(folder.relative_to(root.parent)), some))
    if not found:
        raise ConfigError(f"{str(root)!r} holds no pictures or videos")
    return found
