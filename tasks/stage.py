"""Stages that go film by film, and the code that runs them to completion: it makes and commits each film's rows.

A pool of actors makes the rows (tasks.pool). The driver gathers those of finished films into files of a sensible size
and commits many films at a time (storage.tables.batches); a killed run loses what was in flight and what was
finished since the last commit, normally less than a minute's work. A film that cannot be used leaves the chain with a
reason; so does one that crashed its worker at each of three attempts.
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
from storage.tables.datafiles import Sheaf
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
"""stage -> film_id -> fingerprint of what the stage made of that film: what stages hand on, and snapshots name."""


class StageError(MovieDreamerError):
    """A stage that failed for another reason than its films; the message says why."""


def _all(*arguments: object) -> object:
    return arguments[0] if len(arguments) == 1 else arguments


@dataclass(frozen=True)
class Stage:
    """What a stage is, whatever the settings.

    Attributes:
        name: of its finished films and rejects, and of the table whose rows are counted.
        inputs: stages whose rows it reads; it works on the films that all of them have finished.
        tables: that it writes; a stage that only rejects films writes none.
        make: (*arguments, storage, work) -> what makes a film's rows; is pickled, and runs in the actor.
        settings: the fields of a recipe that are its arguments; () when it gets others.
        identity: *arguments -> what of them changes the rows; all of them by default.
        decodes: whether it decodes films and runs no model: it gets the cluster's decoders, and no GPU.
    """

    name: str
    inputs: tuple[str, ...]
    tables: tuple[str, ...]
    make: Callable[..., FilmWork]
    settings: tuple[str, ...] = ()
    identity: Callable[..., object] = _all
    decodes: bool = False

    def arguments(self, recipe: object) -> list[Any]:
        """Its settings, out of those of a run."""
        return [getattr(recipe, name) for name in self.settings]

    def keys(self, arguments: Sequence[object], work: Work) -> dict[str, str]:
        """film_id -> the fingerprint of what it makes of it, for all films that have all its inputs."""
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
    """Brings a stage to its end for all films that have all its inputs; starts no Ray when nothing is left to do.

    Args:
        arguments: of `stage.make` and `stage.identity`; they are pickled, so they are configs and references.
        work: what is done; the films of the stage's inputs in it are worked on.
        progress: is told (stage, films that are done, films), first how many were done before, and, of long work,
            (a film's source, keyframes done, keyframes).
        sources: film_id -> where the film is, for the rejects; as the table `films` says when None.

    Returns:
        `work` and, under the stage's name, the films that are done; rejected ones are left out.

    Raises:
        StageError: when a worker failed for another reason than its film, or a model's stage rejected all films.
        StorageError: when the storage cannot be read or written, or another run is at work on the same stage.
    """
    keys = stage.keys(arguments, work)
    store = Tables(storage)
    finished = set(keys.items()) & store.done(stage.name)
    unfinished = set(keys.items()) - finished
    rejects = store.given_up(stage.name) if unfinished else []
    if pending := dict(sorted(unfinished - given_up(rejects))):
        bench = _Bench(
            store,
            stage,
            Batches(storage, stage.name, stage.tables),
            {table: Sheaf(storage, table, FILE_BYTES) for table in stage.tables},
            pending,
            len(finished),
            len(keys),
            sources or _sources(store, list(keys)),
            {source for _, _, source, _ in rejects},
            progress,
        )
        bench.work_off(partial(stage.make, *arguments, storage, work), cluster)
        finished = set(keys.items()) & store.done(stage.name)
    else:
        progress(stage.name, len(finished), len(keys))
    if keys and not finished and not stage.decodes:
        _raise_for_all(store, stage.name, keys)
    return {**work, stage.name: dict(sorted(finished))}


def given_up(rejects: Sequence[tuple[str, str, str, str]]) -> set[tuple[str, str]]:
    """(film_id, fingerprint) of those rejects of a stage that are not tried again."""
    return {(film_id, key) for film_id, key, _, reason in rejects if reason not in NOTES | PASSING}


@dataclass
class _Pace:
    """How often to commit: seldom enough to cost little and to make few files, often enough to lose little."""

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
class _Bench:
    """One stage at work: takes the actors' answers and keeps them."""

    tables: Tables
    stage: Stage
    batches: Batches
    sheaves: Mapping[str, Sheaf]
    pending: Mapping[str, str]
    done: int  # films
    total: int
    sources: Mapping[str, str]
    rejected: set[str]  # sources
    progress: Progress
    gathered: list[Answer] = field(default_factory=list)
    judged: dict[str, list[Reject]] = field(default_factory=dict)  # source -> what is said of it now
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
        for table, sheaf in self.sheaves.items():
            sheaf.files += answer.files.get(table, [])
            if table in answer.rest:
                sheaf.add(answer.rest[table])
        self.gathered.append(answer)

    def _commit(self) -> None:
        """Makes the gathered films count, after what is said of them and of those that are left out."""
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
                files = {table: sheaf.close() for table, sheaf in self.sheaves.items()}
                self.batches.commit(files, pa.Table.from_pylist(rows, schema=SCHEMAS["work"]))
        self.gathered.clear()
        self.judged.clear()
        self.done += len(rows)
        self.progress(self.stage.name, self.done, self.total)


def _raise_for_all(tables: Tables, stage: str, keys: Mapping[str, str]) -> NoReturn:
    mine = [one for one in tables.rejects() if one.stage == stage and keys.get(one.film_id) == one.fingerprint]
    raise StageError(f"{stage} rejected all films, {len(keys)}; {mine[0].source!r} for one: {mine[0].detail}")


def _sources(tables: Tables, films: Sequence[str]) -> dict[str, str]:
    """Where the films came from, as the stage that decoded them wrote it down."""
    wanted = set(films)
    decoded = {film_id: key for film_id, key in tables.done("keyframes") if film_id in wanted}
    return {film_id: film_id for film_id in films} | tables.sources(decoded)
