"""Which films: given ones, bad ones, none, and the drawn one."""

from pathlib import Path

import pytest

from drawn.film import truth
from storage.decoding.decode import KeyframesConfig
from storage.decoding.trim import TrimSeconds
from storage.films.films import FilmProbe, FilmSource, film_rows
from storage.films.provenance import Provenance
from storage.record import Record
from storage.root import Storage
from storage.tables.rejects import Reject
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.curation import ingest, keyframes
from tasks.curation.drawn_films import known_truth
from tasks.curation.ingest import DrawnConfig, IngestConfig, NoFilmsError
from tasks.progress import silent
from tests.storage.blobs import write as write_film
from tests.storage.finished import finish
from tests.tasks.clips import write_clip

SMALL = KeyframesConfig(width=112, height=64)


def test_broken_films_of_a_folder_are_rejected_with_reasons_and_the_rest_goes_on(
    tmp_path: Path, cluster: ClusterConfig
) -> None:
    folder, storage = tmp_path / "films", Storage(str(tmp_path / "out"))
    good = write_clip(folder / "good.mp4", 4)
    (folder / "text.mp4").write_text("a text that somebody renamed\n" * 50)
    (folder / "cut.mp4").write_bytes(good.read_bytes()[:-600])
    (folder / "twin.mp4").write_bytes(good.read_bytes())
    ingested = ingest.run(IngestConfig(films=(str(folder), str(tmp_path / "gone.mp4"))), storage, silent)
    work = keyframes.run(SMALL, storage, ingested, cluster, silent)
    assert [ingested.films[film_id].source for film_id in work["keyframes"]] == [str(good)]
    reasons = {Path(reject.source).name: reject.reason for reject in Tables(storage).rejects()}
    assert reasons == {
        "text.mp4": "not_a_video",
        "cut.mp4": "truncated",
        "twin.mp4": "duplicate",
        "gone.mp4": "missing",
    }
    assert Tables(storage).read("keyframes", work["keyframes"])["second"].to_pylist() == [0, 1, 2, 3]
    assert Tables(storage).read("films", work["keyframes"]).to_pylist()[0]["seconds"] == pytest.approx(4, abs=0.2)


def test_when_no_film_is_left_the_error_names_each_reason(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage = Storage(str(tmp_path / "out"))
    gone, text = tmp_path / "gone.mp4", tmp_path / "text.mp4"
    with pytest.raises(NoFilmsError, match=r"missing: there is no file or folder '.*gone\.mp4'"):
        ingest.run(IngestConfig(films=(str(gone),)), storage, silent)
    text.write_text("words\n" * 500)
    short = write_clip(tmp_path / "short.mp4", 3)
    ingested = ingest.run(IngestConfig(films=(str(gone), str(text), str(short))), storage, silent)
    trimmed = SMALL.model_copy(update={"trim": TrimSeconds(start=60)})
    with pytest.raises(NoFilmsError) as caught:
        keyframes.run(trimmed, storage, ingested, cluster, silent)
    for said in ("missing: ", "gone.mp4", "not_a_video: ", "text.mp4", "too_short: ", "trim.start 60"):
        assert said in str(caught.value)


def test_a_reject_is_withdrawn_when_the_film_is_fine_again_and_a_moved_film_is_followed(
    tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage, path = Storage(str(tmp_path / "out")), tmp_path / "film.mp4"
    with pytest.raises(NoFilmsError):
        ingest.run(IngestConfig(films=(str(path),)), storage, silent)
    assert [reject.reason for reject in Tables(storage).rejects()] == ["missing"]
    write_clip(path, 3)
    ingested = ingest.run(IngestConfig(films=(str(path),)), storage, silent)
    work = keyframes.run(SMALL, storage, ingested, cluster, silent)
    assert Tables(storage).rejects() == []
    moved = path.rename(tmp_path / "moved.mp4")
    again = ingest.run(IngestConfig(films=(str(moved),)), storage, silent)
    assert keyframes.run(SMALL, storage, again, cluster, silent) == work
    assert Tables(storage).read("films", work["keyframes"])["source"].to_pylist() == [str(moved)]


def test_the_film_is_drawn_once_a_storage_with_its_truth(tmp_path: Path) -> None:
    config = IngestConfig(drawn=DrawnConfig(seconds=12, width=128, height=96))
    storage = Storage(str(tmp_path / "out"))
    frames: list[int] = []
    first = ingest.run(config, storage, lambda what, done, total: frames.append(done))
    assert storage.exists("films/drawn-7-12s-128x96-r2.mp4")
    assert storage.exists("films/drawn-7-12s-128x96-r2.truth.json")
    assert 12 * 24 in frames
    frames.clear()
    assert ingest.run(config, storage, lambda what, done, total: frames.append(done)) == first
    assert frames == []


def test_behind_a_uri_the_drawn_film_and_its_truth_are_the_storages_own(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage("s3://bucket/a?region=eu-1")
    told = truth(7, 8)
    held = {"films/drawn-7-96s-896x512-r2.mp4": b"", "films/drawn-7-96s-896x512-r2.truth.json": told.to_json().encode()}
    monkeypatch.setattr(Storage, "exists", lambda self, rel: rel in held)
    monkeypatch.setattr(Storage, "read_bytes", lambda self, rel: held[rel])
    source = ingest.drawn_film(DrawnConfig(), storage, silent)
    assert source == "s3://bucket/a/films/drawn-7-96s-896x512-r2.mp4?region=eu-1"
    assert known_truth(storage, source) == told
    assert known_truth(storage, "s3://bucket/a/films/other.mp4?region=eu-1") is None
    assert known_truth(storage, "s3://other/film.mp4") is None
    assert known_truth(storage, f"https://host/{'x' * 300}.mp4") is None


@pytest.mark.parametrize("by", ["{}", "{}/../a café b", "link/to/it"])
def test_movies_that_runs_made_are_no_films_of_a_folder_unless_they_are_named(tmp_path: Path, by: str) -> None:
    home, link = tmp_path / "a café b", tmp_path / "link/to/it"
    storage, film = Storage(str(home)), write_film(home / "movie.mp4", 1)
    link.parent.mkdir(parents=True)
    link.symlink_to(home)
    storage.upload(write_film(home / "scratch/other.avi", 2), "movies/0123456789abcdef/movie.mp4")
    (home / "scratch/other.avi").unlink()
    folder = str(tmp_path / by.format(home))
    made = f"{folder}/movies/0123456789abcdef/movie.mp4"
    found = ingest.run(IngestConfig(films=(folder,)), storage, silent)
    assert [Path(one.source).resolve() for one in found.films.values()] == [film]
    assert [one.source for one in found.rejects if one.reason == "own_work"] == [made]
    found = ingest.run(IngestConfig(films=(folder, made)), storage, silent)
    assert {Path(one.source).resolve() for one in found.films.values()} == {film, Path(made).resolve()}
    assert "own_work" not in {one.reason for one in found.rejects}


@pytest.mark.parametrize("place", ["s3://b", "s3://b/my store", "s3://b/café", "s3://b/a+b?region=eu-1"])
@pytest.mark.parametrize("name", ["m.mp4", "what?.mp4"])
def test_movies_that_runs_made_behind_a_uri_are_told_by_their_names(
    monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Record, "exists", True)
    monkeypatch.setattr(Record, "made", lambda self, rel: not asked.append(rel))
    bare, _, options = place.partition("?")
    source = f"{bare}/movies/{name}" + (f"?{options}" if options else "")
    assert ingest._is_own(Storage(place), source)
    assert asked == [f"movies/{name}"]
    assert not ingest._is_own(Storage(place), f"{bare}x/movies/{name}")


def test_require_films_passes_when_one_is_left() -> None:
    ingest.require_films(["a"], [Reject(source="x.mp4", reason="missing", detail="there is no 'x.mp4'")])


def test_what_a_manifest_says_is_in_the_table_and_follows_it(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, manifest = Storage(str(tmp_path / "out")), tmp_path / "films.csv"
    write_clip(tmp_path / "a.mp4", 3)
    manifest.write_text(
        "path,title,year,source,licence,movie\na.mp4,First,1940,archive.org,public domain,tt1\nb.mp4,,x\n"
    )
    config = IngestConfig(films=(str(manifest),))
    work = keyframes.run(SMALL, storage, ingest.run(config, storage, silent), cluster, silent)
    (row,) = Tables(storage).read("films", work["keyframes"]).to_pylist()
    told = {"title": "First", "year": 1940, "origin": "archive.org", "licence": "public domain", "movie": "tt1"}
    assert row | told == row
    assert (row["availability"], row["source"]) == ("", str(tmp_path / "a.mp4"))
    (bad,) = Tables(storage).rejects()
    assert (bad.reason, bad.source) == ("bad_row", f"{manifest}:3")
    manifest.write_text("path,title,availability\na.mp4,Second,public\n")
    again = keyframes.run(SMALL, storage, ingest.run(config, storage, silent), cluster, silent)
    assert again == work
    (row,) = Tables(storage).read("films", work["keyframes"]).to_pylist()
    assert (row["title"], row["availability"], row["year"]) == ("Second", "public", 1940)


def test_many_films_that_moved_are_a_few_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, done = Tables(Storage(str(tmp_path))), {f"{n:016x}": f"{n:016d}" for n in range(5)}
    known = FilmProbe(seconds=3, fps=25, width=2, height=2, has_audio=False, title="", licence="unknown")
    films = {film_id: FilmSource(film_id=film_id, source=f"{film_id}.mp4") for film_id in done}
    for film_id, key in done.items():
        tables.commit("films", film_id, key, film_rows(films[film_id], known))
        finish(tables, "keyframes", film_id, key, 3)
    before = tables.versions()["films"]
    moved = {
        film_id: film.model_copy(update={"source": f"new/{film.source}", "said": Provenance(movie="tt1")})
        for film_id, film in list(films.items())[:3]
    }
    monkeypatch.setattr(keyframes, "_MOVED", 2)
    keyframes._follow_moved_films(tables, done, films | moved)
    rows = tables.read("films", done).to_pylist()
    assert [row["source"] for row in rows] == [(films | moved)[film_id].source for film_id in done]
    assert [row["movie"] for row in rows] == ["tt1"] * 3 + [""] * 2
    assert tables.versions()["films"] == before + 2
    keyframes._follow_moved_films(tables, done, films | moved)
    assert tables.versions()["films"] == before + 2


def test_many_rejects_are_one_commit_and_those_of_other_inputs_stay(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    good = str(write_clip(tmp_path / "good.mp4", 3))
    ingest.run(IngestConfig(films=(good, *(str(tmp_path / f"{n}.mp4") for n in range(40)))), storage, silent)
    assert (len(Tables(storage).rejects()), Tables(storage).versions()["rejects"]) == (40, 1)
    ingest.run(IngestConfig(films=(good, str(tmp_path / "other.mp4"))), storage, silent)
    ingest.run(IngestConfig(films=(good, str(tmp_path / "other.mp4"))), storage, silent)
    assert (len(Tables(storage).rejects()), Tables(storage).versions()["rejects"]) == (41, 2)
