"""A stage's work in an actor, watched: a film on which it hangs, or that eats memory, ends no more than this worker."""

import os
import pickle
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.errors import FilmError
from storage.root import Storage
from tasks.blame import film_error, told
from tasks.cluster import Limits
from tasks.made import ATTEMPTS, Answer, Film, Make, ReadsAhead, Work, answered
from tasks.metrics import Busy

_LOOK_EVERY = 0.25  # seconds
_FAREWELL = 1.0  # seconds in which the last answer leaves the worker
_GIB = 1 << 30


@dataclass
class _Turn:
    """A film in the worker: what is said of it, None last, and when it was seen to come further."""

    film: Film
    answers: "queue.Queue[Answer | None]" = field(default_factory=queue.Queue)
    announced: threading.Event = field(default_factory=threading.Event)
    seen: float = 0.0

    def say(self, answer: Answer | None) -> None:
        self.seen = time.monotonic()
        self.answers.put(answer)


@dataclass
class Worker:
    """Lives in an actor. The models are loaded at the first film: there a failure has a traceback to hand back.

    The work is done in a thread beside those in which Ray calls, which watch it. While a film is at work the next may
    wait for its turn in a call of its own, and its first pictures are read.
    """

    storage: Storage
    make: Make
    limits: Limits
    stage: str = ""
    _work: Work | None = field(default=None, init=False)
    _turns: "queue.Queue[_Turn]" = field(default_factory=queue.Queue, init=False)
    _base: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        threading.Thread(target=self._work_off, daemon=True).start()

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[bytes]]]:
        (film_id,), (fingerprint,), (attempts,) = (batch[name] for name in ("film_id", "fingerprint", "attempts"))
        for answer in self._watched(_Turn(Film(str(film_id), str(fingerprint), int(attempts)))):
            yield {"answer": [pickle.dumps(answer)]}

    def _watched(self, turn: _Turn) -> Iterator[Answer]:
        self._turns.put(turn)
        begins = turn.answers.get()
        assert begins is not None
        yield begins
        turn.announced.set()
        while True:
            try:
                answer = turn.answers.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                if fault := self._fault(turn):
                    yield fault
                    time.sleep(_FAREWELL)
                    os._exit(1)  # nothing else ends a thread
                continue
            while answer is not None and answer.step and not turn.answers.empty():
                answer = turn.answers.get()  # the driver needs but the newest step, and takes long to take one
            if answer is None:
                return
            yield answer

    def _fault(self, turn: _Turn) -> Answer | None:
        film, attempt, patience = turn.film, turn.film.attempts + 1, self.limits.patience
        if time.monotonic() - turn.seen > patience:
            if self._work is None:
                return Answer(film.film_id, attempt, failure=f"its models were not loaded within {patience:g} s")
            detail = f"work on film {film.film_id} came no further for {patience:g} s"
            return Answer(film.film_id, attempt, reject=FilmError("timed_out", detail))
        base = self._base  # the other thread sets it to 0 when the film is done
        if base and _private_bytes() - base > self.limits.memory * _GIB:
            detail = f"work on film {film.film_id} takes more than {self.limits.memory:g} GiB"
            return Answer(film.film_id, attempt, reject=FilmError("out_of_memory", detail))
        return None

    def _work_off(self) -> None:
        busy = Busy(self.stage)
        while True:
            turn = self._turns.get()
            busy.waited()
            turn.say(Answer(turn.film.film_id, turn.film.attempts + 1, begins=True))
            turn.announced.wait()  # so the driver knows whose attempt it was, should the film end this worker
            for answer in self._attempts(turn):
                turn.say(answer)
                self._expect_next()
            self._base = 0
            busy.worked()
            turn.say(None)

    def _attempts(self, turn: _Turn) -> Iterator[Answer]:
        film = turn.film
        attempt = film.attempts + 1
        try:
            work = self._work = self._work or self.make()
            turn.seen = time.monotonic()
            while True:
                self._base = _private_bytes()
                try:
                    yield from answered(self.storage, film, attempt, work)
                    return
                except Exception as error:
                    reject, may_pass = film_error(error, film.film_id)
                    if not may_pass or attempt == ATTEMPTS:
                        yield Answer(film.film_id, attempt, reject=reject)
                        return
                attempt += 1
        except Exception as error:  # for the driver, which stops: Ray Data would drop the film
            yield Answer(film.film_id, attempt, failure=told(error))

    def _expect_next(self) -> None:
        if isinstance(self._work, ReadsAhead) and self._turns.queue:
            self._work.expect(self._turns.queue[0].film.film_id)


def _private_bytes() -> int:
    """Memory of this process that no file stands behind; 0 where the system doesn't tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = (line.split() for line in status.read_text().splitlines())
    return next((int(line[1]) << 10 for line in lines if line[0] == "RssAnon:"), 0)
