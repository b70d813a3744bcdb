"""What a storyboard shows of films of which some were lost on the way, or rebuilt in part."""

import pyarrow as pa
import pytest

from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables.schemas import SCHEMAS, row_id
from storage.tables.tables import Tables
from tasks.movies.storyboard import StoryboardConfig, _Story
from tests.storage.finished import finish
from tests.tasks.small_story import FILM, OTHER, webp, write_story

REBUILT = (1, 2, 4, 7)


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def snapshot(storage: Storage) -> Snapshot:
    """Two films, of each a half to learn from and a half held out."""
    works = [write_story(storage, film_id, "film.mp4", has_audio=False) for film_id in (FILM, OTHER)]
    films = tuple(
        SnapshotFilm(film_id=one, title=f"film {one[0]}", train=(0, 5), test=(6, 11)) for one in (FILM, OTHER)
    )
    return Snapshot.of(films, {name: works[0][name] | works[1][name] for name in works[0]}, {})


@pytest.fixture
def work(storage: Storage, snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Of the second film nothing was rendered."""
    drawn = {"film_id": FILM, "fingerprint": "k", "variant": "rebuilt", "image": webp(0)}
    rows = [{**drawn, "row_id": row_id(FILM, second)} for second in REBUILT]
    Tables(storage).commit("renders", FILM, "k", pa.Table.from_pylist(rows, schema=SCHEMAS["renders"]))
    finish(Tables(storage), "renders", FILM, "k", len(rows))
    return {**snapshot.work, "renders": {FILM: "k"}}


def story(storage: Storage, snapshot: Snapshot, work: dict[str, dict[str, str]]) -> _Story:
    return _Story(StoryboardConfig(width=16), storage, snapshot.within(work), work)


def test_a_film_that_was_not_rendered_is_not_told_of(storage, snapshot, work):
    told = story(storage, snapshot, work)
    assert told.lead().startswith("12 keyframes, 4 shots, 1 character seen")
    assert [one.row_id[:16] for one in told._frames("test")] == [FILM] * 6


def test_of_what_was_learnt_from_only_what_was_rebuilt_is_shown(storage, snapshot, work):
    told = story(storage, snapshot, work)
    assert [one.row_id for one in told._frames("train")] == [row_id(FILM, second) for second in (1, 2, 4)]
    assert all(len(one.pictures) == 2 for one in told._frames("train"))
    assert told.spans("train") == "0:00 to 0:06; 3 of 6 keyframes are shown"


def test_people_are_named_by_film_and_those_seen_most_come_first(storage, snapshot):
    work = {**snapshot.work, "renders": {film.film_id: "none" for film in snapshot.films}}
    told = story(storage, snapshot, work)
    assert [one.name for one in told.cast()] == ["Character 1 of film 0", "Character 1 of film f"]
    assert [face.name for one in told._frames("train") for face in one.faces][:1] == ["Character 1 of film 0"]
    assert len(list(told._frames("train"))) == 12  # nothing was rebuilt
