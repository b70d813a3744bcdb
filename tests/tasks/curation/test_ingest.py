"""Which films: given ones, bad ones, none, and the drawn one."""

import subprocess
from pathlib import Path

import pytest

from storage.decode import KeyframesConfig
from storage.encoder import ffmpeg_binary
from storage.films import FilmProbe, FilmSource, film_rows
from storage.fingerprint import file_id
from storage.provenance import Provenance
from storage.rejects import Reject
from storage.root import Storage
from storage.tables import Tables
from storage.trim import TrimSeconds
from tasks.cluster import ClusterConfig
from tasks.curation import ingest, keyframes
from tasks.curation.ingest import DrawnConfig, IngestConfig, NoFilmsError
from tasks.movies import truth_figures
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
    held = {"films/drawn-7-96s-896x512-r2.mp4": b"", "films/drawn-7-96s-896x512-r2.truth.json": b"{}"}
    monkeypatch.setattr(Storage, "exists", lambda self, rel: rel in held)
    monkeypatch.setattr(Storage, "read_bytes", lambda self, rel: held[rel])
    source = ingest.drawn_film(DrawnConfig(), storage, silent)
    assert source == "s3://bucket/a/films/drawn-7-96s-896x512-r2.mp4?region=eu-1"
    assert truth_figures._truth(storage, source) == "{}"
    assert truth_figures._truth(storage, "s3://bucket/a/films/other.mp4?region=eu-1") == ""
    assert truth_figures._truth(storage, "s3://other/film.mp4") == ""


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


def test_near_duplicates_are_left_out_and_named(tmp_path: Path) -> None:
    storage, folder = Storage(str(tmp_path / "out")), tmp_path / "films"
    small = write_film(folder / "a.mp4", 0, size=(192, 108), crf="40")
    large = write_film(folder / "b.mp4", 0)
    write_film(folder / "c.mp4", 1)
    ingested = ingest.run(IngestConfig(films=(str(folder),)), storage, silent)
    assert [Path(film.source).name for film in ingested.films.values()] == ["b.mp4", "c.mp4"]
    (reject,) = Tables(storage).rejects()
    assert (reject.reason, reject.source, reject.film_id) == ("near_duplicate", str(small), file_id(small))
    assert f"{str(large)!r} (320x180, " in reject.detail
    assert "ingest.near_duplicates=false" in reject.detail
    ingested = ingest.run(IngestConfig(films=(str(folder),), near_duplicates=False), storage, silent)
    assert len(ingested.films) == 3
    assert Tables(storage).rejects() == []


def test_a_film_belongs_to_the_movie_that_only_its_worse_copy_names(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, manifest = Storage(str(tmp_path / "out")), tmp_path / "films.csv"
    write_film(tmp_path / "large.mp4", 0)
    write_film(tmp_path / "clip1.mp4", 0, size=(192, 108))
    write_film(tmp_path / "clip2.mp4", 1)
    config = IngestConfig(films=(str(tmp_path / "large.mp4"), str(manifest)))
    for movie in ("", "tt1"):  # said after the film was decoded
        manifest.write_text(f"path,movie\nclip1.mp4,{movie}\nclip2.mp4,tt1\n")
        work = keyframes.run(SMALL, storage, ingest.run(config, storage, silent), cluster, silent)
        rows = Tables(storage).read("films", work["keyframes"]).to_pylist()
        assert {Path(row["source"]).stem: row["movie"] for row in rows} == {"large": movie, "clip2": "tt1"}
    fresh = Storage(str(tmp_path / "fresh"))
    work = keyframes.run(SMALL, fresh, ingest.run(config, fresh, silent), cluster, silent)
    assert set(Tables(fresh).read("films", work["keyframes"])["movie"].to_pylist()) == {"tt1"}


def sped_up(film: Path, path: Path) -> Path:
    """The same pictures in half a second: too short for two keyframes."""
    command = [ffmpeg_binary(), "-loglevel", "error", "-itsscale", "0.05", "-i", str(film), "-c", "copy", str(path)]
    subprocess.run(command, check=True)
    return path


def test_the_next_best_copy_takes_the_place_of_a_film_that_cannot_be_used(
    tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage, folder = Storage(str(tmp_path / "out")), tmp_path / "films"
    write_film(folder / "a small.mp4", 0, size=(192, 108))
    good = write_film(folder / "good.mp4", 0)
    for name, size in (("large", (480, 270)), ("larger", (640, 360))):
        sped_up(write_film(tmp_path / f"{name}.mp4", 0, size=size), folder / f"{name}.mp4")
    config = IngestConfig(films=(str(folder),))

    def run() -> tuple[list[str], dict[str, str], dict[str, int]]:
        work = keyframes.run(SMALL, storage, ingest.run(config, storage, silent), cluster, silent)
        reasons = {Path(reject.source).stem: reject.reason for reject in Tables(storage).rejects()}
        return list(work["keyframes"]), reasons, Tables(storage).versions()

    films, reasons, versions = run()
    assert films == [file_id(good)]
    assert reasons == {"larger": "too_short", "large": "too_short", "a small": "near_duplicate"}
    assert run() == (films, reasons, versions)
    better = write_film(folder / "better.mp4", 0, size=(960, 540))
    assert run()[:2] == (films, reasons | {"better": "near_duplicate"})  # what is there is not made again
    good.unlink()
    assert run()[0] == [file_id(better)]


def test_a_film_whose_copies_all_fail_is_tried_once(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, film = Storage(str(tmp_path / "out")), write_film(tmp_path / "film.mp4", 0)
    (tmp_path / "films").mkdir()
    for name in ("a", "b"):
        sped_up(film, tmp_path / "films" / f"{name}.mkv")
    other = write_film(tmp_path / "films" / "other.mp4", 1)
    ingested = ingest.run(IngestConfig(films=(str(tmp_path / "films"),)), storage, silent)
    told = list[tuple[str, int, int]]()
    work = keyframes.run(SMALL, storage, ingested, cluster, lambda *now: told.append(now))
    assert list(work["keyframes"]) == [file_id(other)]
    assert [now for now in told if now[0] == "keyframes"][-1] == ("keyframes", 1, 2)  # the copies are one film
    assert [reject.reason for reject in Tables(storage).rejects()] == ["too_short"] * 2


def test_a_film_that_a_later_stage_left_out_makes_room_for_its_copy_in_the_next_run(
    tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage, folder = Storage(str(tmp_path / "out")), tmp_path / "films"
    small, large = write_film(folder / "a.mp4", 0, size=(192, 108)), write_film(folder / "b.mp4", 0)
    config = IngestConfig(films=(str(folder),))
    keyframes.run(SMALL, storage, ingest.run(config, storage, silent), cluster, silent)
    for reason, taken in (("over_budget", large), ("crashed", small)):
        told = Reject(
            source=str(large), reason=reason, detail="x", stage="captions", film_id=file_id(large), fingerprint="f"
        )
        Tables(storage).judge("captions", [str(large)], [told])
        assert list(ingest.run(config, storage, silent).films) == [file_id(taken)]


def test_many_rejects_are_one_commit_and_those_of_other_inputs_stay(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    good = str(write_clip(tmp_path / "good.mp4", 3))
    ingest.run(IngestConfig(films=(good, *(str(tmp_path / f"{n}.mp4") for n in range(40)))), storage, silent)
    assert (len(Tables(storage).rejects()), Tables(storage).versions()["rejects"]) == (40, 1)
    ingest.run(IngestConfig(films=(good, str(tmp_path / "other.mp4"))), storage, silent)
    ingest.run(IngestConfig(films=(good, str(tmp_path / "other.mp4"))), storage, silent)
    assert (len(Tables(storage).rejects()), Tables(storage).versions()["rejects"]) == (41, 2)
