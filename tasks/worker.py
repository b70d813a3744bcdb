"""Runs a stage in an actor and watches it: a film that hangs, or takes too much memory, ends only this worker."""

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
from tasks.blame import film_error, message
from tasks.cluster import Limits
from tasks.made import ATTEMPTS, Answer, Film, Make, ReadsAhead, Work, answered
from tasks.metrics import Busy

_LOOK_EVERY = 0.25  # seconds
_FAREWELL = 1.0  # seconds for the last answer to leave the worker
_GIB = 1 << 30


@dataclass
class _Turn:
    """A film in the worker: its answers, None last, and the time of its last progress."""

    film: Film
    answers: "queue.Queue[Answer | None]" = field(default_factory=queue.Queue)
    announced: threading.Event = field(default_factory=threading.Event)
    seen: float = 0.0

    def say(self, answer: Answer | None) -> None:
        self.seen = time.monotonic()
        self.answers.put(answer)


@dataclass
class Worker:
    """Runs in an actor. Models are loaded at the first film, where a failure can be returned with its traceback.

    One thread does the work; the threads of Ray's calls watch it. During a film, the next one may already wait in
    another call, while its first pictures are read.
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
                    os._exit(1)  # the only way to end a thread
                continue
            while answer is not None and answer.step and not turn.answers.empty():
                answer = turn.answers.get()  # the driver only needs the newest step
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
        base = self._base  # the other thread sets it to 0 after the film
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
            turn.announced.wait()  # the driver then knows which film ended this worker
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
        except Exception as error:  # returned, because Ray Data would drop the film; the driver stops
            yield Answer(film.film_id, attempt, failure=message(error))

    def _expect_next(self) -> None:
        if isinstance(self._work, ReadsAhead) and self._turns.queue:
            self._work.expect(self._turns.queue[0].film.film_id)


def _private_bytes() -> int:
    """Anonymous memory of this process; 0 if the system doesn't report it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = (line.split() for line in status.read_text().splitlines())
    return next((int(line[1]) << 10 for line in lines if line[0] == "RssAnon:"), 0)
