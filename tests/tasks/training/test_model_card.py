"""What a trained model's README.md says of its data."""

import json

from models.training.autoregressive import AutoregressiveTrainingConfig
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from tasks.training.model_card import Card, write_card
from tests.tasks.small_story import FILM, SECONDS, write_story


def test_a_card_counts_keyframes_and_not_the_seconds_of_their_span(tmp_path):
    storage = Storage(str(tmp_path / "out"))
    work = write_story(storage, FILM, "film.mp4", has_audio=False)
    films = (SnapshotFilm(film_id=FILM, title="story", train=(0, 400), test=None),)
    source = {"name": "tiny", "revision": "1", "licence": "Apache-2.0"}
    storage.write_bytes("model/config.json", json.dumps({"source": source}).encode())
    storage.write_bytes("model/curve.jsonl", b'{"step": 0, "nll": 1.0}')
    card = Card("autoregressive", "model", None, AutoregressiveTrainingConfig())
    write_card(card, storage, Snapshot.of(films, work, {}))
    assert f": {SECONDS} keyframes of 1 films (`films.csv`)." in (tmp_path / "out/model/README.md").read_text()
    assert (tmp_path / "out/model/films.csv").read_text().splitlines()[0] == "title,licence,drawn"
