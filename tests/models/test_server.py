"""The client of OpenAI-compatible servers against a real one that answers late, wrongly, twice or not at all."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from pydantic import ValidationError

from models.server import BudgetError, Question, Reply, ServerConfig, ServerError
from models.server.client import Client
from models.server.sender import Clock, backoff, retry_after
from storage.fingerprint import fingerprint
from tests.models.chat_server import Asked, ChatServer, Said

KEYS = [f"film-{n:06d}/-1" for n in range(12)]


class FastClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep, Random(0))


def client(server: ChatServer, clock: FastClock | None = None, **options: object) -> Client:
    config = ServerConfig.model_validate({"base_url": server.url, "model": "m", "timeout_s": 30} | options)
    return Client(config, "No: {reason}", (clock or FastClock()).clock())


def questions(keys: list[str] = KEYS) -> list[Question]:
    return [Question(key, "film", [{"role": "user", "content": f"what is {key}?"}], 100) for key in keys]


def any_text(_: Question, reply: Reply) -> str:
    return "" if reply.text else "it is empty"


def echo(asked: Asked) -> Said:
    return Said(f"this is {asked.key}")


def at_first(said: Said, then: Callable[[Asked], Said] = echo) -> Callable[[Asked], Said]:
    """Fails the first time that a key comes."""
    return lambda asked: said if asked.times == 0 else then(asked)


def test_answers_that_come_in_another_order_keep_their_keys() -> None:
    with ChatServer(echo, together=len(KEYS)) as server:
        answers = client(server).ask(questions(), any_text)
    assert server.finished == [asked.key for asked in reversed(server.asked)]
    assert {key: answer.reply.text for key, answer in answers.items()} == {key: f"this is {key}" for key in KEYS}
    assert all(key == answer.key and not answer.reason for key, answer in answers.items())


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_requests_are_under_way_than_allowed(limit: int) -> None:
    with ChatServer(echo, together=limit) as server:
        client(server, concurrency=limit).ask(questions(), any_text)
    assert server.most_at_once == limit


@pytest.mark.parametrize(
    "failure",
    [Said(status=500), Said(status=503), Said(status=429), Said(status=408), Said(close=True), Said(raw="<html>"),
     Said(hang=True)],
    ids=["500", "503", "429", "408", "closed", "html", "hangs"],
)  # fmt: skip
def test_what_may_pass_is_sent_again_after_a_growing_wait(failure: Said) -> None:
    clock = FastClock()
    with ChatServer(lambda asked: failure if asked.times < 2 else echo(asked)) as server:
        options = {"timeout_s": 0.3} if failure.hang else {}
        answers = client(server, clock, backoff_s=1, **options).ask(questions(KEYS[:1]), any_text)
    assert answers[KEYS[0]].reply.text == f"this is {KEYS[0]}"
    first, second = clock.waits
    assert 0.5 <= first <= 1 <= second <= 2


def test_waits_double_and_stay_within_the_longest() -> None:
    random = Random(0)
    waits = [backoff(attempt, 1, 30, random) for attempt in range(1, 9)]
    assert all(2 ** (n - 1) / 2 <= wait <= 2 ** (n - 1) for n, wait in enumerate(waits[:5], 1))
    assert all(15 <= wait <= 30 for wait in waits[5:])
    assert backoff(3, 1, 30, random) != backoff(3, 1, 30, random)


def test_retry_after_is_honoured_by_all_requests() -> None:
    clock = FastClock()
    busy = Said(status=429, headers={"Retry-After": "7"})
    with ChatServer(lambda asked: busy if asked is server.asked[0] else echo(asked)) as server:
        client(server, clock, backoff_s=0.1, concurrency=1).ask(questions(KEYS[:2]), any_text)
    assert 7 <= clock.waits[0] <= 7.7
    assert len(server.asked) == 3
    away, too_long = Said(status=503, headers={"Retry-After": "600"}), r"asks to wait 600 s, longer than .*wait_s=120"
    with ChatServer(at_first(away)) as server, pytest.raises(ServerError, match=too_long):
        client(server).ask(questions(KEYS[:1]), any_text)


def test_retry_after_as_a_date() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < retry_after(in_a_minute) <= 60
    assert retry_after("1.5") == 1.5
    assert [retry_after(odd) for odd in (None, "", "soon", "-3", "Mon, 01 Jan 2001 00:00:00 GMT")] == [0] * 5


def test_a_server_that_stays_away_is_named_with_the_cure() -> None:
    with ChatServer(lambda _: Said(status=500, raw="out of memory")) as server:
        with pytest.raises(
            ServerError, match="no answer in 3 attempts, the last time HTTP 500: out of memory"
        ) as error:
            client(server, attempts=3).ask(questions(), any_text)
        url = server.url
    assert f"{url}/chat/completions" in str(error.value)
    assert "vllm serve m" in str(error.value)
    with pytest.raises(ServerError, match="ConnectError"):  # nobody listens there any more
        client(server, attempts=2).ask(questions(), any_text)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_all_is_asked_once(status: int) -> None:
    with ChatServer(lambda _: Said(status=status)) as server, pytest.raises(ServerError, match=f"HTTP {status}"):
        client(server).ask(questions(KEYS[:1]), any_text)
    assert len(server.asked) == 1


def test_a_question_that_is_refused_leaves_the_others_alone() -> None:
    with ChatServer(
        lambda asked: Said(status=400, raw="bad picture") if asked.key == KEYS[3] else echo(asked)
    ) as server:
        answers = client(server).ask(questions(), any_text)
    assert [key for key, answer in answers.items() if answer.reason] == [KEYS[3]]
    assert answers[KEYS[3]].reason == "HTTP 400: bad picture"
    assert len(server.asked) == len(KEYS)


@pytest.mark.parametrize("empty", [Said(""), Said(None), Said(raw="{}"), Said(raw="[]"), Said(raw='{"choices": []}')])
def test_an_empty_answer_is_asked_for_again_and_the_model_told_why(empty: Said) -> None:
    with ChatServer(at_first(empty)) as server:
        answers = client(server).ask(questions(KEYS[:1]), any_text)
    assert answers[KEYS[0]].reply.text == f"this is {KEYS[0]}"
    assert [message["role"] for message in server.asked[1].body["messages"]] == ["user", "assistant", "user"]
    assert server.asked[1].prompt == "No: it is empty"


def test_an_answer_that_stays_wrong_is_handed_back_with_the_reason() -> None:
    with ChatServer(lambda _: Said("")) as server:
        answers = client(server, answers=3).ask(questions(KEYS[:1]), any_text)
    assert answers[KEYS[0]].reason == "it is empty"
    assert len(server.asked) == 3


def test_an_answer_that_was_cut_says_so() -> None:
    with ChatServer(lambda _: Said("A man", finish="length")) as server:
        answers = client(server).ask(questions(KEYS[:1]), any_text)
    assert answers[KEYS[0]].reply == Reply("A man", cut=True)


def mixed_up(asked: Asked) -> Said:
    """All first answers are the one to the first question; from then on each its own."""
    return Said(f"this is {KEYS[0]}", name="chatcmpl-1") if asked.times == 0 else echo(asked)


@pytest.mark.parametrize("order", [KEYS[:4], KEYS[3::-1]], ids=["owner first", "owner last"])
def test_a_repeated_answer_is_taken_for_no_question(order: list[str]) -> None:
    """Whoever gets it first: whose it is can't be told, so all who got it ask again."""
    with ChatServer(mixed_up) as server:
        answers = client(server, concurrency=1).ask(questions(order), any_text)
    assert {key: answer.reply.text for key, answer in answers.items()} == {key: f"this is {key}" for key in order}
    assert not any(answer.reason for answer in answers.values())
    assert len(server.asked) == 8
    with ChatServer(lambda _: Said("this is it", name="chatcmpl-1")) as server:
        answers = client(server, answers=2).ask(questions(KEYS[:2]), any_text)
    assert {answer.reason for answer in answers.values()} == {"the server gave the same answer to another question"}


def test_equal_questions_may_share_a_cached_answer() -> None:
    same = [Question(key, "film", [{"role": "user", "content": "what is it?"}], 100) for key in KEYS[:2]]
    with ChatServer(lambda _: Said("a wall", name="chatcmpl-1")) as server:
        answers = client(server).ask(same, any_text)
    assert [(answer.reply.text, answer.reason) for answer in answers.values()] == [("a wall", "")] * 2


def test_two_questions_with_one_key_are_refused() -> None:
    with ChatServer(echo) as server, pytest.raises(ValueError, match="2 questions with 1 keys"):
        client(server).ask(questions([KEYS[0]] * 2), any_text)
    assert not server.asked


def test_what_a_film_may_cost_is_counted_before_a_request_is_sent() -> None:
    with ChatServer(at_first(Said(status=500))) as server:
        mine = client(server, requests_a_film=5, concurrency=1)
        mine.ask(questions(KEYS[:2]), any_text)  # two failures and two answers
        with pytest.raises(BudgetError, match=r"film has used up its 5 requests: raise server\.requests_a_film"):
            mine.ask(questions(KEYS[:4]), any_text)
        assert len(server.asked) == 5
        other = [Question("other-000001/-1", "other", [{"role": "user", "content": "?"}], 10)]
        assert mine.ask(other, any_text)  # each film has its own
    with ChatServer(lambda asked: Said("yes", tokens=40)) as server:
        mine = client(server, tokens_a_film=100, concurrency=1)
        with pytest.raises(BudgetError, match="used up its 100 tokens"):
            mine.ask(questions(), any_text)
    assert len(server.asked) == 3


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WORDS_KEY", "sk-secret")
    with ChatServer(lambda asked: Said(status=401, raw=f"bad {asked.headers['Authorization']}")) as server:
        with pytest.raises(ServerError, match=r"HTTP 401: bad Bearer \*\*\*") as error:
            client(server, key_variable="WORDS_KEY").ask(questions(KEYS[:1]), any_text)
        config = ServerConfig(base_url=server.url, model="m", key_variable="WORDS_KEY")
    assert server.asked[0].headers["Authorization"] == "Bearer sk-secret"
    for text in (str(error.value), caplog.text, config.model_dump_json(), repr(config)):
        assert "sk-secret" not in text
    monkeypatch.delenv("WORDS_KEY")
    with pytest.raises(ServerError, match="'WORDS_KEY' is not set"):
        client(server, key_variable="WORDS_KEY")


def test_where_the_server_is_and_how_hard_it_is_pressed_names_no_rows() -> None:
    mine = fingerprint(ServerConfig(model="m"))
    elsewhere = ServerConfig(model="m", base_url="https://there/v1", key_variable="K", concurrency=1, tokens_a_film=9)
    assert fingerprint(elsewhere) == mine
    assert fingerprint(ServerConfig(model="n")) != mine


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a/v1", "http://me:secret@host/v1"])
def test_urls_that_are_none_or_carry_a_password_are_refused(url: str) -> None:
    with pytest.raises(ValidationError) as error:
        ServerConfig(model="m", base_url=url)
    assert "http://" in str(error.value) or "key_variable" in str(error.value)
    assert "secret" not in str(error.value)
