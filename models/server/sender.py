"""Sends requests to one server until they are answered: repeated while the error may pass, and counted."""

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
THIS_REQUEST = {400, 413, 422}  # the server refuses this request, others may be fine

T = TypeVar("T")


class RefusedError(ModelError):
    """The server will not answer this request."""


class Budget:
    """What films may cost, counted before a request goes out. Tokens are known once an answer is there, so those
    under way may exceed the budget."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.requests: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()

    def request(self, film_id: str) -> None:
        """One more request; raises BudgetError when the film has no more left."""
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
        """What an answer cost."""
        self.tokens[film_id] += tokens


@dataclass(frozen=True)
class Clock:
    """Time in seconds, waiting, and the jitter; a test has its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Random = field(default_factory=Random)


class Sender:
    """Sends to the server's address `path`; what it asks of one request, such as a pause, holds for all."""

    def __init__(self, config: ServerConfig, path: str, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._key = config.key()
        self.url = f"{config.base_url}/{path}"
        self._not_before = 0.0  # the clock's time until which the server asked to be left alone
        self.budget = Budget(config)

    def http(self) -> "httpx.AsyncClient":
        """A new connection pool. The whole request has a time limit, its parts have none."""
        import httpx

        return httpx.AsyncClient(headers={"Authorization": f"Bearer {self._key}"} if self._key else {}, timeout=None)

    async def send(
        self, http: "httpx.AsyncClient", film_id: str, key: str, body: bytes, read: "Callable[[httpx.Response], T]"
    ) -> T:
        """What `read` makes of the server's answer.

        Args:
            film_id: whose budget pays.
            key: names the request, for the server's log.
            read: raises ValueError for an answer that can't be read, which is then asked for again.

        Raises:
            RefusedError: when the server refuses this request.
            ServerError: when it gives no answer, or refuses all.
            BudgetError: when the film's budget is used up.
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
        """Waits until the time is over for which the server asked all of its clients to leave it alone."""
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
        """Status and the beginning of what the server says, without the key that some servers quote."""
        text = " ".join(response.text.split())[:300]
        return f"HTTP {response.status_code}: {text.replace(self._key, '***') if self._key else text}"

    def _give_up(self, problem: str) -> NoReturn:
        raise self._config.error(self.url, problem)


def first_error(error: BaseException) -> BaseException:
    """The first error of a group of groups."""
    return first_error(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def backoff(attempt: int, first_s: float, longest_s: float, random: Random) -> float:
    """Seconds before attempt `attempt` + 1 (from 1): doubled each time, then any share of its upper half."""
    whole: float = min(longest_s, first_s * 2 ** (attempt - 1))
    return whole * random.uniform(0.5, 1)


def retry_after(header: str | None) -> float:
    """Seconds that a Retry-After header asks for, whether it holds a number or a date; 0 without one."""
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
