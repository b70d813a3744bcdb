"""A stage's work in an actor, watched: a film on which it hangs, or that eats memory, ends no more than this worker."""

import os
import pickle
import queue
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.errors import FilmError
from storage.root import Storage
from tasks.cluster import Limits
from tasks.made import ATTEMPTS, Answer, Film, Make, Work, answered

_LOOK_EVERY = 0.25  # seconds
_FAREWELL = 1.0  # seconds in which the last answer leaves the worker
_GIB = 1 << 30


@dataclass
class Worker:
    """Lives in an actor. The models are loaded at the first film: there a failure has a traceback to hand back.

    The work is done in a thread beside the one in which Ray calls, which watches it.
    """

    storage: Storage
    make: Make
    limits: Limits
    _work: Work | None = field(default=None, init=False)
    _films: "queue.Queue[Film]" = field(default_factory=queue.Queue, init=False)
    _answers: "queue.Queue[Answer | None]" = field(default_factory=queue.Queue, init=False)
    _base: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        threading.Thread(target=self._work_off, daemon=True).start()

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[bytes]]]:
        (film_id,), (fingerprint,), (attempts,) = (batch[name] for name in ("film_id", "fingerprint", "attempts"))
        for answer in self._watched(Film(str(film_id), str(fingerprint), int(attempts))):
            yield {"answer": [pickle.dumps(answer)]}

    def _watched(self, film: Film) -> Iterator[Answer]:
        self._base = 0
        yield Answer(film.film_id, film.attempts + 1, begins=True)
        self._films.put(film)
        heard = time.monotonic()
        while True:
            try:
                answer = self._answers.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                if fault := self._fault(film, time.monotonic() - heard):
                    yield Answer(film.film_id, film.attempts + 1, reject=fault)
                    time.sleep(_FAREWELL)
                    os._exit(1)  # nothing else ends a thread
                continue
            while answer is not None and answer.step and not self._answers.empty():
                answer = self._answers.get()  # the driver needs but the newest step, and takes long to take one
            if answer is None:
                return
            yield answer
            heard = time.monotonic()

    def _fault(self, film: Film, silent: float) -> FilmError | None:
        if silent > self.limits.patience:
            detail = f"work on film {film.film_id} came no further for {self.limits.patience:g} s"
            return FilmError("timed_out", detail)
        if self._base and _private_bytes() - self._base > self.limits.memory * _GIB:
            detail = f"work on film {film.film_id} takes more than {self.limits.memory:g} GiB"
            return FilmError("out_of_memory", detail)
        return None

    def _work_off(self) -> None:
        while True:
            film = self._films.get()
            for answer in self._attempts(film):
                self._answers.put(answer)
            self._answers.put(None)

    def _attempts(self, film: Film) -> Iterator[Answer]:
        for attempt in range(film.attempts + 1, ATTEMPTS + 1):
            try:
                self._work = self._work or self.make()
                self._base = _private_bytes()
                yield from answered(self.storage, film, attempt, self._work)
                return
            except FilmError as error:
                if error.reason != "crashed" or attempt == ATTEMPTS:  # a child process may do better the next time
                    yield Answer(film.film_id, attempt, reject=error)
                    return
            except Exception:  # for the driver, which stops: Ray Data would drop the film
                yield Answer(film.film_id, attempt, failure=traceback.format_exc())
                return


def _private_bytes() -> int:
    """Memory of this process that no file stands behind; 0 where the system doesn't tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = (line.split() for line in status.read_text().splitlines())
    return next((int(line[1]) << 10 for line in lines if line[0] == "RssAnon:"), 0)
