"""Films that are read window by window are the films that were loaded whole."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks import dataset
from tasks.training import tokens
from tasks.training.episodes import Reader, episodes
from tasks.training.examples import Examples
from tests.storage.finished import finish
from tests.tasks.small_story import FILM, OTHER, SECONDS, write_story


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Two films with tokens, of which the first two thirds are learnt from, and a third film without tokens."""
    storage = Storage(str(tmp_path_factory.mktemp("story")))
    names = (FILM, OTHER, "unseen")
    works = [write_story(storage, film_id, "film.mp4", has_audio=False) for film_id in names]
    work = {stage: {film: key for one in works for film, key in one[stage].items()} for stage in works[0]}
    films = tuple(SnapshotFilm(film_id=each, title="story", train=(0, 7), test=(8, 11)) for each in names)
    tables, random = Tables(storage), np.random.default_rng(1)
    for film_id in (FILM, OTHER):
        rows = [
            {"film_id": film_id, "fingerprint": "70", "row_id": f"{film_id}-{second:06d}", "second": second,
             "tokens": random.normal(size=(2, 6)).astype(np.float32).tobytes(),
             "tokens_flipped": random.normal(size=(2, 6)).astype(np.float32).tobytes(), "count": 2, "width": 6}
            for second in range(SECONDS)
        ]  # fmt: skip
        tables.commit("tokens", film_id, "70", pa.Table.from_pylist(rows, schema=SCHEMAS["tokens"]))
        finish(tables, "tokens", film_id, "70", SECONDS)
    return storage, Snapshot.of(films, work, {}), {**work, "tokens": dict.fromkeys((FILM, OTHER), "70")}


def alike(one, other):
    assert one.row_id == other.row_id
    for name in ("sentences", "kinds", "faces"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    pairs = zip(one.face_choices, other.face_choices, strict=True)
    assert all(np.array_equal(np.array(mine), np.array(theirs)) for mine, theirs in pairs)
    return True


def read_episodes(story, part):
    storage, snapshot, work = story
    return episodes(Reader(storage, snapshot.within(work), work, part))


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_episode_is_what_its_film_holds(story, part):
    storage, snapshot, work = story
    loaded = dataset.load(storage, snapshot.within(work), part)
    found = {episode.film_id: episode for episode in read_episodes(story, part)}
    assert set(found) == {film.film.film_id for film in loaded} == {FILM, OTHER}
    for film in loaded:
        episode = found[film.film.film_id]
        assert len(episode) == len(film.row_ids)
        plain_TLD, flipped_TLD = tokens.read(storage, work, film.row_ids)
        order = range(len(film.row_ids))[::-1]
        for flipped, scripts, tokens_TLD in (
            (False, film.scripts, plain_TLD),
            (True, film.scripts_flipped, flipped_TLD),
        ):
            read, read_TLD = episode.read(order, flipped)
            assert torch.equal(read_TLD, tokens_TLD.flip(0))
            assert all(alike(one, other) for one, other in zip(read, scripts[::-1], strict=True))


def test_a_window_reads_itself_and_the_faces_of_its_film(story, monkeypatch):
    monkeypatch.setattr(Examples, "window", 4)
    read = []
    between, batches = FilmRows.between, FilmRows.batches
    monkeypatch.setattr(FilmRows, "between", lambda *told: read.append((told[0].table, *told[2:4])) or between(*told))
    monkeypatch.setattr(FilmRows, "batches", lambda *told: read.append((told[0].table, *told[2:])) or batches(*told))
    episode = next(each for each in read_episodes(story, "train") if each.film_id == OTHER)
    read.clear()
    for _ in range(2):
        episode.read([1, 2])
    ends = f"{OTHER}-000000", f"{OTHER}-000003"
    assert sorted(read, key=str) == [("features", *ends), ("features", dataset.FACES), ("tokens", *ends)]
