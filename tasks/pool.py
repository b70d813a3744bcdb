"""Films through a pool of Ray actors: a chain of Ray Data that survives films which end their worker."""

import contextlib
import logging
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from storage.errors import FilmError
from tasks.cluster import ClusterConfig, connect

if TYPE_CHECKING:
    from ray.data import DataContext, Dataset

ATTEMPTS = 3  # at a film that crashes


@dataclass(frozen=True)
class Made:
    """What a stage made of one film: rows for each table, the stage's own table first; a note when it is damaged."""

    tables: Mapping[str, pa.Table]
    note: FilmError | None = None


@dataclass(frozen=True)
class Step:
    """How far the work on one film is, in keyframes."""

    done: int
    total: int


Make = Callable[[], Callable[[str], Made | Iterator[Step | Made]]]
"""Runs in the actor, where it loads models. What it returns makes a film's rows, or raises FilmError to reject it.

Work that takes long yields a Step now and then, and last what it made."""


@dataclass(frozen=True)
class Answer:
    """What an actor says of a film: how far it is or, last, its rows, why it is rejected, a failure's traceback."""

    film_id: str
    attempts: int
    step: Step | None = None
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    note: FilmError | None = None
    reject: FilmError | None = None
    failure: str = ""


def answers(film_ids: Sequence[str], make: Make, cluster: ClusterConfig) -> Generator[Answer]:
    """The steps and the final answer of each film, as they come; no final one where it ended its worker each time."""
    connect(cluster)
    from ray.data import DataContext

    with DataContext.current(_quiet(DataContext.get_current().copy())), contextlib.redirect_stdout(sys.stderr):
        # When a worker dies Ray prints so, on stdout, which is for what a command answers.
        batches = _chain(film_ids, make, cluster).iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )
        for batch in batches:
            for answer in batch["answer"].to_pylist():
                yield pickle.loads(answer)


def _chain(film_ids: Sequence[str], make: Make, cluster: ClusterConfig) -> "Dataset":
    import ray.data

    films = ray.data.from_items([{"film_id": film_id} for film_id in film_ids], override_num_blocks=len(film_ids))
    with warnings.catch_warnings():  # Ray has no other way yet to say max_restarts
        warnings.simplefilter("ignore", DeprecationWarning)
        return films.map_batches(
            _Worker,
            fn_constructor_args=(make,),
            batch_size=1,
            # One film in flight an actor, so that no other film loses an attempt when one ends it.
            compute=ray.data.ActorPoolStrategy(
                size=min(cluster.workers, len(film_ids)), max_tasks_in_flight_per_actor=1
            ),
            num_cpus=1,
            num_gpus=cluster.gpus_a_worker or None,
            max_restarts=ATTEMPTS * len(film_ids),
            max_task_retries=ATTEMPTS - 1,
        )


def _quiet(context: "DataContext") -> "DataContext":
    """Ray Data without bars and logs; a film that ends its worker doesn't end the others' work."""
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1
    context.target_max_block_size = 1  # byte: each answer is a block of its own, and arrives at once
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return context


@dataclass
class _Worker:
    """Lives in an actor. The models are loaded at the first film: there a failure has a traceback to hand back."""

    make: Make
    _work: Callable[[str], Made | Iterator[Step | Made]] | None = field(default=None, init=False)

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[bytes]]]:
        (film_id,) = batch["film_id"]
        for answer in self._answers(str(film_id)):
            yield {"answer": [pickle.dumps(answer)]}

    def _answers(self, film_id: str, attempt: int = 1) -> Iterator[Answer]:
        try:
            self._work = self._work or self.make()
            made = self._work(film_id)
            for part in [made] if isinstance(made, Made) else made:
                match part:
                    case Step():
                        yield Answer(film_id, attempt, step=part)
                    case Made():
                        yield Answer(film_id, attempt, tables=part.tables, note=part.note)
        except FilmError as error:
            if error.reason == "crashed" and attempt < ATTEMPTS:  # a child process did
                yield from self._answers(film_id, attempt + 1)
            else:
                yield Answer(film_id, attempt, reject=error)
        except Exception:  # for the driver, which stops: Ray Data would drop the film
            yield Answer(film_id, attempt, failure=traceback.format_exc())
