"""Each file once: which word about it counts, and what is said of the others."""

import pytest

from storage.films.films import resolve
from storage.films.provenance import Provenance


@pytest.fixture
def place(tmp_path):
    (tmp_path / "films").mkdir()
    for name in ("a", "b"):
        (tmp_path / "films" / f"{name}.mp4").write_text(name)
    return tmp_path


def manifest(place, name, text):
    (place / name).write_text(text)
    return str(place / name)


def test_a_row_that_names_a_file_again_is_told_with_both_rows_and_what_they_disagree_in(place):
    one = manifest(
        place,
        "one.csv",
        "path,licence,movie,year\nfilms/a.mp4,CC BY 4.0,tt1,1999\nfilms/a.mp4,,tt2,1999\n"
        "films/../films/a.mp4,CC BY 4.0,tt1,1999\n",
    )
    two = manifest(place, "two.csv", "path,licence\nfilms/a.mp4,unclear\nfilms/b.mp4,PD\n")
    films, rejects = resolve([one, two])
    assert [film.said.licence for film in films] == ["CC BY 4.0", "PD"]
    assert [(reject.reason, reject.source) for reject in rejects] == [
        ("named_twice", f"{one}:3"),
        ("named_twice", f"{one}:4"),
        ("named_twice", f"{two}:2"),
    ]
    disagreeing, agreeing, other = (reject.detail for reject in rejects)
    for said in (
        repr(f"{one}:3"),
        repr(f"{one}:2"),
        "licence nothing instead of 'CC BY 4.0', movie 'tt2' instead of 'tt1'",
    ):
        assert said in disagreeing
    assert "year" not in disagreeing
    assert "says the same: the earlier row counts" in agreeing
    assert "licence 'unclear' instead of 'CC BY 4.0'" in other


@pytest.mark.parametrize("folder_first", [True, False])
def test_a_manifest_knows_more_than_a_folder_whichever_comes_first(place, folder_first):
    rows, folder = manifest(place, "f.csv", "path,licence\nfilms/b.mp4,PD\n"), str(place / "films")
    films, (note,) = resolve([folder, folder, rows] if folder_first else [rows, folder])
    assert {film.path.name: film.said.licence for film in films} == {"a.mp4": "", "b.mp4": "PD"}
    assert (note.reason, note.source) == ("also_named", rows)
    assert note.detail.startswith("1 film was also given by path, folder or pattern: what the rows of")


def test_a_manifest_that_is_given_twice_says_nothing_twice(place):
    rows = manifest(place, "f.csv", "path\nfilms/b.mp4\n")
    films, rejects = resolve([rows, rows])
    assert (len(films), rejects) == (1, [])


def test_of_the_same_bytes_the_file_counts_of_which_something_is_said(place):
    (place / "films" / "twin.mp4").write_text("b")
    rows = manifest(place, "f.csv", "path,licence,title\nfilms/twin.mp4,PD,\nfilms/b.mp4,CC0,B\n")
    films, (twin,) = resolve(
        [str(place / "films" / "b.mp4"), manifest(place, "g.csv", "path,movie\nfilms/twin.mp4,t\n")]
    )
    assert [(film.path.name, film.said) for film in films] == [("twin.mp4", Provenance(movie="t"))]
    assert (twin.reason, twin.source) == ("duplicate", str(place / "films" / "b.mp4"))
    films, (twin,) = resolve([rows])
    assert films[0].said == Provenance(licence="PD", title="B")
    assert twin.detail.endswith("; what is said of it does not count: licence 'CC0' instead of 'PD'")


def test_of_the_same_bytes_the_movie_counts_whichever_file_says_it(place):
    (place / "films" / "twin.mp4").write_text("b")
    rows = manifest(place, "f.csv", "path,movie,title\nfilms/twin.mp4,,T\nfilms/b.mp4,tt1,\n")
    films, (twin,) = resolve([rows])
    assert [(film.path.name, film.said) for film in films] == [("twin.mp4", Provenance(movie="tt1", title="T"))]
    assert "does not count" not in twin.detail
