"""Asks one OpenAI-compatible server many questions: with limited concurrency and retries; answers are joined by key.

Each question is a coroutine that keeps its key from the request to the accepted answer. So the order of completion,
retries and equal pictures can't exchange answers. Mistakes of the server are detected too: if replies to different
requests have the same id, all of those questions are asked again. (A reply that only the wrong question gets can't be
detected.)
"""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from models.server import Answer, Message, Question, Reply, ServerConfig
from models.server.sender import Clock, RefusedError, Sender, first_error

if TYPE_CHECKING:
    import httpx

REPEATED = "the server gave the same answer to another question"
REMEMBERED = 10_000  # replies whose ids are remembered
Fault = Callable[[Question, Reply], str]  # why a reply is unusable, "" if it is usable


class Client:
    """Asks one server. `again` is the follow-up message after an unusable reply; it contains {reason}."""

    def __init__(self, config: ServerConfig, again: str, clock: Clock | None = None) -> None:
        self._config = config
        self._again = again
        self._sender = Sender(config, "chat/completions", clock)
        self._seen: OrderedDict[str, str] = OrderedDict()  # id of a reply -> hash of the request that it answered
        self._shared: set[str] = set()  # ids that answered several requests: it is unknown which one is right
        self.budget = self._sender.budget

    def ask(self, questions: Sequence[Question], fault: Fault) -> dict[str, Answer]:
        """An answer for each question, by key.

        Raises:
            ValueError: two questions have the same key.
            ServerError: the server gives no answer, or refuses all requests.
            BudgetError: a film's budget is used up.
        """
        keys = [question.key for question in questions]
        if len(set(keys)) != len(keys):
            doubled = sorted(key for key in set(keys) if keys.count(key) > 1)
            raise ValueError(f"{len(keys)} questions with {len(set(keys))} keys; doubled: {doubled[:3]}")
        try:
            answers = asyncio.run(self._ask_all(questions, fault))
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        assert {key: answer.key for key, answer in answers.items()} == dict(zip(keys, keys, strict=True))
        return answers

    async def _ask_all(self, questions: Sequence[Question], fault: Fault) -> dict[str, Answer]:
        """Asks all questions, and asks again those whose answer was shared with another question."""
        answers: dict[str, Answer] = {}
        for _ in range(self._config.answers):
            left = [one for one in questions if one.key not in answers or answers[one.key].reason == REPEATED]
            answers |= {answer.key: answer for answer in await self._round(left, fault)}
            if all(answer.reason != REPEATED for answer in answers.values()):
                break
        return answers

    async def _round(self, questions: Sequence[Question], fault: Fault) -> list[Answer]:
        gate = asyncio.Semaphore(self._config.concurrency)
        async with (
            self._sender.http() as http,
            asyncio.TaskGroup() as group,
        ):
            tasks = [group.create_task(self._answer(http, gate, question, fault)) for question in questions]
        given = [task.result() for task in tasks]
        return [replace(answer, reason=REPEATED) if name in self._shared else answer for answer, name in given]

    async def _answer(
        self, http: "httpx.AsyncClient", gate: asyncio.Semaphore, question: Question, fault: Fault
    ) -> tuple[Answer, str]:
        """Asks until a reply is usable, each time with the reason of the last failure; returns also the reply's id."""
        messages: list[Message] = [*question.messages]
        for _ in range(self._config.answers):
            body = self._body(question, messages)
            try:
                async with gate:
                    said = await self._said(http, question, body)
            except RefusedError as refused:
                return Answer(question.key, Reply(""), str(refused)), ""
            reply, name = _reply(said), str(said.get("id") or "")
            if self._repeated(name, body):
                reason = REPEATED
                continue
            reason = fault(question, reply)
            if not reason:
                return Answer(question.key, reply), name
            messages = [
                *question.messages,
                {"role": "assistant", "content": reply.text or "..."},
                {"role": "user", "content": self._again.format(reason=reason)},
            ]
        return Answer(question.key, reply, reason), name

    def _body(self, question: Question, messages: Sequence[Message]) -> bytes:
        body: dict[str, Any] = {
            "model": self._config.model,
            "messages": list(messages),
            "max_tokens": question.most_tokens,
            "temperature": 0,
            "seed": 0,
        }
        if question.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": question.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return json.dumps(body, ensure_ascii=False).encode()

    async def _said(self, http: "httpx.AsyncClient", question: Question, body: bytes) -> Mapping[str, Any]:
        """The server's JSON; retries after transient errors."""
        return await self._sender.send(
            http, question.film_id, question.key, body, lambda response: self._paid(question, response.json())
        )

    def _paid(self, question: Question, said: Any) -> dict[str, Any]:
        answer: dict[str, Any] = dict(said) if isinstance(said, Mapping) else {}
        usage = answer.get("usage")
        tokens = usage.get("total_tokens") if isinstance(usage, Mapping) else None
        self.budget.spent(question.film_id, tokens if isinstance(tokens, int) else 0)
        return answer

    def _repeated(self, name: str, body: bytes) -> bool:
        """Whether a reply's id was already used for another request. Equal requests may share a cached reply."""
        if not name:
            return False
        request = hashlib.sha256(body).hexdigest()
        if self._seen.setdefault(name, request) != request:
            self._shared.add(name)
        if len(self._seen) > REMEMBERED:
            self._shared.discard(self._seen.popitem(last=False)[0])
        return name in self._shared


def _reply(said: Mapping[str, Any]) -> Reply:
    """The text of the first choice; empty if the server's JSON has none, or a filter removed it."""
    try:
        choice = said["choices"][0]
        text = choice["message"]["content"]
        if isinstance(text, list):  # some servers send a list of parts
            text = "".join(part["text"] for part in text if part.get("type") == "text")
    except (KeyError, IndexError, TypeError, AttributeError):
        return Reply("")
    end = choice.get("finish_reason")
    told = text if isinstance(text, str) and end != "content_filter" else ""
    return Reply(told.encode(errors="replace").decode(), end == "length")  # without lone surrogates
