"""Stages that work film by film, and the code that runs them and commits their rows.

A pool of actors makes the rows (tasks.pool). The driver collects the rows of finished films in files of a suitable size
and commits many films at once (storage.tables.batches). A killed run loses the films in progress and those finished
since the last commit, normally less than a minute of work. A film that can't be used is rejected with a reason; so is
a film that crashed its worker three times.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

import pyarrow as pa

from storage.errors import MovieDreamerError
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.datafiles import RowBuffer
from storage.tables.delta import FILE_BYTES
from storage.tables.rejects import NOTES, PASSING, Reject
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.made import Answer, Make
from tasks.made import Work as FilmWork
from tasks.pool import answers
from tasks.progress import Progress

Work = Mapping[str, Mapping[str, str]]
"""stage -> film_id -> fingerprint of the film's rows: the result of stages, and the content of snapshots."""


class StageError(MovieDreamerError):
    """A stage failed, but not because of one of its films; the message says why."""


def _all(*arguments: object) -> object:
    return arguments[0] if len(arguments) == 1 else arguments


@dataclass(frozen=True)
class Stage:
    """The definition of a stage, independent of its settings.

    Attributes:
        name: under which finished films and rejects are stored; if it writes several tables, also the table whose rows
            are counted.
        inputs: stages whose rows it reads; it works on the films that all of them have finished.
        tables: which it writes; none if it only rejects films.
        make: (*arguments, storage, work) -> function that makes a film's rows; pickled, called in the actor.
        settings: fields of the recipe that are its arguments; () if the arguments come from elsewhere.
        identity: *arguments -> the part of them that changes the rows; all by default.
        decodes: whether it decodes films instead of running a model: it then uses the cluster's decoders and no GPU.
    """

    name: str
    inputs: tuple[str, ...]
    tables: tuple[str, ...]
    make: Callable[..., FilmWork]
    settings: tuple[str, ...] = ()
    identity: Callable[..., object] = _all
    decodes: bool = False

    def arguments(self, recipe: object) -> list[Any]:
        """The stage's settings in a recipe."""
        return [getattr(recipe, name) for name in self.settings]

    def keys(self, arguments: Sequence[object], work: Work) -> dict[str, str]:
        """film_id -> fingerprint of the rows that the stage makes, for all films that have all inputs."""
        films = sorted(set.intersection(*(set(work[name]) for name in self.inputs)))
        identity = self.identity(*arguments)
        return {
            film_id: fingerprint(self.name, identity, [work[name][film_id] for name in self.inputs])
            for film_id in films
        }


def run_stage(
    stage: Stage,
    arguments: Sequence[object],
    storage: Storage,
    work: Work,
    cluster: ClusterConfig,
    progress: Progress,
    sources: Mapping[str, str] | None = None,
) -> Work:
    """Runs a stage for all films that have all its inputs. Ray is not started if nothing is left to do.

    Args:
        arguments: of `stage.make` and `stage.identity`; they are pickled, so they are configs and references.
        work: the results of earlier stages.
        progress: called with (stage, finished films, all films), first with the films that were finished before; for
            long films also with (source of the film, finished keyframes, all keyframes).
        sources: film_id -> place of the film, for the rejects; None: from the table `films`.

    Returns:
        `work`, and under the stage's name the finished films, without the rejected ones.

    Raises:
        StageError: a worker failed, but not because of its film, or a stage with a model rejected all films.
        StorageError: the storage cannot be read or written, or another run works on the same stage.
    """
    keys = stage.keys(arguments, work)
    store = Tables(storage)
    finished = set(keys.items()) & store.done(stage.name)
    unfinished = set(keys.items()) - finished
    rejects = store.given_up(stage.name) if unfinished else []
    if pending := dict(sorted(unfinished - given_up(rejects))):
        running = _Run(
            store,
            stage,
            Batches(storage, stage.name, stage.tables),
            {table: RowBuffer(storage, table, FILE_BYTES) for table in stage.tables},
            pending,
            len(finished),
            len(keys),
            sources or _sources(store, list(keys)),
            {source for _, _, source, _ in rejects},
            progress,
        )
        running.work_off(partial(stage.make, *arguments, storage, work), cluster)
        finished = set(keys.items()) & store.done(stage.name)
    else:
        progress(stage.name, len(finished), len(keys))
    if keys and not finished and not stage.decodes:
        _raise_for_all(store, stage.name, keys)
    return {**work, stage.name: dict(sorted(finished))}


def given_up(rejects: Sequence[tuple[str, str, str, str]]) -> set[tuple[str, str]]:
    """(film_id, fingerprint) of the rejects that are not tried again."""
    return {(film_id, key) for film_id, key, _, reason in rejects if reason not in NOTES | PASSING}


@dataclass
class _Pace:
    """When to commit: rarely enough to cost little and make few files, often enough to lose little."""

    began: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)
    took: float = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        return now - self.last >= min(60.0, max(4 * self.took, (now - self.began) / 50))

    @contextmanager
    def commit(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.last = time.monotonic()
        self.took = self.last - began


@dataclass
class _Run:
    """A running stage: receives the actors' answers and commits the rows."""

    tables: Tables
    stage: Stage
    batches: Batches
    buffers: Mapping[str, RowBuffer]
    pending: Mapping[str, str]
    done: int  # films
    total: int
    sources: Mapping[str, str]
    rejected: set[str]  # sources
    progress: Progress
    gathered: list[Answer] = field(default_factory=list)
    judged: dict[str, list[Reject]] = field(default_factory=dict)  # source -> its new rejects and notes
    pace: _Pace = field(default_factory=_Pace)

    def work_off(self, make: Make, cluster: ClusterConfig) -> None:
        self.progress(self.stage.name, self.done, self.total)
        pool = cluster.decoder_pool if self.stage.decodes else cluster.model_pool
        pool = replace(pool, stage=self.stage.name)
        with closing(answers(self.tables.storage, self.pending, make, pool, cluster)) as arriving:
            for answer in arriving:
                if answer.step:
                    self.progress(self.sources[answer.film_id], answer.step.done, answer.step.total)
                else:
                    self._keep(answer)
                if self.pace.due():
                    self._commit()
        self._commit()
        self.batches.tidy()

    def _keep(self, answer: Answer) -> None:
        film_id, source = answer.film_id, self.sources[answer.film_id]
        if answer.failure:
            self._commit()
            raise StageError(f"{self.stage.name} stopped at film {film_id} ({source!r}): {answer.failure}")
        if said := answer.reject or answer.note:
            about = {"fingerprint": self.pending[film_id], "attempts": answer.attempts}
            self.judged[source] = [Reject.of(said, source, film_id, self.stage.name).model_copy(update=about)]
        elif source in self.rejected:
            self.judged[source] = []
        if answer.reject:
            return
        for table, buffer in self.buffers.items():
            buffer.files += answer.files.get(table, [])
            if table in answer.rest:
                buffer.add(answer.rest[table])
        self.gathered.append(answer)

    def _commit(self) -> None:
        """Commits the gathered films, after their rejects and notes."""
        if not (self.gathered or self.judged):
            return
        rows = [
            {
                "film_id": answer.film_id,
                "stage": self.stage.name,
                "fingerprint": self.pending[answer.film_id],
                "rows": answer.rows.get(self.stage.name, 0),
                "attempts": answer.attempts,
            }
            for answer in self.gathered
        ]
        with self.pace.commit():
            if self.judged:
                rejects = [one for said in self.judged.values() for one in said]
                self.tables.judge(self.stage.name, list(self.judged), rejects)
            if rows:
                files = {table: buffer.close() for table, buffer in self.buffers.items()}
                self.batches.commit(files, pa.Table.from_pylist(rows, schema=SCHEMAS["work"]))
        self.gathered.clear()
        self.judged.clear()
        self.done += len(rows)
        self.progress(self.stage.name, self.done, self.total)


def _raise_for_all(tables: Tables, stage: str, keys: Mapping[str, str]) -> NoReturn:
    mine = [one for one in tables.rejects() if one.stage == stage and keys.get(one.film_id) == one.fingerprint]
    raise StageError(f"{stage} rejected all {len(keys)} films; for example {mine[0].source!r}: {mine[0].detail}")


def _sources(tables: Tables, films: Sequence[str]) -> dict[str, str]:
    """film_id -> place of the film, as recorded by the stage that decoded it."""
    wanted = set(films)
    decoded = {film_id: key for film_id, key in tables.done("keyframes") if film_id in wanted}
    return {film_id: film_id for film_id in films} | tables.sources(decoded)
