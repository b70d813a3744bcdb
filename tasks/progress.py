"""How a stage says how far it is: a function, so that tasks know nothing of bars, pages or Prefect."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""(what, done, total): called now and then, from any thread; `done` only grows, up to `total`."""


def silent(what: str, done: int, total: int) -> None:
    """Says nothing."""
