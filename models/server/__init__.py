"""Models behind an OpenAI-compatible server (vLLM, SGLang): config, questions, answers and errors."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from models.errors import ModelError

Message = Mapping[str, Any]  # of the chat completions API: role and content


class ServerError(ModelError):
    """The server can't be used; the message names its URL and says how to start one."""


class BudgetError(ModelError):
    """A film's budget of requests or tokens is used up; the message names the setting."""


class ServerConfig(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """A server, its model and limits.

    The key is read from the environment; it is never in a config, fingerprint, row or log.
    """

    not_identity: ClassVar[tuple[str, ...]] = (
        *("base_url", "key_variable", "concurrency", "timeout_s", "attempts", "backoff_s", "longest_wait_s"),
        *("requests_a_film", "tokens_a_film"),
    )
    """Fields about address, speed and limits: not part of a fingerprint."""

    base_url: str = Field("http://localhost:8000/v1", description="URL of the OpenAI-compatible API")
    model: str = Field(description="name of the served model")
    key_variable: str = Field("", description='environment variable that holds the API key; "": no key')
    concurrency: int = Field(16, ge=1, description="concurrent requests")
    timeout_s: float = Field(120, gt=0, description="seconds to wait for an answer")
    attempts: int = Field(
        6,
        ge=1,
        description="attempts at a request after transient errors (connection, HTTP 408, 425, 429, 5xx)",
    )
    backoff_s: float = Field(
        1,
        ge=0,
        description="seconds before the second attempt; doubled with each, with jitter, unless Retry-After says "
        "otherwise",
    )
    longest_wait_s: float = Field(120, ge=0, description="longest wait between two attempts in seconds")
    answers: int = Field(3, ge=1, description="attempts at a usable answer")
    requests_a_film: int | None = Field(None, ge=1, description="maximum requests per film; null: no limit")
    tokens_a_film: int | None = Field(
        None, ge=1, description="maximum tokens per film, including prompts, as counted by the server; null: no limit"
    )

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
        """The API key, or ""; raises ServerError if its environment variable is not set."""
        if self.key_variable and not os.environ.get(self.key_variable):
            raise ServerError(
                f"the environment variable {self.key_variable!r} is not set: it has to hold the key of {self.base_url}"
            )
        return os.environ.get(self.key_variable, "") if self.key_variable else ""

    def error(self, url: str, problem: str) -> ServerError:
        """The error to raise if the server can't be used, with the cure."""
        return ServerError(
            f"{url}: {problem}. Start a server with `vllm serve {self.model}` or "
            f"`python -m sglang.launch_server --model-path {self.model} --port 8000`, or set "
            "captioner.server (or writer.server) base_url, model and key_variable to one that runs"
        )


@dataclass(frozen=True)
class Question:
    """One chat. `key` identifies its row and subject and is returned with the answer; `schema` constrains the JSON."""

    key: str
    film_id: str
    messages: Sequence[Message]
    most_tokens: int
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reply:
    """A model's output; `cut`: it was stopped at `most_tokens`."""

    text: str
    cut: bool = False


@dataclass(frozen=True)
class Answer:
    """The last reply to a question, with the question's key; `reason` says why it is unusable, "" if it is usable."""

    key: str
    reply: Reply
    reason: str = ""
