"""Films that are drawn as keyframes alone go the way of any film."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn.film import draw_film, draw_frames
from drawn.worlds import EVALUATION, TRAINING
from storage.decode import KeyframesConfig, decode_film
from storage.pictures import decode
from storage.root import Storage
from storage.tables import Tables
from storage.trim import TrimSeconds
from tasks.cluster import ClusterConfig
from tasks.curation import drawn_films, ingest, keyframes
from tasks.curation.drawn_films import DrawnFilm, drawn_film, keyframes_of
from tasks.curation.ingest import DrawnConfig, IngestConfig
from tasks.movies import truth_figures
from tasks.progress import silent
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
    row = films["drawn://1000?seconds=8&width=896&height=512"]
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
    assert truth_figures._truth(Storage(str(tmp_path)), FILM.uri) == FILM.truth.to_json()


def test_films_are_drawn_from_training_seeds_unless_said_otherwise() -> None:
    names = [film.source for film in IngestConfig(drawn=DrawnConfig(films=200)).drawn.sources]
    assert len(set(names)) == 200
    assert {drawn_film(name).seed for name in names} == set(range(TRAINING, TRAINING + 200))  # type: ignore[union-attr]
    assert EVALUATION[-1] < TRAINING
    with pytest.raises(ValueError, match=r"films 98 to 100 mix seeds for evaluation, which end with 99, with others"):
        DrawnConfig(films=3, first=98)
