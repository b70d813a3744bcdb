"""Models that any OpenAI-compatible server serves (vLLM, SGLang): what is asked, what is answered, what goes wrong."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from models.errors import ModelError

Message = Mapping[str, Any]  # as the chat completions API has it: role and content


class ServerError(ModelError):
    """A server that can't be used; the message names the URL that was tried and how to start one."""


class BudgetError(ModelError):
    """The requests or tokens that a film may cost are used up; the message names the setting."""


class ServerConfig(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Which model of which server, and how hard it is pressed.

    The key is read from the environment variable `key_variable`, and stands in no config, fingerprint, row or log. At
    most `concurrency` requests are under way. One that gets no answer within `timeout_s`, or an error that may pass (a
    broken connection, HTTP 408, 425, 429 or 5xx), is sent again, `attempts` times in all, after a wait that doubles
    from `backoff_s` with jitter, or as long as Retry-After says; longer than `longest_wait_s` is not waited. An answer
    that can't be used is asked for again, `answers` times in all. `requests_a_film` and `tokens_a_film` are the most
    that one film may cost (counted: every request sent, and the tokens that the server reports, prompts among them).
    """

    not_identity: ClassVar[tuple[str, ...]] = (
        *("base_url", "key_variable", "concurrency", "timeout_s", "attempts", "backoff_s", "longest_wait_s"),
        *("requests_a_film", "tokens_a_film"),
    )
    """Where the work is done, how fast and how much of it: no part of a fingerprint."""

    base_url: str = "http://localhost:8000/v1"
    model: str
    key_variable: str = ""
    concurrency: int = Field(default=16, ge=1)
    timeout_s: float = Field(default=120, gt=0)
    attempts: int = Field(default=6, ge=1)
    backoff_s: float = Field(default=1, ge=0)
    longest_wait_s: float = Field(default=120, ge=0)
    answers: int = Field(default=3, ge=1)
    requests_a_film: int | None = Field(default=None, ge=1)
    tokens_a_film: int | None = Field(default=None, ge=1)

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        scheme, _, rest = url.partition("://")
        if scheme not in {"http", "https"} or not rest:
            raise ValueError(f"{url!r} is no http:// or https:// URL, such as http://localhost:8000/v1")
        if "@" in rest.partition("/")[0]:
            raise ValueError("a URL with a user or password would be logged: name a key_variable instead")
        return url.rstrip("/")

    def key(self) -> str:
        """The API key, or empty; raises ServerError when its environment variable is not set."""
        if self.key_variable and not os.environ.get(self.key_variable):
            raise ServerError(
                f"the environment variable {self.key_variable!r} is not set: it has to hold the key of {self.base_url}"
            )
        return os.environ.get(self.key_variable, "") if self.key_variable else ""

    def error(self, url: str, problem: str) -> ServerError:
        """What to raise when the server can't be used, with the cure."""
        return ServerError(
            f"{url}: {problem}. Start a server with `vllm serve {self.model}` or "
            f"`python -m sglang.launch_server --model-path {self.model} --port 8000`, or set "
            "captioner.server (or writer.server) base_url, model and key_variable to one that runs"
        )


@dataclass(frozen=True)
class Question:
    """One chat. `key` names its row and subject, and comes back with the answer; `schema` is the JSON to be held to."""

    key: str
    film_id: str
    messages: Sequence[Message]
    most_tokens: int
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reply:
    """What a model said; `cut` when it was stopped at `most_tokens`."""

    text: str
    cut: bool = False


@dataclass(frozen=True)
class Answer:
    """The last reply to a question, under the question's key; `reason` says why it can't be used, "" when it can."""

    key: str
    reply: Reply
    reason: str = ""
