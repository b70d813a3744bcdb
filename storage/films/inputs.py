"""Finds the films that a user names: files, folders, patterns, manifests, a data set's folder; by path or by URI.

Each file counts once, however often it is named.
"""

import glob
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from storage import remote, tree
from storage.errors import FilmError
from storage.films import condensed_movies, manifest
from storage.films.provenance import Named
from storage.printable import printable
from storage.tables.rejects import Reject

FILM_ENDINGS = frozenset(
    [
        *(".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".dvr-ms", ".f4v", ".flv", ".h264", ".h265"),
        *(".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg"),
        *(".mpg", ".mpv", ".mts", ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vc1"),
        *(".vob", ".vvc", ".webm", ".wmv", ".wtv", ".y4m"),
    ]
)
_ENDINGS_TOLD = 8


def found(given: str) -> Iterator[Named | Reject]:
    """The files that one input names, in its order, and rejects for what cannot be used.

    A folder is searched to its bottom, by ending and sorted by name, unless it is the data set Condensed Movies
    (storage.films.condensed_movies); "not_by_ending" counts its other files. A pattern is such as "films/*.mp4"; a
    manifest is a .csv or .parquet (storage.films.manifest).
    """
    given = remote.as_source(given)
    if manifest.is_manifest(given):
        yield from (_checked(one) for one in manifest.read(given))
    elif remote.is_remote(given):
        yield from _remote(given)
    else:
        closed: list[OSError] = []
        try:
            if condensed_movies.is_condensed_movies(folder := remote.local_path(given)):
                films = condensed_movies.read(folder, FILM_ENDINGS, closed.append)
                yield from (_checked(one) for one in films)
            else:
                yield from _local(given, closed.append)
        except OSError as error:  # such as a name that is too long
            yield _unreadable(given, error)
        yield from (_closed(error) for error in closed)


def each_once(found: Iterable[Named | Reject]) -> tuple[list[Named], list[Reject]]:
    """The files in the order in which they were first named, and the rejects, including metadata that is not used.

    A row of a manifest counts more than a path, folder or pattern, which have no metadata: "also_named". Of two rows
    the earlier counts: "named_twice" quotes both, and where they differ.
    """
    named: dict[str, Named] = {}
    rejects: list[Reject] = []
    also: dict[str, set[str]] = defaultdict(set)  # table -> files
    for one in found:
        if isinstance(one, Reject):
            rejects.append(one)
            continue
        place = _place(one.source)
        first = named.setdefault(place, one)
        if one.row and first.row:
            if one.row != first.row:
                rejects.append(_named_twice(one, first))
        elif one.row or first.row:
            named[place] = one if one.row else first
            also[named[place].table].add(place)
    return list(named.values()), rejects + [_also_named(table, len(files)) for table, files in also.items()]


def _remote(given: str) -> Iterator[Named | Reject]:
    address = remote.address(given)
    try:
        files = remote.listed(given)
    except FilmError as error:
        yield Reject.of(error, address)
        return
    if files == [given]:
        yield Named(source=given)
        return
    films: list[str] = []
    others: list[str] = []
    for file in files:
        path = remote.split(file)[1]
        if _ending(path) in FILM_ENDINGS:
            films.append(file)
        else:
            others.append(path)
    yield from _all_of(address, films, others, f"there is no film at {address!r}")


def _local(given: str, onerror: Callable[[OSError], object]) -> Iterator[Named | Reject]:
    if not given:  # as of a variable of the shell that isn't set
        detail = "a name is empty: '.' is the folder in which the run began"
        yield Reject(source=given, reason="missing", detail=detail)
        return
    films: list[str] = []
    others: set[str] = set()
    for match in _matches(given, onerror):
        for path in sorted(tree.visible(match, onerror)) if match.is_dir() else [match]:
            if path == match or _ending(path.name) in FILM_ENDINGS:
                films.append(remote.as_source(path))
            else:
                others.add(remote.as_source(path))
    yield from _all_of(given, films, others - set(films), _nothing_at(given))


def _closed(error: OSError) -> Reject:
    folder = remote.as_source(str(error.filename))
    detail = f"the folder {folder!r} cannot be listed: {error.strerror}"
    return Reject(source=folder, reason="unreadable", detail=detail)


def _unreadable(source: str, error: OSError) -> Reject:
    detail = f"{source!r} cannot be read: {error.strerror}"
    return Reject(source=source, reason="unreadable", detail=detail)


def _all_of(given: str, films: Sequence[str], others: Collection[str], nothing: str) -> Iterator[Named | Reject]:
    """`others`: files that no ending tells to be films; `nothing`: what to say when there are no films."""
    counts = sorted(Counter(map(_ending, others)).items(), key=lambda one: (-one[1], one[0]))
    told = [f"{count} {printable(ending) or 'without ending'}" for ending, count in counts[:_ENDINGS_TOLD]]
    told += [f"{sum(count for _, count in counts[_ENDINGS_TOLD:])} more"] * (len(counts) > _ENDINGS_TOLD)
    passed = f"{given!r} holds files that are no films by their ending: {', '.join(told)}"
    if not films:
        yield Reject(source=given, reason="missing", detail=f"{nothing}; {passed}" if others else nothing)
    elif others:
        detail = f"{passed}; to use one of them, name it by its path"
        yield Reject(source=given, reason="not_by_ending", detail=detail)
    yield from (_checked(Named(source=film)) for film in films)


def _checked(one: Named | Reject) -> Named | Reject:
    """Rejects pipes and devices, since reading them may never end, and broken links."""
    if isinstance(one, Reject) or remote.is_remote(one.source):
        return one
    path = remote.local_path(one.source)
    try:
        if _is_dead_link(path):
            detail = f"{one.source!r} is a broken link to {str(path.readlink())!r}"
            return Reject(source=one.source, reason="missing", detail=detail)
        if path.exists() and not path.is_file():
            detail = f"{one.source!r} is not a file but {'a folder' if path.is_dir() else 'a pipe, socket or device'}"
            return Reject(source=one.source, reason="not_a_video", detail=detail)
    except OSError as error:
        return _unreadable(one.source, error)
    return one


def _matches(given: str, onerror: Callable[[OSError], object]) -> list[Path]:
    """The file or folder of that name or, when there is none, those that match it as a pattern."""
    path = remote.local_path(given)
    if path.exists():
        return [path]
    return sorted(set(tree.matching(path, onerror)))


def _is_dead_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _nothing_at(given: str) -> str:
    if remote.local_path(given).is_dir():
        return f"the folder {given!r} holds no film: no file that ends in {' '.join(sorted(FILM_ENDINGS))}"
    return f"nothing matches {given!r}" if glob.has_magic(given) else f"there is no file or folder {given!r}"


def _named_twice(one: Named, first: Named) -> Reject:
    says = one.said.unlike(first.said) or "the same"
    same = f"row {one.row!r} names {remote.address(one.source)!r}, as row {first.row!r} does"
    detail = f"{same}, and says {says}: the earlier row counts"
    return Reject(source=one.row, reason="named_twice", detail=detail)


def _also_named(table: str, films: int) -> Reject:
    were = "film was" if films == 1 else "films were"
    detail = f"{films} {were} also given by path, folder or pattern: what the rows of {table!r} say of them counts"
    return Reject(source=table, reason="also_named", detail=detail)


def _place(source: str) -> str:
    if remote.is_remote(source):
        return source
    return os.path.realpath(remote.local_path(source))  # Path.resolve raises for links that lead in a ring
