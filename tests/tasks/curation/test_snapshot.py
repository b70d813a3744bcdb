"""A snapshot's halves and identity."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from storage import snapshot as stored
from storage.errors import ConfigError
from storage.root import Storage
from storage.tables.tables import Tables
from tasks.curation import snapshot
from tasks.curation.split import FilmsConfig, HalvesConfig, LeakError
from tasks.stage import Work
from tests.tasks.conftest import DRAWN, Curated
from tests.tasks.small_story import FILM, OTHER, SECONDS, two_stories


def test_the_first_half_is_learnt_from_and_the_second_held_out(curated: Curated) -> None:
    (film,) = curated.snapshot.films
    assert film.train == (0, DRAWN.seconds // 2 - 1)
    assert film.test == (DRAWN.seconds // 2, DRAWN.seconds - 1)
    assert stored.load(curated.storage, curated.snapshot.id) == curated.snapshot


def test_the_same_work_is_the_same_snapshot_whatever_the_versions_of_its_tables(curated: Curated) -> None:
    tables, film = Tables(curated.storage), curated.film_id
    key = curated.work["films" if "films" in curated.work else "keyframes"][film]
    before = tables.versions()["films"]
    tables.commit("films", film, key, tables.read("films", {film: key}))
    assert tables.versions()["films"] > before
    again = snapshot.run(HalvesConfig(), curated.storage, curated.work)
    assert again.id == curated.snapshot.id


@pytest.mark.parametrize(("fraction", "train", "test"), [(0.25, (0, 3), (4, 15)), (0.01, (0, 0), (1, 15))])
def test_each_half_has_a_keyframe(
    curated: Curated, fraction: float, train: tuple[int, int], test: tuple[int, int]
) -> None:
    made = snapshot.run(HalvesConfig(train_fraction=fraction), curated.storage, curated.work)
    assert (made.films[0].train, made.films[0].test) == (train, test)
    assert made.id != curated.snapshot.id


def test_films_that_fell_out_on_the_way_are_not_in_it(curated: Curated) -> None:
    work = {**curated.work, "keyframes": {**curated.work["keyframes"], "f" * 16: "0" * 16}}
    assert snapshot.run(HalvesConfig(), curated.storage, work).id == curated.snapshot.id
    with pytest.raises(ValueError, match="no film has come through all of"):
        snapshot.run(HalvesConfig(), curated.storage, {**curated.work, "faces": {}})


def test_later_stages_go_on_without_a_film_that_one_of_them_lost(curated: Curated) -> None:
    everything = {"tokens": {curated.film_id: "k"}, "renders": {curated.film_id: "k"}}
    assert curated.snapshot.within(everything) == curated.snapshot
    left = curated.snapshot.within({**everything, "renders": {}})
    assert (left.id, left.films, left.work["keyframes"]) == (curated.snapshot.id, (), {})


def test_two_films_that_share_a_passage_count_as_one_movie(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    work, tables = two_stories(storage).work, Tables(storage)
    with_looks(tables, work, FILM, range(100, 100 + SECONDS))
    with_looks(tables, work, OTHER, range(200, 200 + SECONDS))
    assert len(snapshot.run(FilmsConfig(test=1), storage, work).of_part("test")) == 1
    with_looks(tables, work, OTHER, range(103, 103 + SECONDS))
    with pytest.raises(ConfigError, match=r"there is 1: .* films that share pictures count as one movie"):
        snapshot.run(FilmsConfig(test=1), storage, work)
    with pytest.raises(
        LeakError, match="'small story' shows from 0 s to 8 s what 'small story' shows from 3 s to 11 s"
    ):
        snapshot.run(HalvesConfig(), storage, work)


def with_looks(tables: Tables, work: Work, film_id: str, seeds: Iterable[int]) -> None:
    rows = tables.read("keyframes", {film_id: work["keyframes"][film_id]})
    looks = [int(np.random.default_rng(seed).integers(2**63)) for seed in seeds]
    place = rows.column_names.index("look")
    rows = rows.set_column(place, "look", pa.array(looks, pa.int64()))
    tables.commit("keyframes", film_id, work["keyframes"][film_id], rows)
