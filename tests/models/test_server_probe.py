"""A server is asked once, before there is work for it: who isn't there, refuses or lacks the model is told apart."""

import pytest

from models.server import ServerConfig, ServerError
from models.server.probe import probe
from tests.models.chat_server import ChatServer, Said, models


def never(_: object) -> Said:
    raise AssertionError("nothing is to be answered")


def config(server: ChatServer, **options: str) -> ServerConfig:
    return ServerConfig.model_validate({"base_url": server.url, "model": "m"} | options)


@pytest.mark.parametrize(
    "listed",
    [models("other", "m"), models("m:latest"), models(), Said(status=404), Said(status=429), Said(raw="<html>"),
     Said(raw='{"data": [null, {"id": 1}]}')],
    ids=["listed", "tagged", "none", "no list", "busy", "html", "odd"],
)  # fmt: skip
def test_a_server_that_has_the_model_or_does_not_say_is_fine(listed: Said) -> None:
    with ChatServer(never, listed=listed) as server:
        probe(config(server))
    assert len(server.looked) == 1


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (models("a", "b"), "it has no model 'm', but 'a', 'b'"),
        (models(*"abcdefg"), "'a', 'b', 'c', 'd', 'e' and 2 more"),
        (Said(status=401), "HTTP 401, it refuses a request without a key"),
        (Said(status=502), "HTTP 502"),
    ],
)
def test_one_that_can_not_be_used_is_quoted_with_the_cure(listed: Said, said: str) -> None:
    with ChatServer(never, listed=listed) as server, pytest.raises(ServerError) as error:
        probe(config(server))
    assert str(error.value).startswith(f"{server.url}/models: ")
    assert said in str(error.value)
    assert "vllm serve m" in str(error.value)


def test_nobody_there() -> None:
    with ChatServer(never) as server:
        pass
    with pytest.raises(ServerError, match=f"{server.url}/models: ConnectError"):
        probe(config(server))


def test_an_address_that_is_none_is_quoted() -> None:
    with pytest.raises(ServerError, match="http://localhost:port/v1/models: InvalidURL Invalid port: 'port'"):
        probe(ServerConfig(base_url="http://localhost:port/v1", model="m"))


def test_a_wrong_key_is_named_by_its_variable_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDS_KEY", "sk-secret")
    with ChatServer(never, listed=Said(status=403)) as server, pytest.raises(ServerError) as error:
        probe(config(server, key_variable="WORDS_KEY"))
    assert "HTTP 403, it refuses the key in the environment variable 'WORDS_KEY'" in str(error.value)
    assert "sk-secret" not in str(error.value)
    assert server.looked[0]["Authorization"] == "Bearer sk-secret"
