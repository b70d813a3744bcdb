"""Near duplicates are left out before any model sees them, with a reason, and come back when they are wanted."""

from pathlib import Path

import pytest

from storage.films.passages import Looks
from storage.fingerprint import file_id
from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.curation import dedup, ingest, keyframes
from tasks.curation.dedup import DedupConfig
from tasks.curation.ingest import IngestConfig
from tasks.curation.pipeline import CURATION, unfinished
from tasks.curation.snapshot import film_rows
from tasks.progress import silent
from tasks.stage import Work
from tests.storage.blobs import write
from tests.storage.finished import finish
from tests.tasks.curation.test_ingest import SMALL


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    write(folder / "a.mp4", 0, size=(192, 108), crf="40")
    write(folder / "b.mp4", 0)
    write(folder / "c.mp4", 1)
    return folder


def decoded(folder: Path, storage: Storage, cluster: ClusterConfig) -> Work:
    ingested = ingest.run(IngestConfig(films=(str(folder),)), storage, silent)
    return keyframes.run(SMALL, storage, ingested, cluster, silent)


def names(work: Work, storage: Storage) -> list[str]:
    return sorted(Path(source).name for source in Tables(storage).sources(work["keyframes"]).values())


def test_the_largest_stays_and_the_others_are_named(films: Path, tmp_path: Path, cluster: ClusterConfig) -> None:
    storage = Storage(str(tmp_path / "out"))
    work = decoded(films, storage, cluster)
    left = dedup.run(DedupConfig(), storage, work, silent)
    assert names(left, storage) == ["b.mp4", "c.mp4"]
    (reject,) = Tables(storage).rejects()
    small = films / "a.mp4"
    assert (reject.reason, reject.source, reject.film_id) == ("near_duplicate", str(small), file_id(small))
    assert f"shows the same pictures as {str(films / 'b.mp4')!r} (320x180), which is kept" in reject.detail
    assert "dedup.remove=false" in reject.detail
    assert dedup.run(DedupConfig(), storage, work, silent) == left
    versions = Tables(storage).versions()
    assert dedup.run(DedupConfig(remove=False), storage, work, silent) == work
    assert Tables(storage).rejects() == []
    assert versions["rejects"] < Tables(storage).versions()["rejects"]
    _, shared = film_rows(Tables(storage), work)
    assert [{passage.one, passage.other} for passage in shared] == [{file_id(small), file_id(films / "b.mp4")}]


def test_what_models_have_seen_stays_when_a_better_copy_comes(
    films: Path, tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage = Storage(str(tmp_path / "out"))
    kept = file_id(films / "b.mp4")
    for film_id in (kept, file_id(films / "c.mp4")):
        finish(Tables(storage), "characters", film_id, "f00d", 1)
    write(films / "better.mp4", 0, size=(960, 540))
    left = dedup.run(DedupConfig(), storage, decoded(films, storage, cluster), silent)
    assert names(left, storage) == ["b.mp4", "c.mp4"]
    told = {Path(reject.source).name: reject.detail for reject in Tables(storage).rejects()}
    assert set(told) == {"a.mp4", "better.mp4"}
    assert "which the storage already holds: to keep this one instead, run without" in told["better.mp4"]


def test_a_film_belongs_to_the_movie_that_only_its_copy_names(
    films: Path, tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage, manifest = Storage(str(tmp_path / "out")), tmp_path / "films.csv"
    for movie in ("", "tt1"):  # said after the film was decoded
        manifest.write_text(f"path,movie\nfilms/b.mp4,\nfilms/a.mp4,{movie}\nfilms/c.mp4,tt1\n")
        left = dedup.run(DedupConfig(), storage, decoded(manifest, storage, cluster), silent)
        rows = Tables(storage).read("films", left["keyframes"]).to_pylist()
        assert {Path(row["source"]).name: row["movie"] for row in rows} == {"b.mp4": movie, "c.mp4": "tt1"}
    versions = Tables(storage).versions()
    dedup.run(DedupConfig(), storage, decoded(manifest, storage, cluster), silent)
    assert Tables(storage).versions() == versions


def test_copies_are_no_unfinished_work_of_later_stages(films: Path, tmp_path: Path, cluster: ClusterConfig) -> None:
    class Recipe:
        keyframes = SMALL
        detector = "any"

    storage = Storage(str(tmp_path / "out"))
    work = decoded(films, storage, cluster)
    left = dedup.run(DedupConfig(), storage, work, silent)
    characters = CURATION[1]
    for film_id, key in characters.keys(["any"], left).items():
        finish(Tables(storage), "characters", film_id, key, 1)
    assert not unfinished(characters, Recipe, storage, list(work["keyframes"]))


def test_films_without_looks_are_compared_with_none(
    films: Path, tmp_path: Path, cluster: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(str(tmp_path / "out"))
    work = decoded(films, storage, cluster)
    nothing: dict[str, Looks] = {}
    monkeypatch.setattr(dedup, "looks_of", lambda keyframes: nothing)
    assert dedup.run(DedupConfig(), storage, work, silent) == work
