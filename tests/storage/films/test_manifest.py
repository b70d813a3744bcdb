"""Manifests: what is read, what is said of a bad row, and that the others go on."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.films import manifest
from storage.films.manifest import _beside
from storage.films.provenance import Named, Provenance
from storage.tables.rejects import Reject


def read(path):
    return list(manifest.read(str(path)))


def write(tmp_path, text, encoding="utf-8"):
    (tmp_path / "films.csv").write_bytes(text.encode(encoding))
    return tmp_path / "films.csv"


def test_all_columns_are_read_and_relative_paths_start_at_the_manifest(tmp_path):
    path = write(
        tmp_path,
        "Path,title,year,source,licence,availability,movie,notes\n"
        '"a, b.mp4","Sintel, the film",2010,archive.org,CC BY 3.0,public,tt1727587,long\n'
        "/films/c.mp4,,2012.0,,,,,\n"
        "s3://bucket/d.mp4\n",
    )
    said = Provenance(
        title="Sintel, the film",
        year=2010,
        origin="archive.org",
        licence="CC BY 3.0",
        availability="public",
        movie="tt1727587",
    )
    assert read(path) == [
        Named(source=str(tmp_path / "a, b.mp4"), said=said, row=f"{path}:2"),
        Named(source="/films/c.mp4", said=Provenance(year=2012), row=f"{path}:3"),
        Named(source="s3://bucket/d.mp4", row=f"{path}:4"),
    ]


@pytest.mark.parametrize(
    ("row", "column", "what"),
    [
        ("a.mp4,nineteen", "year", "'nineteen' is not a year"),
        ("a.mp4,1492", "year", "'1492' is not a year between 1870 and 2200"),
        (",1999", "path", "is empty"),
        ("a.mp4,1999,extra", "", "has 3 values for 2 columns"),
        ('"a.mp4"x,1999', "", "is not CSV"),
        ('"a.mp4,1999', "", "is not CSV"),
    ],
)
def test_a_bad_row_is_named_and_the_others_go_on(tmp_path, row, column, what):
    path = write(tmp_path, f"path,year\nfirst.mp4,1990\n{row}\nlast.mp4,1991\n\nvery last.mp4,1992\n")
    first, bad, *others = read(path)
    assert [one.said.year for one in (first, *others)] == [1990, 1991, 1992]
    assert isinstance(bad, Reject)
    assert (bad.reason, bad.source) == ("bad_row", f"{path}:3")
    assert f"row 3{f', column {column!r}' if column else ''}: {what}" in bad.detail


def test_a_title_may_hold_line_breaks_and_rows_keep_their_numbers(tmp_path):
    path = write(tmp_path, 'path,title,year\na.mp4,"one\ntwo",1990\nb.mp4,x,never\n')
    named, bad = read(path)
    assert named.said.title == "one\ntwo"
    assert "row 4, column 'year'" in bad.detail


def test_what_is_no_manifest_says_why(tmp_path):
    for text, encoding, what in (
        ("file,title\na.mp4,x\n", "utf-8", r"lacks the column 'path' in row 1; its columns: file, title"),
        ("", "utf-8", r"lacks the column 'path'"),
        ("path,title\n\n", "utf-8", r"has no rows below its columns"),
        ("path,path\n", "utf-8", r"the column 'path' twice"),
        ("path\na.mp4\nmüsik.mp4\n", "latin-1", r"row 3: not UTF-8"),
    ):
        (bad,) = read(write(tmp_path, text, encoding))
        assert bad.reason == "bad_manifest"
        assert str(tmp_path / "films.csv") in bad.detail
        assert what in bad.detail
    (missing,) = read(tmp_path / "none.csv")
    assert missing.reason == "missing"


def test_a_column_that_stands_twice_is_told_of_parquet_too(tmp_path):
    pq.write_table(pa.table({"path": ["a.mp4"], "title": ["A"], "Title ": ["B"]}), tmp_path / "films.parquet")
    (bad,) = read(tmp_path / "films.parquet")
    assert (bad.reason, "the column 'title' twice" in bad.detail) == ("bad_manifest", True)


def test_parquet_and_csv_say_the_same(tmp_path):
    rows = {"path": ["a.mp4", None, "c.mp4"], "year": [2001, 2002, 1], "title": ["A", None, "C"], "x": [1, 2, 3]}
    pq.write_table(pa.table(rows), tmp_path / "films.parquet")
    named, empty, early = read(tmp_path / "films.parquet")
    said, row = Provenance(title="A", year=2001), f"{tmp_path / 'films.parquet'}:1"
    assert named == Named(source=str(tmp_path / "a.mp4"), said=said, row=row)
    assert "row 2, column 'path': is empty" in empty.detail
    assert "row 3, column 'year': '1' is not a year" in early.detail
    (tmp_path / "films.parquet").write_bytes(b"PAR1 and then nothing")
    (bad,) = read(tmp_path / "films.parquet")
    assert bad.reason == "bad_manifest"


def test_nan_is_nothing_said(tmp_path):
    nan = float("nan")
    rows = pa.table({"path": ["a.mp4", "b.mp4"], "year": [2001.0, nan], "title": pa.array([nan, nan])})
    pq.write_table(rows, tmp_path / "films.parquet")
    assert [one.said for one in read(tmp_path / "films.parquet")] == [Provenance(year=2001), Provenance()]


def test_fifty_thousand_rows_with_bad_ones_among_them(tmp_path):
    lines = ["path,year", *(f"{n}.mp4,{'x' if n % 1000 == 0 else 2000}" for n in range(50_000))]
    found = read(write(tmp_path, "\n".join(lines)))
    assert len(found) == 50_000
    assert sum(isinstance(one, Reject) for one in found) == 50


@pytest.mark.parametrize(
    ("manifest", "film"),
    [
        ("s3://b/x/f.csv", "s3://b/x/rel/a.mp4"),
        ("hdfs:///d/f.csv", "hdfs:///d/rel/a.mp4"),
        ("local:///tmp/m/f.csv", "local:///tmp/m/rel/a.mp4"),
    ],
)
def test_films_lie_beside_a_remote_manifest_whatever_its_host(manifest: str, film: str) -> None:
    assert _beside(manifest, "rel/a.mp4") == film


def test_a_header_that_is_no_csv_is_a_manifest_that_cannot_be_read(tmp_path):
    (bad,) = manifest.read(str(write(tmp_path, f"path,{'x' * 200_000}\na.mp4,1\n")))
    assert (bad.reason, "row 1: is not CSV" in bad.detail) == ("bad_manifest", True)
