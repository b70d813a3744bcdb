"""Runs films through a pool of Ray actors, with Ray Data; the other films survive if one ends its worker."""

import contextlib
import logging
import pickle
import sys
import warnings
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from storage.errors import FilmError
from storage.root import Storage
from tasks.cluster import ClusterConfig, Pool, connect, require_gpus
from tasks.made import ATTEMPTS, Answer, Film, Make
from tasks.worker import Worker

if TYPE_CHECKING:
    from ray.data import DataContext, Dataset

_ROUNDS = 3 * ATTEMPTS  # a film may lose some because of other films


def answers(
    storage: Storage, keys: Mapping[str, str], make: Make, pool: Pool, cluster: ClusterConfig
) -> Generator[Answer]:
    """Yields the steps and the final answer of each film as they arrive, and last the films that ended their workers.

    A film that ends its worker is tried again after all others, so it does not delay them. A film that was waiting for
    that worker loses no attempt.

    Args:
        keys: film_id -> fingerprint of the wanted rows.
    """
    connect(cluster)
    require_gpus(cluster, pool.size * pool.gpus, f"cluster.workers={pool.size} of cluster.gpus_a_worker={pool.gpus:g}")
    from ray.data import DataContext

    left = {film_id: Film(film_id, key) for film_id, key in keys.items()}
    for number in range(_ROUNDS):
        films = [film for film in left.values() if film.attempts < ATTEMPTS]
        if not films:
            break
        with DataContext.current(_quiet(DataContext.get_current().copy())), contextlib.redirect_stdout(sys.stderr):
            # Ray reports dead workers on stdout, which is for a command's results.
            batches = _chain(films, storage, make, pool, alone=number > 0).iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            )
            for batch in batches:
                for pickled in batch["answer"].to_pylist():
                    answer: Answer = pickle.loads(pickled)
                    if answer.begins:
                        left[answer.film_id] = replace(left[answer.film_id], attempts=answer.attempts)
                        continue
                    if answer.final:
                        del left[answer.film_id]
                    yield answer
    for film in left.values():
        ended = f"ended its worker at {film.attempts} of {ATTEMPTS} attempts"
        if film.attempts < ATTEMPTS:
            ended += f", and workers ended before its turn in {_ROUNDS} rounds"
        yield Answer(film.film_id, film.attempts, reject=FilmError("crashed", f"film {film.film_id} {ended}"))


def _chain(films: list[Film], storage: Storage, make: Make, pool: Pool, alone: bool) -> "Dataset":
    import ray.data

    rows = [{"film_id": film.film_id, "fingerprint": film.fingerprint, "attempts": film.attempts} for film in films]
    with warnings.catch_warnings():  # Ray has no other way yet to say max_restarts
        warnings.simplefilter("ignore", DeprecationWarning)
        return ray.data.from_items(rows, override_num_blocks=len(films)).map_batches(
            Worker,
            fn_constructor_args=(storage, make, pool.limits, pool.stage),
            batch_size=1,
            # A second film waits in each actor, so that no actor is idle; but not in later rounds, where reading ahead
            # could end the worker of another film.
            compute=ray.data.ActorPoolStrategy(
                size=min(pool.size, len(films)),
                max_tasks_in_flight_per_actor=1 if alone else 2,
                max_concurrent_calls_per_actor=1 if alone else 2,
                enable_true_multi_threading=True,
            ),
            num_cpus=pool.cpus,
            num_gpus=pool.gpus or None,
            max_restarts=len(films),
            max_task_retries=0,  # the next round retries
        )


def _quiet(context: "DataContext") -> "DataContext":
    """Ray Data without bars and logs, and without stopping if a film ends its worker."""
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1
    context.target_max_block_size = 1  # byte: each answer is its own block, and arrives immediately
    context._max_num_blocks_in_streaming_gen_buffer = 16  # so that workers don't wait for the driver
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return context
