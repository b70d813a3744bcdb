"""How long to wait before a request is sent again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random


@dataclass(frozen=True)
class Clock:
    """Time in seconds, waiting, and the jitter; a test has its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Random = field(default_factory=Random)


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
