"""Progress of stages, reported to a function, so that tasks/ doesn't depend on terminals or Prefect."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, copy_context

Progress = Callable[[str, int, int], None]
"""(what, done, total); called from any thread; `done` never decreases, and ends at `total`."""

Voice = Callable[[], AbstractContextManager[None]]
"""A context for each message of `tell_while`."""

_SOON, _EVERY = 10.0, 20.0  # seconds
_teller: ContextVar[Callable[[str], None]] = ContextVar("teller")


def silent(what: str, done: int, total: int) -> None:
    """Reports nothing."""


@contextmanager
def telling(teller: Callable[[str], None]) -> Iterator[None]:
    """Sends the messages of `tell_while` inside the block to `teller`, which is called from another thread."""
    token = _teller.set(teller)
    try:
        yield
    finally:
        _teller.reset(token)


@contextmanager
def tell_while(waiting: str, limit: str, voice: Voice = nullcontext) -> Iterator[None]:
    """If the block takes long, reports what it waits for and since when: `<waiting> (<seconds> s <limit>)`."""
    over, teller = threading.Event(), _teller.get(None)

    def tell(teller: Callable[[str], None]) -> None:
        seconds, pause = 0.0, _SOON
        while not over.wait(pause):
            seconds, pause = seconds + pause, _EVERY
            with voice():
                teller(f"{waiting} ({seconds:g} s {limit})")

    thread = threading.Thread(target=copy_context().run, args=(tell, teller), daemon=True) if teller else None
    if thread:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread:
            thread.join()
