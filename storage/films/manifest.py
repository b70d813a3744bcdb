"""Manifests: tables of films, CSV or Parquet, with what is known of each. A bad row is rejected and the rest is used.

Columns: `path` (a path or URI; relative ones start at the manifest) and, if known, `title`, `year`, `source` (where the
film was had), `licence`, `availability` and `movie` (files of the same movie name the same). Others are not read.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from storage.errors import FilmError
from storage.films.provenance import Named, Provenance
from storage.remote import address, as_source, is_remote, local_path, read_bytes, split
from storage.tables.rejects import Reject

ENDINGS = (".csv", ".parquet")
PATH = "path"
COLUMNS = {
    "title": "title",
    "year": "year",
    "source": "origin",
    "licence": "licence",
    "license": "licence",
    "availability": "availability",
    "movie": "movie",
}
"""Column of a manifest -> field of Provenance."""

_OTHER_NAMES = "a file whose own name is not is given as file:///films/caf%E9.mp4"
_YEARS = range(1870, 2201)

Row = Mapping[str, Any]


def is_manifest(source: str) -> bool:
    """Whether `source`, a path or a URI, ends as a manifest does (`ENDINGS`)."""
    return _ending(source) in ENDINGS


def _ending(source: str) -> str:
    return PurePosixPath(split(address(source))[1] if is_remote(source) else source).suffix.lower()


def read(source: str) -> Iterator[Named | Reject]:
    """The films of a manifest, in its order, and its rows that cannot be used: "bad_row" names row and column."""
    name = address(source)
    try:
        data = read_bytes(source)
        rows = _parquet(name, data) if _ending(source) == ".parquet" else _csv(name, data)
        number = 0
        for number, row in rows:
            yield row if isinstance(row, Reject) else _named(source, number, row)
        if not number:
            raise FilmError("bad_manifest", f"manifest {name!r} has no rows below its columns")
    except FilmError as error:
        yield Reject.of(error, name)


def _named(manifest: str, number: int, row: Row) -> Named | Reject:
    said: dict[str, str | int] = {}
    path = _text(row.get(PATH))
    if not path:
        return _bad(manifest, number, PATH, "is empty")
    if "\0" in path:
        return _bad(manifest, number, PATH, f"{path!r} is no path: it holds a NUL")
    for column, field in COLUMNS.items():
        value = _text(row.get(column))
        if not value:
            continue
        if field == "year":
            year = year_of(value)
            if year is None:
                return _bad(manifest, number, column, f"{value!r} is not a year between {_YEARS[0]} and {_YEARS[-1]}")
            said[field] = year
        else:
            said[field] = value
    said_of = Provenance.model_validate(said)
    return Named(source=_beside(manifest, path), said=said_of, row=f"{address(manifest)}:{number}")


def _csv(source: str, data: bytes) -> Iterator[tuple[int, Row | Reject]]:
    """(line, row) with a line that is no CSV as a Reject; reading goes on at the line after it."""
    try:
        lines = io.StringIO(data.decode("utf-8-sig"), newline="").readlines()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        detail = f"manifest {source!r}, row {line}: not UTF-8, save it as UTF-8; {_OTHER_NAMES}"
        raise FilmError("bad_manifest", detail) from error
    try:
        header = next(csv.reader(lines[:1]), [])
    except csv.Error as error:
        raise FilmError("bad_manifest", f"manifest {source!r}, row 1: is not CSV: {error}") from error
    names = [name.strip().lower() for name in header]
    _check_columns(source, names)
    at = 1  # lines before this one are done with
    while at < len(lines):
        reader, begin = csv.reader(iter(lines[at:]), strict=True), at
        try:
            for values in reader:
                if len(values) > len(names):
                    yield at + 1, _bad(source, at + 1, "", f"has {len(values)} values for {len(names)} columns")
                elif values:  # not an empty line
                    yield at + 1, dict(zip(names, values, strict=False))
                at = begin + reader.line_num
        except csv.Error as error:
            yield at + 1, _bad(source, at + 1, "", f"is not CSV: {error}")
            at += 1


def _parquet(source: str, data: bytes) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        given = file.schema_arrow.names
        _check_columns(source, [name.strip().lower() for name in given])
        names = {name.strip().lower(): name for name in given}
        wanted = {name: names[name] for name in (PATH, *COLUMNS) if name in names}
        for batch in file.iter_batches(columns=list(wanted.values())):
            for row in batch.to_pylist():
                number += 1
                yield number, {name: row[column] for name, column in wanted.items()}
    except UnicodeDecodeError as error:
        raise FilmError("bad_manifest", f"manifest {source!r}, row {number + 1} or later: not UTF-8") from error
    except pa.ArrowException as error:
        raise FilmError("bad_manifest", f"manifest {source!r} is not Parquet: {error}") from error


def _check_columns(source: str, names: list[str]) -> None:
    if PATH not in names:
        known = ", ".join(names) or "none"
        raise FilmError("bad_manifest", f"manifest {source!r} lacks the column {PATH!r} in row 1; its columns: {known}")
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise FilmError("bad_manifest", f"manifest {source!r} has the column {doubled[0]!r} twice in row 1")


def _bad(manifest: str, number: int, column: str, what: str) -> Reject:
    manifest = address(manifest)
    where = f"manifest {manifest!r}, row {number}" + (f", column {column!r}" if column else "")
    return Reject(source=f"{manifest}:{number}", reason="bad_row", detail=f"{where}: {what}")


def _text(value: object) -> str:
    """The text of a cell; "" for NaN, which pandas writes for missing values."""
    return "" if value is None or value != value else str(value).strip()


def year_of(text: str) -> int | None:
    """2012 of "2012" and of "2012.0", which spreadsheets and pandas write."""
    whole = text.removesuffix(".0")
    return int(whole) if whole.isdecimal() and int(whole) in _YEARS else None


def _beside(manifest: str, path: str) -> str:
    if "://" in path or local_path(path).is_absolute():
        return path
    if not is_remote(manifest):
        return as_source(local_path(manifest).parent / path)
    scheme, place, options = split(manifest)
    beside = f"{scheme}://{PurePosixPath(place).parent / path}"
    return f"{beside}?{options}" if options else beside
