"""The one mechanism of all curation stages: for each film that is not done yet, make its rows and commit them.

A pool of actors makes the rows (tasks.pool). The driver commits a film as soon as they arrive, and writes its row of
`work` last, so a killed run loses only what was in flight. A film that cannot be used leaves the chain with a reason;
so does one that ended its worker at each of three attempts.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath

from storage.errors import FilmError, MovieDreamerError
from storage.fingerprint import fingerprint
from storage.rejects import Reject
from storage.root import Storage
from storage.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.pool import ATTEMPTS, Answer, Make, answers
from tasks.progress import Progress

NOT_FINAL = frozenset({"crashed", "out_of_memory", "timed_out", "partly_decoded", "unreachable"})  # tried again

Work = Mapping[str, Mapping[str, str]]
"""stage -> film_id -> fingerprint of what the stage made of that film: what stages hand on, and snapshots name."""


class StageError(MovieDreamerError):
    """A stage that failed for another reason than its films; the message carries the worker's traceback."""


def run_stage(
    storage: Storage,
    stage: str,
    inputs: Sequence[str],
    work: Work,
    identity: object,
    make: Make,
    cluster: ClusterConfig,
    progress: Progress,
    sources: Mapping[str, str] | None = None,
) -> Work:
    """Brings a stage to its end for all films that have all its inputs; starts no Ray when nothing is left to do.

    Args:
        inputs: stages whose rows this one reads.
        work: what is done; the films of `inputs` in it are worked on.
        identity: what else changes the rows: the stage's settings and its models.
        make: is pickled, so it carries configs and references.
        progress: is told (stage, films done, films) and, of long work, (a film's file name, keyframes done, keyframes).
        sources: film_id -> where the film is, for the rejects; as the table `films` says when None.

    Returns:
        `work` and, under `stage`, the films that are done; rejected ones are left out.

    Raises:
        StageError: when a worker failed for another reason than its film.
        StorageError: when the storage cannot be read or written.
    """
    films = sorted(set.intersection(*(set(work[name]) for name in inputs)))
    keys = {film_id: fingerprint(stage, identity, [work[name][film_id] for name in inputs]) for film_id in films}
    tables = Tables(storage)
    finished = set(keys.items()) & tables.done(stage)
    if pending := sorted(set(keys.items()) - finished - _given_up(tables)):
        bench = _Bench(tables, stage, keys, sources or _sources(tables, films))
        bench.work_off([film_id for film_id, _ in pending], make, cluster, progress)
        finished = set(keys.items()) & tables.done(stage)
    return {**work, stage: dict(sorted(finished))}


@dataclass(frozen=True)
class _Bench:
    """One stage at work: takes the actors' answers and keeps them."""

    tables: Tables
    stage: str
    keys: Mapping[str, str]
    sources: Mapping[str, str]

    def work_off(self, pending: Sequence[str], make: Make, cluster: ClusterConfig, progress: Progress) -> None:
        missing, total = set(pending), len(self.keys)
        progress(self.stage, total - len(missing), total)
        with closing(answers(pending, make, cluster)) as arriving:
            for answer in arriving:
                if answer.step:
                    progress(PurePath(self.sources[answer.film_id]).name, answer.step.done, answer.step.total)
                    continue
                self._keep(answer)
                missing.remove(answer.film_id)
                progress(self.stage, total - len(missing), total)
        for film_id in sorted(missing):
            detail = f"{self.sources[film_id]!r} ended its worker at each of {ATTEMPTS} attempts in {self.stage}"
            self._reject(film_id, FilmError("crashed", detail), ATTEMPTS)
        if missing:
            progress(self.stage, total, total)

    def _keep(self, answer: Answer) -> None:
        film_id = answer.film_id
        key, source = self.keys[film_id], self.sources[film_id]
        if answer.failure:
            raise StageError(f"{self.stage} failed at film {film_id} ({source!r}):\n{answer.failure}")
        if answer.reject:
            self._reject(film_id, answer.reject, answer.attempts)
            return
        for table, rows in answer.tables.items():
            self.tables.commit(table, film_id, key, rows)
        if answer.note:
            self._reject(film_id, answer.note, answer.attempts)
        else:
            self.tables.withdraw(self.stage, source)
        self.tables.finish(self.stage, film_id, key, next(iter(answer.tables.values())).num_rows, answer.attempts)

    def _reject(self, film_id: str, error: FilmError, attempts: int) -> None:
        """Keeps the reason in place of what was said of this film under other settings."""
        self.tables.withdraw(self.stage, self.sources[film_id])
        reject = Reject.of(error, self.sources[film_id], film_id, self.stage)
        self.tables.reject(reject.model_copy(update={"fingerprint": self.keys[film_id], "attempts": attempts}))


def _given_up(tables: Tables) -> set[tuple[str, str]]:
    """Films, with the stage's fingerprint, that an earlier run rejected for good."""
    return {(reject.film_id, reject.fingerprint) for reject in tables.rejects() if reject.reason not in NOT_FINAL}


def _sources(tables: Tables, films: Sequence[str]) -> dict[str, str]:
    """Where the films came from, as the stage that decoded them wrote it down."""
    decoded = {film_id: key for film_id, key in tables.done("keyframes") if film_id in set(films)}
    return {film_id: film_id for film_id in films} | tables.sources(decoded)
