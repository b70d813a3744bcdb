"""Something that iterates, done in a thread ahead of whoever takes from it."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


_Entry = tuple[T | None, BaseException | None]


def ahead(items: Iterable[T], depth: int = 1) -> Iterator[T]:
    """The items; up to `depth` of them lie ready, and one more is in the making, from now on and while one is taken.

    An error comes where its item would have come. When the taker stops early, so does the making.
    """
    ready: queue.Queue[_Entry[T] | None] = queue.Queue(depth)
    stopped = threading.Event()

    def put(entry: _Entry[T] | None) -> None:
        while not stopped.is_set():
            try:
                return ready.put(entry, timeout=0.2)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # the taker raises it
            put((None, error))

    threading.Thread(target=make, daemon=True).start()
    return _taken(ready, stopped)


def _taken(ready: "queue.Queue[_Entry[T] | None]", stopped: threading.Event) -> Iterator[T]:
    try:
        while (entry := ready.get()) is not None:
            item, error = entry
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
