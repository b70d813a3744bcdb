"""How a stage says how far it is: a function, so that tasks know nothing of bars, pages or Prefect."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, copy_context

Progress = Callable[[str, int, int], None]
"""(what, done, total): called now and then, from any thread; `done` only grows, up to `total`."""

Voice = Callable[[], AbstractContextManager[None]]
"""Wraps each word that `tell_while` says."""

_SOON, _EVERY = 10.0, 20.0  # seconds
_teller: ContextVar[Callable[[str], None]] = ContextVar("teller")


def silent(what: str, done: int, total: int) -> None:
    """Says nothing."""


@contextmanager
def telling(teller: Callable[[str], None]) -> Iterator[None]:
    """Makes `teller` the one who hears what the block waits for, from a thread beside it."""
    token = _teller.set(teller)
    try:
        yield
    finally:
        _teller.reset(token)


@contextmanager
def tell_while(waiting: str, limit: str, voice: Voice = nullcontext) -> Iterator[None]:
    """If the block takes long, reports what it waits for and for how long: `<waiting> (<seconds> s <limit>)`."""
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
