"""Films that are drawn as keyframes alone go the way of any film."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from drawn.film import draw_film, draw_frames
from drawn.worlds import EVALUATION, TRAINING
from models.writer import FilmWriterConfig
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.pictures import decode
from storage.decoding.trim import TrimSeconds
from storage.root import Storage
from storage.tables.schemas import SCHEMAS, row_id, second_of
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.curation import drawn_films, ingest, keyframes, scripts
from tasks.curation.drawn_films import DrawnFilm, drawn_film, keyframes_of, known_truth
from tasks.curation.ingest import DrawnConfig, IngestConfig
from tasks.progress import silent
from tasks.stage import Work, run_stage
from tests.storage.finished import finish
from tests.tasks.clips import write_clip

SMALL = KeyframesConfig(width=112, height=64)
FILM = DrawnFilm(seed=1003, seconds=10, width=224, height=128)


def test_its_keyframes_are_those_of_its_video(tmp_path: Path) -> None:
    config = KeyframesConfig(width=224, height=128, trim=TrimSeconds(start=1, end=1))
    draw_film(tmp_path / "film.mp4", 1003, 10, (224, 128))
    with decode_film(tmp_path / "film.mp4", config) as video, keyframes_of(FILM, config) as drawn:
        assert video.probe.model_dump(exclude={"has_audio", "licence"}) == pytest.approx(
            drawn.probe.model_dump(exclude={"has_audio", "licence"}), abs=0.1
        )
        assert video.cuts == pytest.approx(drawn.cuts, abs=1e-6)
        one, other = video.rows(), drawn.rows()
    assert one.schema == other.schema
    for name in ("second", "shot", "width", "height"):
        assert one[name] == other[name]
    for name, near in (("pts", 1e-6), ("to_cut", 1e-5), ("motion", 1.5)):
        assert one[name].to_numpy() == pytest.approx(other[name].to_numpy(), abs=near)
    for a, b in zip(one["image"].to_pylist(), other["image"].to_pylist(), strict=True):
        assert np.abs(decode(a).astype(float) - decode(b)).mean() < 6


@pytest.mark.parametrize("size", [(224, 128), (112, 64), (128, 128), (200, 64)])
def test_keyframes_of_any_size_show_the_middle(size: tuple[int, int]) -> None:
    with keyframes_of(FILM, KeyframesConfig(width=size[0], height=size[1])) as drawn:
        images = [decode(image) for image in drawn.rows()["image"].to_pylist()]
    assert {image.shape for image in images} == {(size[1], size[0], 3)}
    (frame,) = draw_frames(1003, [5], 10, (224, 128))
    part = min(224 / size[0], 128 / size[1]) / 2
    high, wide = round(size[1] * part), round(size[0] * part)
    middle = cv2.resize(frame[64 - high : 64 + high, 112 - wide : 112 + wide], size, interpolation=cv2.INTER_AREA)
    assert np.abs(images[5].astype(float) - middle).mean() < 8


def test_drawn_films_pass_through_the_stages_and_are_done_once(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, clip = Storage(str(tmp_path / "out")), write_clip(tmp_path / "clip.mp4", 3)
    config = IngestConfig(films=(str(clip),), drawn=DrawnConfig(films=2, seconds=8))
    ingested = ingest.run(config, storage, silent)
    assert len(ingested.films) == 3
    assert not storage.exists("films/drawn-7-8s-896x512-r2.mp4")
    work = keyframes.run(SMALL, storage, ingested, cluster, silent)
    tables = Tables(storage)
    films = {row["source"]: row for row in tables.read("films", work["keyframes"]).to_pylist()}
    row = films["drawn://896x512/8s/seed-1000"]
    assert (row["licence"], row["origin"], row["seconds"]) == ("Apache-2.0", "drawn from seed 1000", 8.0)
    assert row["title"] == DrawnFilm(seed=1000, seconds=8, width=896, height=512).truth.title
    assert tables.read("keyframes", work["keyframes"]).num_rows == 8 + 8 + 3
    versions = tables.versions()
    assert keyframes.run(SMALL, storage, ingest.run(config, storage, silent), cluster, silent) == work
    assert tables.versions() == versions


def test_its_id_follows_from_seed_length_and_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {FILM.source.film_id, FILM.model_copy(update={"seed": 1004}).source.film_id}
    ids.add(FILM.model_copy(update={"seconds": 12}).source.film_id)
    assert FILM.source.film_id in ids
    monkeypatch.setattr(drawn_films, "REVISION", 3)
    ids.add(FILM.source.film_id)
    assert len(ids) == 4
    assert {len(name) for name in ids} == {16}


def test_its_truth_is_known_by_its_source(tmp_path: Path) -> None:
    assert drawn_film(FILM.uri) == FILM
    assert drawn_film("films/drawn-7.mp4") is None
    storage = Storage(str(tmp_path))
    assert known_truth(storage, FILM.uri) == FILM.truth
    (tmp_path / "film.truth.json").write_text(FILM.truth.to_json())
    assert known_truth(storage, str(tmp_path / "film.mp4")) == FILM.truth
    assert known_truth(storage, str(tmp_path / "other.mp4")) is None


def test_films_are_drawn_from_training_seeds_unless_said_otherwise() -> None:
    names = [film.source for film in IngestConfig(drawn=DrawnConfig(films=200)).drawn.sources]
    assert len(set(names)) == 200
    assert {drawn_film(name).seed for name in names} == set(range(TRAINING, TRAINING + 200))  # type: ignore[union-attr]
    assert EVALUATION[-1] < TRAINING
    with pytest.raises(ValueError, match=r"films 98 to 100 mix seeds for evaluation, which end with 99, with others"):
        DrawnConfig(films=3, first=98)


def rows_of(rows: list[dict[str, Any]], table: str) -> pa.Table:
    schema = SCHEMAS[table].remove(SCHEMAS[table].get_field_index("fingerprint"))
    return pa.Table.from_pylist([{**dict.fromkeys(schema.names, ""), **row} for row in rows], schema=schema)


def written(storage: Storage, work: Work, config: FilmWriterConfig, cluster: ClusterConfig) -> list[dict[str, Any]]:
    done = run_stage(scripts.STAGE, [config], storage, work, cluster, silent)
    rows = Tables(storage).read("scripts", done["scripts"]).to_pylist()
    return sorted(rows, key=lambda row: str(row["row_id"]))


def test_a_share_of_its_shots_is_written_in_its_own_words(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage = Storage(str(tmp_path))
    ingested = ingest.run(IngestConfig(drawn=DrawnConfig(films=1, seconds=24)), storage, silent)
    work = keyframes.run(SMALL, storage, ingested, cluster, silent)
    work = {**work, "captions": dict(work["keyframes"])}
    ((film_id, key),) = work["captions"].items()
    tables = Tables(storage)
    told = drawn_film(ingested.films[film_id].source).truth  # type: ignore[union-attr]
    said = [
        {"row_id": row_id(film_id, n), "film_id": film_id, "subject": "frame", "text": "It is dark."} for n in range(24)
    ]
    tables.commit("captions", film_id, key, rows_of(said, "captions"))
    finish(tables, "captions", film_id, key, 24)
    half, whole, other = (
        written(storage, work, FilmWriterConfig(share=share, seed=seed), cluster)
        for share, seed in ((0.5, 0), (1.0, 0), (1.0, 1))
    )
    assert {row["written_by"] for row in half} == {"film", "template"}
    for shot in {second.shot for second in told.timeline}:
        rows = [row for row in half if told.timeline[second_of(row["row_id"])].shot == shot]
        assert len({row["written_by"] for row in rows}) == 1
    assert {row["written_by"] for row in whole} == {"film"}
    for row, another in zip(whole, other, strict=True):
        moment = told.timeline[second_of(row["row_id"])]
        assert row["plots"][0] == another["plots"][0] == moment.plot
        assert len(row["characters"]) == len(moment.appearances)
    assert sum(row["text"] != another["text"] for row, another in zip(whole, other, strict=True)) > 12
