"""Servers are asked before there is anything for them, and left alone when there is nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.settings.preflight import ServersError, ask_servers
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from storage.root import Storage
from storage.tables.rejects import Reject
from storage.tables.tables import Tables
from tasks.curation.pipeline import CURATION
from tests.models.chat_server import ChatServer, Said, models
from tests.storage.finished import finish

A, B, C = "a" * 16, "b" * 16, "c" * 16
NOBODY = "http://127.0.0.1:9/v1"


def settings(captioner: str = "", writer: str = "", model: str = "m") -> Recipe:
    changes = []
    for name, url in (("captioner", captioner), ("writer", writer)):
        if url:
            changes += [f"{name}.kind=openai", f"{name}.server.base_url={url}", f"{name}.server.model={model}"]
    return resolve("smoke", changes)


def keys(recipe: Recipe, films: Sequence[str]) -> dict[str, dict[str, str]]:
    """What the stages up to captions name their work by, as they do it one after the other."""
    work: dict[str, dict[str, str]] = {"ingest": {film: film for film in films}}
    for stage in CURATION[:4]:
        work[stage.name] = stage.keys(stage.arguments(recipe), work)
    return work


def captioned(storage: Storage, recipe: Recipe, *films: str) -> None:
    for stage, of_stage in keys(recipe, films).items():
        for film, key in of_stage.items():
            if stage != "ingest":
                finish(Tables(storage), stage, film, key, 1)


def test_recipes_without_servers_ask_nobody(tmp_path: Path) -> None:
    ask_servers(settings(), Storage(str(tmp_path)))


def test_both_are_asked_and_named_at_once(tmp_path: Path) -> None:
    with ChatServer(lambda _: Said(), listed=models("n")) as server:
        with pytest.raises(ServersError) as error:
            ask_servers(settings(NOBODY, server.url), Storage(str(tmp_path)))
        ask_servers(settings(server.url, server.url, "n"), Storage(str(tmp_path)))
    first, second = str(error.value).splitlines()
    assert first.startswith(f"captioner.server: {NOBODY}/models: ConnectError")
    assert second.startswith(f"writer.server: {server.url}/models: it has no model 'm', but 'n'")


def test_a_server_that_has_done_its_work_may_be_gone(tmp_path: Path) -> None:
    storage, recipe = Storage(str(tmp_path)), settings(NOBODY)
    captioned(storage, settings(), A)  # by the describer: the server's are still to be made
    with pytest.raises(ServersError):
        ask_servers(recipe, storage)
    captioned(storage, recipe, B)
    ask_servers(recipe, storage)
    ask_servers(recipe, storage, [B])
    with pytest.raises(ServersError):
        ask_servers(recipe, storage, [B, C])
    with pytest.raises(ServersError):
        ask_servers(settings(NOBODY, model="other"), storage, [B])


def test_a_film_that_is_given_up_needs_no_server(tmp_path: Path) -> None:
    storage, recipe = Storage(str(tmp_path)), settings(NOBODY)
    captioned(storage, recipe, B)
    (key,) = keys(recipe, [C])["keyframes"].values()
    reject = Reject(source="c.mp4", reason="too_short", detail="c.mp4", stage="keyframes", film_id=C, fingerprint=key)
    Tables(storage).judge("keyframes", ["c.mp4"], [reject])
    ask_servers(recipe, storage, [B, C])
