"""The layout of the data set Condensed Movies (Bain et al., 2020), most of what the paper trained on.

    <folder>/metadata/clips.csv    videoid, year, upload_year, title, clip_name, imdbid, ...: one clip of a movie a row
    <folder>/metadata/movies.csv   imdbid, title, year: where it is there, it knows better
    <folder>/.../<upload_year>/<videoid>.mkv (or .mp4, .webm): wherever below the folder its download puts them

The folder is its repository with metadata and videos in data/, or the folder `data` of it.
"""

import csv
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from storage import tree
from storage.films.manifest import year_of
from storage.films.provenance import Named, Provenance
from storage.remote import as_source
from storage.tables.rejects import Reject

_PLACES = (Path("metadata", "clips.csv"), Path("data", "metadata", "clips.csv"))
_NEEDED = ("videoid", "title")

Row = dict[str, str]


def is_condensed_movies(folder: Path) -> bool:
    """Whether the folder has the list of clips of Condensed Movies."""
    return _clips(folder) is not None


def _clips(folder: Path) -> Path | None:
    return next((folder / place for place in _PLACES if (folder / place).is_file()), None)


def read(
    folder: Path, endings: frozenset[str], onerror: Callable[[OSError], object] | None = None
) -> Iterator[Named | Reject]:
    """All clips that the metadata name, in their order; "missing" where there is no file of one of the `endings`.

    All clips of one imdbid are one movie. `onerror` hears of folders that cannot be listed.
    """
    table = _clips(folder)
    if table is None:
        return
    name, files = as_source(table), _files(folder, endings, onerror)
    movies: dict[str, Row] = {}
    for _, row in _rows(table.with_name("movies.csv")):
        if isinstance(row, Reject):
            yield row
        else:
            movies[row.get("imdbid", "")] = row
    for number, row in _rows(table):
        if isinstance(row, Reject):
            yield row
            continue
        if lacking := [name for name in _NEEDED if not row.get(name)]:
            detail = f"{name!r}, row {number}, column {lacking[0]!r}: is empty or not there"
            yield Reject(source=f"{name}:{number}", reason="bad_row", detail=detail)
            continue
        clip = row["videoid"]
        if clip in files:
            said = _said(row, movies.get(row.get("imdbid", ""), {}))
            yield Named(source=as_source(files[clip]), said=said, row=f"{name}:{number}")
        else:
            detail = f"{name!r}, row {number}: no file {clip!r} below {as_source(folder)!r}"
            place = as_source(folder / row.get("upload_year", "") / clip)
            yield Reject(source=place, reason="missing", detail=detail)


def _said(clip: Row, movie: Row) -> Provenance:
    title = movie.get("title") or clip["title"]
    year = (movie.get("year") or clip.get("year", "")).removesuffix(".0")
    name = clip.get("clip_name", "")
    return Provenance(
        title=f"{title}: {name}" if name else title,
        year=year_of(year) or 0,
        origin=f"https://www.youtube.com/watch?v={clip['videoid']}",
        movie=clip.get("imdbid") or f"{title} ({year})",
    )


def _rows(table: Path) -> Iterator[tuple[int, Row | Reject]]:
    """Each row with its number, and a row that is no CSV as a Reject."""
    if not table.is_file():
        return
    source = as_source(table)
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        for number in count(2):
            try:
                row = next(reader, None)
            except csv.Error as error:
                detail = f"{source!r}, row {number}: is not CSV: {error}"
                yield number, Reject(source=f"{source}:{number}", reason="bad_row", detail=detail)
                continue
            if row is None:
                return
            yield number, {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}


def _files(folder: Path, endings: frozenset[str], onerror: Callable[[OSError], object] | None) -> dict[str, Path]:
    """videoid -> its file; a clip that is there twice counts once, by the first path."""
    found: dict[str, Path] = {}
    for path in tree.visible(folder, onerror):
        if path.suffix.lower() in endings:
            found.setdefault(path.stem, path)
    return found
