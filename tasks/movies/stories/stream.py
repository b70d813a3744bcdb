"""Makes pieces in pools of Ray actors, each piece as soon as its inputs exist.

A piece is a file, named by a hash of its inputs, that an actor writes into the storage. Only names are sent through
Ray, a killed run loses only the pieces in flight, and nothing is made twice. Each pool works on any ready piece, so
pools don't wait for each other; while an actor works, its next pieces are already queued in it.

If a piece fails, only the pieces that need it fail too. A piece that crashes its actor is retried alone, and fails
after three attempts.
"""

import contextlib
import heapq
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from storage.errors import StorageError
from tasks.blame import message
from tasks.cluster import ClusterConfig, connect, require_gpus
from tasks.errors import FOR_USERS
from tasks.made import ATTEMPTS
from tasks.stage import StageError

_LOOK_EVERY = 1.0  # seconds
_IN_AN_ACTOR = 2  # calls per actor: one running, one queued

Name = tuple[str, str]
"""Stage and key of a piece."""


@dataclass(frozen=True)
class Piece:
    """One file to make.

    Attributes:
        stage: its stage, which determines the pool.
        key: identifies it within its stage.
        job: the input of the stage's function; pickled.
        needs: pieces that must exist before.
    """

    stage: str
    key: str
    job: Any = None
    needs: tuple[Name, ...] = ()

    @property
    def name(self) -> Name:
        return self.stage, self.key


Work = Callable[[Sequence[Piece]], None]
"""Makes some pieces of one stage; an error counts as their failure, unless it is a StorageError."""


@dataclass(frozen=True)
class ActorPool:
    """The pool of some stages.

    Attributes:
        makes: stage -> function that loads its models in the actor; pickled. Stages are in processing order.
        size: maximum number of actors.
        batch: maximum number of pieces of one stage per call.
        cpus, gpus: of each actor.
    """

    makes: Mapping[str, Callable[[], Work]]
    size: int = 1
    batch: int = 1
    cpus: float = 1
    gpus: float = 0


@dataclass(frozen=True)
class Answer:
    """The result of a piece: the seconds that it took, or why it failed."""

    piece: Piece
    seconds: float = 0.0
    failure: str = ""


def stream(
    pieces: Iterable[Piece], pools: Sequence[ActorPool], cluster: ClusterConfig, until: float = math.inf
) -> Generator[Answer]:
    """Makes all pieces, and yields the answer of each when it is done.

    Args:
        pieces: the missing ones, by priority; their other inputs must exist.
        until: time.monotonic() after which no piece is started; pieces that are not made have no answer.

    Raises:
        StageError: models cannot be loaded.
        StorageError: the storage cannot be read or written.
    """
    pending = {piece.name: piece for piece in pieces}
    if not pending:
        return
    wanted = {stage for stage, _ in pending}
    scheduler = _Scheduler(pending, [pool for pool in pools if wanted & set(pool.makes)], cluster.patience, until)
    connect(cluster)
    gpus = max(pool.gpus for pool in scheduler.pools)
    require_gpus(cluster, gpus, f"one actor of cluster.gpus_a_worker={cluster.gpus_a_worker:g}")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Ray reports dead workers there; stdout is for results
            yield from scheduler.work_off()
    finally:
        scheduler.close()


@dataclass
class _Call:
    """Pieces that were sent to an actor, and the time since they are being made."""

    ref: Any
    pieces: Sequence[Piece]
    since: float


@dataclass
class _Worker:
    """An actor; `calls` are answered in order."""

    pool: ActorPool
    actor: Any
    starting: Any  # a reference that is ready when the actor is
    calls: "deque[_Call]" = field(default_factory=deque)
    alone: bool = False  # has only a piece that may crash it

    def room(self) -> bool:
        return self.starting is None and not self.alone and len(self.calls) < _IN_AN_ACTOR


class _Scheduler:
    """All running pools."""

    def __init__(
        self, pending: Mapping[Name, Piece], pools: Sequence[ActorPool], patience: float, until: float
    ) -> None:
        self.pieces, self.pools = dict(pending), pools
        self.patience, self.until = patience, until
        self.order = {name: number for number, name in enumerate(pending)}
        self.lacks = {name: {need for need in one.needs if need in pending} for name, one in pending.items()}
        self.needed_by: dict[Name, list[Name]] = {}
        for name, needs in self.lacks.items():
            for need in needs:
                self.needed_by.setdefault(need, []).append(name)
        self.left = Counter(stage for stage, _ in pending)  # pieces that are not made yet
        self.ready: dict[str, list[tuple[int, Name]]] = {stage: [] for pool in pools for stage in pool.makes}
        self.attempts: dict[Name, int] = {}  # of pieces that may have crashed an actor
        self.failed: set[Name] = set()  # including pieces whose inputs failed
        self.starts = 0  # failed starts of actors
        self.workers: list[_Worker] = []
        for name, lacks in self.lacks.items():
            if not lacks:
                self._put(name)

    def work_off(self) -> Generator[Answer]:
        import ray

        self._start_all()
        while True:
            if time.monotonic() < self.until:
                self._hand_out()
            self._stop_finished()
            calls = [worker.calls[0].ref for worker in self.workers if worker.calls]
            if not calls and (not any(self.ready.values()) or time.monotonic() >= self.until):
                return
            starting = [worker.starting for worker in self.workers if worker.starting is not None]
            ready, _ = ray.wait([*calls, *starting], num_returns=1, timeout=_LOOK_EVERY)
            for worker in list(self.workers):
                if worker.starting is not None and worker.starting in ready:
                    self._started(worker)
                elif worker.calls and worker.calls[0].ref in ready:
                    yield from self._answered(worker)
                elif worker.calls and time.monotonic() - worker.calls[0].since > self.patience:
                    yield from self._lost(worker, f"came no further for {self.patience:g} s")

    def close(self) -> None:
        import ray

        for worker in self.workers:
            ray.kill(worker.actor)
        self.workers.clear()

    def _start_all(self) -> None:
        """Starts one actor of each pool, then a second of each, so that all stages run even if not all actors fit."""
        pools = ([pool] * min(pool.size, math.ceil(self._left(pool) / pool.batch)) for pool in self.pools)
        for pool in filter(None, chain.from_iterable(zip_longest(*pools))):
            self._start_actor(pool)

    def _start_actor(self, pool: ActorPool) -> None:
        import ray

        actor = ray.remote(_Actor).options(num_cpus=pool.cpus, num_gpus=pool.gpus, max_restarts=0).remote(pool.makes)
        self.workers.append(_Worker(pool, actor, actor.ping.remote()))

    def _started(self, worker: _Worker) -> None:
        import ray

        try:
            ray.get(worker.starting)
        except ray.exceptions.RayError as error:
            self.workers.remove(worker)
            self.starts += 1
            if self.starts >= ATTEMPTS:
                raise StageError(f"no actor for {', '.join(worker.pool.makes)} starts: {error}") from error
            self._start_actor(worker.pool)
            return
        worker.starting = None

    def _put(self, name: Name) -> None:
        """Queues a piece that is ready; one that may crash its actor comes last."""
        last = len(self.order) if name in self.attempts else 0
        heapq.heappush(self.ready[name[0]], (self.order[name] + last, name))

    def _left(self, pool: ActorPool) -> int:
        return sum(self.left[stage] for stage in pool.makes)

    def _hand_out(self) -> None:
        """Gives work to all actors with a free slot, idle ones first."""
        for waiting in range(_IN_AN_ACTOR):
            for worker in self.workers:
                if worker.room() and len(worker.calls) == waiting and (stage := self._next(worker.pool)):
                    self._give(worker, self.ready[stage])

    def _next(self, pool: ActorPool) -> str:
        """The last stage with a full batch ready, otherwise the first stage with anything ready."""
        full = [stage for stage in pool.makes if len(self.ready[stage]) >= pool.batch]
        some = [stage for stage in pool.makes if self.ready[stage]]
        return full[-1] if full else some[0] if some else ""

    def _give(self, worker: _Worker, ready: list[tuple[int, Name]]) -> None:
        if worker.alone or ((suspect := ready[0][1] in self.attempts) and worker.calls):
            return
        worker.alone = suspect
        names = [heapq.heappop(ready)[1]]
        while ready and not suspect and ready[0][1] not in self.attempts and len(names) < worker.pool.batch:
            names.append(heapq.heappop(ready)[1])
        pieces = [self.pieces[name] for name in names]
        worker.calls.append(_Call(worker.actor.work.remote(pieces), pieces, time.monotonic()))

    def _answered(self, worker: _Worker) -> Generator[Answer]:
        import ray

        call = worker.calls[0]
        try:
            answers: list[Answer] = ray.get(call.ref)
        except ray.exceptions.RayActorError:
            yield from self._lost(worker, "ended its worker")
            return
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, FOR_USERS) else StageError(str(error)) from error
        worker.calls.popleft()
        worker.alone = False
        if worker.calls:
            worker.calls[0].since = time.monotonic()
        for answer in answers:
            yield from self._done(answer)

    def _done(self, answer: Answer) -> Generator[Answer]:
        """Queues the pieces that waited for it, or fails them with it."""
        answers = deque([answer])
        while answers:
            answer = answers.popleft()
            name = answer.piece.name
            self.attempts.pop(name, None)
            del self.pieces[name]
            self.left[name[0]] -= 1
            yield answer
            for other in (other for other in self.needed_by.get(name, ()) if other in self.pieces):
                self.lacks[other].discard(name)
                if answer.failure and other not in self.failed:
                    self.failed.add(other)
                    answers.append(Answer(self.pieces[other], failure=answer.failure))
                elif not self.lacks[other] and other not in self.failed:
                    self._put(other)

    def _lost(self, worker: _Worker, how: str) -> Generator[Answer]:
        """Handles a dead actor: its first call is blamed, the others are queued again."""
        import ray

        ray.kill(worker.actor)
        self.workers.remove(worker)
        self._start_actor(worker.pool)
        first, *others = worker.calls
        for piece in chain.from_iterable(call.pieces for call in others):
            self._put(piece.name)
        for piece in first.pieces:
            self.attempts[piece.name] = self.attempts.get(piece.name, 0) + (len(first.pieces) == 1)
            if self.attempts[piece.name] < ATTEMPTS:
                self._put(piece.name)
            else:
                text = f"{piece.stage} {how} at each of {ATTEMPTS} attempts"
                yield from self._done(Answer(piece, failure=text))

    def _stop_finished(self) -> None:
        """Stops actors of finished pools, so that others can use their resources."""
        import ray

        for worker in [worker for worker in self.workers if not self._left(worker.pool)]:
            ray.kill(worker.actor)
            self.workers.remove(worker)


class _Actor:
    """The Ray actor. The models of a stage are loaded at its first piece."""

    def __init__(self, makes: Mapping[str, Callable[[], Work]]) -> None:
        self._makes = makes
        self._works: dict[str, Work] = {}

    def ping(self) -> None:
        """Returns when the actor has started."""

    def work(self, pieces: Sequence[Piece]) -> list[Answer]:
        """Makes the pieces, and returns the result of each.

        Raises:
            StageError: the models cannot be loaded.
            StorageError: the storage cannot be read or written.
        """
        stage = pieces[0].stage
        if stage not in self._works:
            try:
                self._works[stage] = self._makes[stage]()
            except Exception as error:
                raise StageError(f"{stage}: {message(error)}") from None
        return list(self._attempted(self._works[stage], pieces))

    def _attempted(self, work: Work, pieces: Sequence[Piece]) -> Generator[Answer]:
        began = time.monotonic()
        try:
            work(pieces)
        except StorageError:
            raise
        except Exception as error:
            if len(pieces) == 1:
                yield Answer(pieces[0], failure=_said(error))
                return
            for piece in pieces:
                yield from self._attempted(work, [piece])
            return
        seconds = (time.monotonic() - began) / len(pieces)
        yield from (Answer(piece, seconds) for piece in pieces)


def _said(error: Exception) -> str:
    known = isinstance(error, (*FOR_USERS, ValueError))
    return str(error) if known else f"{type(error).__name__}: {error}"
