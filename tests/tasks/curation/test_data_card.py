"""The data card: what it counts, and a page that asks for nothing."""

import json
import re

import pyarrow as pa
import pytest

from storage import layout
from storage import snapshot as snapshots
from storage.errors import StorageError
from storage.snapshot import Snapshot
from storage.tables.rejects import Reject
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.curation import data_card
from tasks.curation.data_card import DataCardConfig
from tasks.curation.split import LeakError
from tasks.progress import silent
from tests.storage.test_printable import EVIL as ANY
from tests.tasks.small_story import SECONDS, small_story, two_stories

EVIL = ANY.replace("\udce9", "")  # what tables can hold


def made(storage, **config):
    rel = data_card.run(DataCardConfig(pictures=4, width=64, **config), storage, silent)
    page = storage.read_bytes(rel).decode()
    return json.loads(storage.read_bytes(rel.replace(".html", ".json"))), page


def test_it_counts_what_the_snapshot_holds(storage):
    snapshot = two_stories(storage)
    Tables(storage).judge(
        "keyframes",
        [],
        [Reject(source="x.mp4", reason="truncated", detail=f"{storage.uri}/films/x.mp4 <b>", stage="keyframes")],
    )
    card, page = made(storage)
    assert card["snapshot"] == snapshot.id
    assert (card["films"], card["movies"], card["split"]) == (2, 2, "films")
    assert card["keyframes"] == 2 * SECONDS
    assert (card["shots"], card["characters"], card["faces"], card["people"]) == (8, 12, 12, 2)
    assert card["sides"]["test"] == {"films": 1, "movies": 1, "keyframes": SECONDS}
    assert card["audit"]["unseen"] == 2
    assert card["licences"] == {"none": 2}
    assert card["decades"] == {"unknown": 2}
    assert card["histograms"]["persons"]["counts"] == [12, 12]
    assert card["histograms"]["sentences"]["counts"] == [0, 0, 12, 12]
    assert card["histograms"]["face_height"]["median"] == pytest.approx(50, abs=0.1)
    assert card["written_by"] == {"template": 24}
    assert {(one["stage"], one["backend"], one["rows"]) for one in card["made"]} == {
        ("characters", "by hand", 12),
        ("faces", "by hand", 12),
        ("captions", "by hand", 36),
        ("scripts", "by hand", 24),
    }
    assert card["shares"]["nobody"] == 0.5
    assert card["shares"]["template"] == 1.0
    (reject,) = card["rejected"]
    assert (reject["reason"], reject["count"], reject["examples"]) == ("truncated", 1, ["films/x.mp4 <b>"])
    assert any("In 50 % of the keyframes the detector finds nobody" in bias for bias in card["known_biases"])
    assert "films/x.mp4 &lt;b&gt;" in page


def test_faces_that_are_not_in_the_bank_are_counted_with_the_reason(storage):
    snapshot = small_story(storage)
    (film_id, key), *_ = snapshot.work["faces"].items()
    rows = Tables(storage).read("faces", {film_id: key}).to_pylist()
    for row in rows[:2]:
        row |= {"rejected": "blurred", "character": -1}
    Tables(storage).commit("faces", film_id, key, pa.Table.from_pylist(rows, schema=SCHEMAS["faces"]))
    card, page = made(storage)
    assert card["faces_rejected"] == {"blurred": 2}
    assert f"33 % of the {len(rows)} faces are not in the face bank: 2 blurred." in card["known_biases"]
    assert "2 blurred" in page


def test_the_page_stands_alone(storage):
    small_story(storage)
    _, page = made(storage)
    assert page.count('src="data:image/webp;base64,') == 8
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    assert "@import" not in page
    assert page.count("<svg") == 6
    assert "prefers-color-scheme: dark" in page
    assert "from the training films: their figures say nothing about unseen films" in page


def test_the_newest_snapshot_is_taken_unless_another_is_named(storage):
    with pytest.raises(StorageError, match=r"no snapshot in .*build_dataset"):
        made(storage)
    old = small_story(storage)
    new = two_stories(storage)
    assert made(storage)[0]["snapshot"] == new.id
    assert made(storage, snapshot=old.id)[0]["snapshot"] == old.id
    with pytest.raises(StorageError, match=r"no snapshot 'other'.*there are"):
        made(storage, snapshot="other")


def test_a_second_run_writes_nothing(storage, tmp_path):
    snapshot = small_story(storage)
    made(storage)
    page = tmp_path / "out" / "cards" / snapshot.id / "data_card.html"
    before = page.stat().st_mtime_ns
    made(storage)
    assert page.stat().st_mtime_ns == before
    assert [rel for rel in storage.record.paths() if not (rel.startswith("tables/") or layout.is_place(rel))] == []


def test_a_snapshot_of_an_earlier_version_has_a_card_that_says_what_was_not_compared(storage, monkeypatch):
    schema = SCHEMAS["keyframes"]
    with monkeypatch.context() as earlier:
        earlier.setitem(SCHEMAS, "keyframes", schema.remove(schema.get_field_index("look")))
        small_story(storage)
    _, page = made(storage)
    assert "The pictures of 1 films could not be compared with others for near duplicates or shared" in page


def test_a_snapshot_that_leaks_has_no_card(storage):
    whole = two_stories(storage)
    films = tuple(film.model_copy(update={"movie": "tt1"}) for film in whole.films)
    leaking = Snapshot.of(films, whole.work, {"made": 1})
    storage.delete(f"snapshots/{whole.id}.json")
    snapshots.save(storage, leaking)
    with pytest.raises(LeakError, match="movie 'tt1' is learnt from in 'small story' and held out in 'another story'"):
        made(storage)


def test_titles_and_rejects_are_shown_escaped_and_cut(storage):
    snapshot = two_stories(storage)
    films = [film.model_copy(update={"title": EVIL}) for film in snapshot.films]
    told = snapshot.model_copy(update={"films": tuple(films)}).model_dump_json(exclude_none=False).encode()
    storage.write_bytes(f"snapshots/{snapshot.id}.json", told)
    Tables(storage).judge("keyframes", [], [Reject(source=EVIL, reason="truncated", detail=EVIL, stage="keyframes")])
    _, page = made(storage)
    assert all(letter.isprintable() or letter == "\n" for letter in page.replace("\u202f", ""))
    assert "A" * 2001 not in re.sub('"data:[^"]*"', "", page)
    assert r"\x1b[2J\x1b]0;owned" in page
