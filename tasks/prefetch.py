"""Iterates in a thread, ahead of the consumer."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


_Entry = tuple[T | None, BaseException | None]


def ahead(items: Iterable[T], depth: int = 1) -> Iterator[T]:
    """Yields the items. The thread starts now, and keeps up to `depth` items ready while it makes another one.

    An error is raised in place of its item. If the consumer stops early, so does the thread.
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
        except BaseException as error:  # raised by the consumer
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
