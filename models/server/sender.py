"""Sends requests to one server, retries after transient errors, and counts the budget."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import TYPE_CHECKING, NoReturn, TypeVar

from models.errors import ModelError
from models.server import BudgetError, ServerConfig

if TYPE_CHECKING:
    import httpx

MAY_PASS = {408, 425, 429, *range(500, 600)}
THIS_REQUEST = {400, 413, 422}  # the server refuses only this request

T = TypeVar("T")


class RefusedError(ModelError):
    """The server refuses this request."""


class Budget:
    """The budget per film, checked before each request. Tokens are known only after the answer, so concurrent requests
    may exceed the budget."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.requests: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()

    def request(self, film_id: str) -> None:
        """Counts a request; raises BudgetError if the film's budget is used up."""
        for unit, used, most in (
            ("requests", self.requests[film_id], self._config.requests_a_film),
            ("tokens", self.tokens[film_id], self._config.tokens_a_film),
        ):
            if most is not None and used >= most:
                raise BudgetError(
                    f"film {film_id} has used up its {most} {unit}: raise server.{unit}_a_film and run again; "
                    "films that were finished are kept"
                )
        self.requests[film_id] += 1

    def spent(self, film_id: str, tokens: int) -> None:
        """Counts the tokens of an answer."""
        self.tokens[film_id] += tokens


@dataclass(frozen=True)
class Clock:
    """Time in seconds, sleeping, and jitter; tests replace it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Random = field(default_factory=Random)


class Sender:
    """Sends requests to the server's `path`; a pause that it asks for after one request applies to all."""

    def __init__(self, config: ServerConfig, path: str, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._key = config.key()
        self.url = f"{config.base_url}/{path}"
        self._not_before = 0.0  # the clock's time until which the server asked for a pause
        self.budget = Budget(config)

    def http(self) -> "httpx.AsyncClient":
        """A new connection pool. The time limit applies to whole requests, not to their parts."""
        import httpx

        return httpx.AsyncClient(headers={"Authorization": f"Bearer {self._key}"} if self._key else {}, timeout=None)

    async def send(
        self, http: "httpx.AsyncClient", film_id: str, key: str, body: bytes, read: "Callable[[httpx.Response], T]"
    ) -> T:
        """The server's answer, parsed by `read`.

        Args:
            film_id: the film whose budget is charged.
            key: identifies the request in the server's log.
            read: raises ValueError for an unreadable answer, which is then requested again.

        Raises:
            RefusedError: the server refuses this request.
            ServerError: it gives no answer, or refuses all requests.
            BudgetError: the film's budget is used up.
        """
        import httpx

        problem = ""
        for attempt in range(1, self._config.attempts + 1):
            await self._hold()
            self.budget.request(film_id)
            asked = 0.0
            try:
                async with asyncio.timeout(self._config.timeout_s):
                    response = await http.post(
                        self.url,
                        content=body,
                        headers={"Content-Type": "application/json", "X-Request-Id": key},
                    )
                if response.status_code == 200:
                    return read(response)
                problem = self._quoted(response)
                if response.status_code in THIS_REQUEST:
                    raise RefusedError(problem)
                if response.status_code not in MAY_PASS:
                    self._give_up(problem)
                asked = self._asked_to_wait(response)
            except TimeoutError:
                problem = f"nothing within server.timeout_s={self._config.timeout_s}"
            except httpx.RequestError as error:
                problem = f"{type(error).__name__} {error}".strip()
            except ValueError as error:
                problem = f"an answer that can't be read ({error})"
            if attempt < self._config.attempts:
                config = self._config
                wait = backoff(attempt, config.backoff_s, config.longest_wait_s, self._clock.random)
                await self._clock.sleep(max(wait, asked * self._clock.random.uniform(1, 1.1)))
        self._give_up(f"no answer in {self._config.attempts} attempts, the last time {problem}")

    async def _hold(self) -> None:
        """Waits until the pause that the server asked for is over."""
        while (left := self._not_before - self._clock.now()) > 0:
            await self._clock.sleep(left)

    def _asked_to_wait(self, response: "httpx.Response") -> float:
        asked = retry_after(response.headers.get("Retry-After"))
        if asked > self._config.longest_wait_s:
            self._give_up(
                f"it asks to wait {asked:.0f} s, longer than server.longest_wait_s={self._config.longest_wait_s}"
            )
        if asked:
            self._not_before = max(self._not_before, self._clock.now() + asked)
        return asked

    def _quoted(self, response: "httpx.Response") -> str:
        """Status and the beginning of the server's message, without the key, which some servers quote."""
        text = " ".join(response.text.split())[:300]
        return f"HTTP {response.status_code}: {text.replace(self._key, '***') if self._key else text}"

    def _give_up(self, problem: str) -> NoReturn:
        raise self._config.error(self.url, problem)


def first_error(error: BaseException) -> BaseException:
    """The first error of a group of groups."""
    return first_error(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def backoff(attempt: int, first_s: float, longest_s: float, random: Random) -> float:
    """Seconds before attempt `attempt` + 1 (from 1): doubled each time, then a random value in the upper half."""
    whole: float = min(longest_s, first_s * 2 ** (attempt - 1))
    return whole * random.uniform(0.5, 1)


def retry_after(header: str | None) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 without one."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
