"""Searches local folders recursively: each real folder once, however many links lead to it."""

import fnmatch
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path


def walk(top: Path, onerror: Callable[[OSError], object] | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As os.walk, but sorted, and it follows links to folders.

    A folder is identified by device and inode, so circular links end. A folder below `top` is found under its
    own path; links are followed last. Remove a name from the second list to skip that folder.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        for place, folders, names in os.walk(waiting.pop(0), onerror=onerror):
            here = Path(place)
            try:
                stat = here.stat()
            except OSError:  # removed meanwhile
                continue
            if (stat.st_dev, stat.st_ino) in seen:
                folders.clear()
                continue
            seen.add((stat.st_dev, stat.st_ino))
            folders.sort()
            yield here, folders, sorted(names)
            waiting += [here / name for name in folders if (here / name).is_symlink()]


def visible(top: Path, onerror: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """The files below a folder, in the order of `walk`, without hidden files and folders."""
    for here, folders, names in walk(top, onerror):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (here / name for name in names if not name.startswith("."))


def matching(pattern: Path, onerror: Callable[[OSError], object] | None) -> Iterator[Path]:
    """Files and folders that match a pattern; "**" stands for a folder and all below it, and last for all in them."""
    return _matching(Path(pattern.anchor), pattern.relative_to(pattern.anchor).parts, onerror)


def _matching(here: Path, parts: Sequence[str], onerror: Callable[[OSError], object] | None) -> Iterator[Path]:
    if not parts:
        yield here
        return
    part, *rest = parts
    if part == "**" and rest:
        for folder, folders, _ in walk(here, onerror):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from _matching(folder, rest, onerror)
    elif part == "**":
        yield here
    elif glob.has_magic(part):
        for name in fnmatch.filter(_names(here, onerror), part):
            if not name.startswith(".") or part.startswith("."):
                yield from _matching(here / name, rest, onerror)
    elif os.path.lexists(here / part):
        yield from _matching(here / part, rest, onerror)


def _names(folder: Path, onerror: Callable[[OSError], object] | None) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if onerror:
            onerror(error)
        return []
