"""Captions and scripts by a server, through the stages: every row its own words, and what is done is kept."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from models.captioner import OpenAiConfig
from models.server import ServerConfig
from models.writer import OpenAiWriterConfig
from storage.errors import FilmError
from storage.root import Storage
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.curation import captions, scripts
from tasks.progress import silent
from tasks.stage import StageError, Work, run_stage
from tests.models.chat_server import Asked, ChatServer, Said
from tests.storage.finished import finish

SHORT, LONG = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
SECONDS = {SHORT: 2, LONG: 20}
WHO = {"backend": "by hand", "revision": "1", "licence": "none"}


def picture(grey: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((64, 96, 3), grey, np.uint8)).save(file, "WEBP", lossless=True)
    return file.getvalue()


@pytest.fixture
def one_worker(cluster: ClusterConfig) -> ClusterConfig:
    return cluster.model_copy(update={"workers": 1})


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def work(storage: Storage) -> Work:
    """Two films; every third keyframe is the same grey, and every second one shows a person."""
    tables = Tables(storage)
    for film_id, seconds in SECONDS.items():
        found: dict[str, list[dict]] = {"keyframes": [], "characters": [], "faces": []}
        for second in range(seconds):
            row = {"row_id": f"{film_id}-{second:06d}", "film_id": film_id, "fingerprint": "f00d"}
            seen = {"second": second, "pts": float(second), "shot": 0, "to_cut": 0.0, "motion": 1.0, "look": 0}
            image = picture(120 if second % 3 == 0 else 40 + 5 * second)
            found["keyframes"].append({**row, **seen, "image": image, "width": 96, "height": 64})
            if second % 2:
                box = {"x0": 0.1, "y0": 0.1, "x1": 0.6, "y1": 0.9, "score": 0.9}
                found["characters"].append({"character_id": f"{row['row_id']}-p0", **row, **box, **WHO})
        for name, rows in found.items():
            tables.commit(name, film_id, "f00d", pa.Table.from_pylist(rows, schema=SCHEMAS[name]))
            finish(tables, name, film_id, "f00d", len(rows))
    return {name: dict.fromkeys(SECONDS, "f00d") for name in ("keyframes", "characters", "faces")}


def config(server: ChatServer, **options: object) -> OpenAiConfig:
    given = {"base_url": server.url, "model": "m", "backoff_s": 0} | options
    return OpenAiConfig(server=ServerConfig.model_validate(given))


def captioned(config: OpenAiConfig, storage: Storage, work: Work, cluster: ClusterConfig) -> Work:
    return run_stage(captions.STAGE, [config], storage, work, cluster, silent)


def flaky(asked: Asked) -> Said:
    """Says of which row it speaks; fails in turns at first attempts."""
    if asked.times == 0 and sum(asked.key.encode()) % 3:
        return (Said(status=500), Said(close=True))[sum(asked.key.encode()) % 2]
    return Said(f"Grey {asked.colour()[0]} of {asked.key}.")


def test_captions_and_scripts_of_a_flaky_server_are_those_of_their_rows(
    storage: Storage, work: Work, one_worker: ClusterConfig
) -> None:
    with ChatServer(flaky) as server:
        done = captioned(config(server), storage, work, one_worker)
        asked = len(server.asked)
        assert captioned(config(server, concurrency=1), storage, work, one_worker) == done
        assert len(server.asked) == asked  # nothing is asked twice, however hard the server is pressed
    said = Tables(storage).read("captions", done["captions"]).to_pylist()
    assert len(said) == sum(seconds + seconds // 2 for seconds in SECONDS.values())
    for row in said:
        second = int(row["row_id"][-6:])
        grey = 120 if second % 3 == 0 else 40 + 5 * second
        index = -1 if row["subject"] == "frame" else 0
        assert row["subject"] in ("frame", f"{row['row_id']}-p0")
        assert row["text"] == f"Grey {grey} of {row['row_id']}/{index}."
        assert (row["backend"], row["licence"]) == ("openai", "see the served model")
    assert not Tables(storage).rejects()

    def write(asked: Asked) -> Said:
        caption = asked.body["messages"][1]["content"].split("\n")[1]
        return Said(json.dumps({"scene_elements": [caption if asked.key.startswith(LONG) else "A dog."], "plots": []}))

    with ChatServer(write) as server:
        writer = OpenAiWriterConfig(server=ServerConfig(base_url=server.url, model="m"))
        done = run_stage(scripts.STAGE, [writer], storage, done, one_worker, silent)
    for row in Tables(storage).read("scripts", done["scripts"]).to_pylist():
        assert row["row_id"] in row["text"]
        assert row["written_by"] == ("llm" if row["film_id"] == LONG else "template")
        assert ("only 0% of the words of 'A dog.'" in row["reason"]) == (row["film_id"] == SHORT)
        assert len(row["characters"]) == int(row["row_id"][-6:]) % 2


def test_what_the_captioner_can_not_say_is_measured_and_noted(
    storage: Storage, work: Work, one_worker: ClusterConfig
) -> None:
    mute = f"{LONG}-000003/-1"
    with ChatServer(lambda asked: Said("" if asked.key == mute else "A wall.")) as server:
        done = captioned(config(server), storage, work, one_worker)
    said = Tables(storage).read("captions", done["captions"]).to_pylist()
    (measured,) = [row for row in said if row["backend"] != "openai"]
    assert (measured["row_id"], measured["subject"], measured["backend"]) == (mute[:-3], "frame", "describer")
    assert "The main colour is" in measured["text"]
    (reject,) = Tables(storage).rejects()
    assert (reject.reason, reject.film_id) == ("partly_captioned", LONG)
    assert "1 of 30 captions are measured; the first, of" in reject.detail
    assert "because it is empty" in reject.detail


def test_a_film_whose_budget_is_used_up_is_left_out_until_the_budget_is_raised(
    storage: Storage, work: Work, one_worker: ClusterConfig
) -> None:
    with ChatServer(lambda _: Said("A wall.")) as server:
        done = captioned(config(server, requests_a_film=8), storage, work, one_worker)["captions"]
        assert set(done) == {SHORT}
        (reject,) = Tables(storage).rejects()
        assert (reject.film_id, reject.reason) == (LONG, "over_budget")
        assert f"film {LONG} has used up its 8 requests: raise server.requests_a_film" in reject.detail
        assert len(server.asked) <= 3 + 8  # those that were under way when the ninth was due may not have arrived
        assert {film_id for film_id, _ in Tables(storage).done("captions")} == {SHORT}
        before = len(server.asked)
        done = captioned(config(server), storage, work, one_worker)
        assert len(server.asked) == before + 30
    assert set(done["captions"]) == set(SECONDS)


def test_a_server_that_never_makes_sense_stops_the_stage(
    storage: Storage, work: Work, one_worker: ClusterConfig
) -> None:
    wanted = f"none of the 30 captions of film {LONG} by openai can be used"
    with ChatServer(lambda _: Said("")) as server:
        for _ in range(2):  # the measured captions of the short film prove nothing
            with pytest.raises(StageError, match=wanted):
                captioned(config(server), storage, work, one_worker)


def test_a_film_without_a_usable_caption_is_left_out_where_others_have_some(
    storage: Storage, work: Work, one_worker: ClusterConfig
) -> None:
    with ChatServer(lambda asked: Said("" if asked.key.startswith(LONG) else "A wall.")) as server:
        first = {stage: {SHORT: films[SHORT]} for stage, films in work.items()}
        for some in (first, work):  # the usable ones are an earlier run's
            assert set(captioned(config(server), storage, some, one_worker)["captions"]) == {SHORT}
    (reject,) = Tables(storage).rejects()
    assert (reject.reason, reject.film_id) == ("uncaptioned", LONG)
    assert "none of the 30 captions of film" in reject.detail


def test_a_worker_stops_at_a_film_without_one_only_while_it_had_none_itself(storage: Storage, work: Work) -> None:
    with ChatServer(lambda asked: Said("" if asked.key.startswith(LONG) else "A wall.")) as server:
        describe = captions.STAGE.make(config(server), storage, work)
        with pytest.raises(StageError, match="run once without this film"):
            list(describe(LONG))
        assert len(list(describe(SHORT))) == 2
        with pytest.raises(FilmError, match="uncaptioned: none of the 30 captions"):
            list(describe(LONG))


def test_a_server_that_goes_away_stops_the_stage_with_one_line_and_the_next_run_goes_on(
    storage: Storage, work: Work, one_worker: ClusterConfig
) -> None:
    first = {stage: {SHORT: films[SHORT]} for stage, films in work.items()}
    with ChatServer(lambda _: Said("A wall.")) as server:
        captioned(config(server), storage, first, one_worker)
    gone = f"captions stopped at film {LONG} ('{LONG}'): {server.url}/chat/completions: no answer in 2 attempts"
    with pytest.raises(StageError, match="Start a server with `vllm serve m`") as error:
        captioned(config(server, attempts=2), storage, work, one_worker)
    assert str(error.value).startswith(gone)
    assert len(str(error.value).splitlines()) == 1
    assert {film_id for film_id, _ in Tables(storage).done("captions")} == {SHORT}
    assert not Tables(storage).rejects()
    with ChatServer(lambda _: Said("A wall.")) as server:
        done = captioned(config(server), storage, work, one_worker)["captions"]
    assert set(done) == set(SECONDS)
    assert all(asked.key.startswith(LONG) for asked in server.asked)
