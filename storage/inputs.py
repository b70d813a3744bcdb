"""What a user may name as films: files, folders, patterns, manifests, a data set's folder; by path or by URI."""

import glob
from collections.abc import Iterator
from pathlib import Path

from storage import condensed_movies, manifest, remote
from storage.errors import FilmError
from storage.provenance import Named
from storage.rejects import Reject

FILM_ENDINGS = frozenset(
    [
        *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
        *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    ]
)


def found(given: str) -> Iterator[Named | Reject]:
    """The files behind one input, in its order, and what of it cannot be used.

    A folder is searched to its bottom, by ending and sorted by name, unless it is the data set Condensed Movies
    (storage.condensed_movies); a pattern is such as "films/*.mp4"; a manifest is a .csv or .parquet (storage.manifest).
    """
    if manifest.is_manifest(given):
        yield from (_checked(one) for one in manifest.read(given))
    elif remote.is_remote(given):
        yield from _remote(given)
    elif condensed_movies.is_condensed_movies(folder := remote.local_path(given)):
        yield from (_checked(one) for one in condensed_movies.read(folder, FILM_ENDINGS))
    else:
        paths = list(_paths(given))
        if not paths:
            yield Reject(source=given, reason="missing", detail=_nothing_at(given))
        yield from (_checked(Named(source=str(path))) for path in paths)


def _remote(given: str) -> Iterator[Named | Reject]:
    try:
        files = remote.listed(given)
    except FilmError as error:
        yield Reject.of(error, given)
        return
    alone = files == [given]
    films = [file for file in files if alone or Path(file.partition("?")[0]).suffix.lower() in FILM_ENDINGS]
    if not films:
        yield Reject(source=given, reason="missing", detail=f"there is no film at {given!r}")
    yield from (Named(source=file) for file in films)


def _checked(one: Named | Reject) -> Named | Reject:
    """A pipe or a device is no film: reading it may never end."""
    if isinstance(one, Reject) or remote.is_remote(one.source):
        return one
    path = remote.local_path(one.source)
    if path.exists() and not path.is_file():
        return Reject(source=one.source, reason="not_a_video", detail=f"{one.source!r} is not a file")
    return one


def _paths(given: str) -> Iterator[Path]:
    path = remote.local_path(given)
    if path.is_dir():
        yield from sorted(_in_folder(path))
    elif path.exists():
        yield path
    else:
        for match in sorted(map(Path, glob.glob(str(path), recursive=True))):  # noqa: PTH207 - takes absolute patterns
            yield from sorted(_in_folder(match)) if match.is_dir() else (match,)


def _in_folder(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in FILM_ENDINGS and path.is_file() and not hidden:
            yield path


def _nothing_at(given: str) -> str:
    if remote.local_path(given).is_dir():
        return f"the folder {given!r} holds no film: no file that ends in {' '.join(sorted(FILM_ENDINGS))}"
    return f"nothing matches {given!r}" if glob.has_magic(given) else f"there is no file or folder {given!r}"
