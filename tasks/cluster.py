"""Ray, started at most once a process, quiet, and only when there is work for it."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import BaseModel, Field

from storage.errors import MovieDreamerError
from storage.printable import is_utf8

_QUIET = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_ONE_THREAD = {  # of each worker: on small CPUs two threads are slower than one
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_STARTS = 3  # on a busy machine the first may take too long


@dataclass(frozen=True)
class Limits:
    """Seconds from one step to the next, loading of models included; GiB by which a film may make its worker grow."""

    patience: float
    memory: float


@dataclass(frozen=True)
class Pool:
    """The actors of one stage: how many, and what each of them takes."""

    size: int
    cpus: float
    gpus: float
    limits: Limits


class ClusterError(MovieDreamerError):
    """Ray is not there, or has not what is asked of it."""


class ClusterConfig(BaseModel, frozen=True, extra="forbid"):
    """The Ray instance that is started on this machine where RAY_ADDRESS names no cluster, and the pools on either.

    Args:
        cpus: slots for workers, which need not be cores: with fewer than four, training beside Ray Data can hang.
        object_store_mb: shared memory for what workers hand back.
        workers: films that a curation stage works on at a time, each in an actor with its own models.
        gpus_a_worker: of each such actor.
        decoders: films that are decoded at a time; no GPU waits for them, decoding is a stage of its own.
        patience: seconds for which a worker may come no further with a film before the film is given up.
        film_memory: GiB by which a film may make its worker grow before it is given up.
    """

    cpus: int = Field(default=4, ge=2)
    object_store_mb: int = Field(default=512, ge=80)
    workers: int = Field(default=1, ge=1)
    gpus_a_worker: float = Field(default=0, ge=0)
    decoders: int = Field(default=1, ge=1)
    patience: float = Field(default=7200, gt=0)
    film_memory: float = Field(default=8, gt=0)

    @property
    def decoder_pool(self) -> Pool:
        """Decodes films: each in one thread of a child process, which has limits of its own."""
        return Pool(self.decoders, cpus=1, gpus=0, limits=Limits(self.patience, self.film_memory))

    @property
    def model_pool(self) -> Pool:
        """Runs a model beside a thread that reads and decodes pictures ahead of it."""
        return Pool(self.workers, cpus=1, gpus=self.gpus_a_worker, limits=Limits(self.patience, self.film_memory))


def connect(config: ClusterConfig) -> None:
    """Connects this process to the cluster of RAY_ADDRESS or, where there is none, to a Ray of its own; once.

    Raises:
        ClusterError: when no Ray answers.
    """
    for name, value in (_QUIET | _ONE_THREAD).items():  # read by Ray where it is imported, and by its workers
        os.environ.setdefault(name, value)
    import ray
    from ray._private import utils

    if ray.is_initialized():
        return
    if not is_utf8("".join(sys.argv)):  # Ray writes the command line down, as UTF-8
        utils.get_entrypoint_name = lambda: "moviedreamer"
    if address := os.environ.get("RAY_ADDRESS"):
        try:
            with _speechless(), _own_sigterm():
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError) as error:
            raise ClusterError(f"no Ray cluster answers at RAY_ADDRESS={address!r}: {error}") from error
        return
    for start in range(_STARTS):
        try:
            return _start(config)
        except Exception as error:  # Ray's own type for a start that takes more than 30 s
            ray.shutdown()
            if "timed out during startup" not in str(error) or start + 1 == _STARTS:
                raise ClusterError(f"Ray does not start on this machine: {error}") from error


def gpus(config: ClusterConfig) -> float:
    """How many GPUs the cluster has now.

    Raises:
        ClusterError: as `connect`.
    """
    connect(config)
    import ray

    return float(ray.cluster_resources().get("GPU", 0))


def require_gpus(config: ClusterConfig, wanted: float, said: str) -> None:
    """Looks whether the Ray of this machine has so many; of a cluster, which may grow, nothing is known.

    Args:
        said: the settings that ask for them.

    Raises:
        ClusterError: when there are fewer; Ray would wait for ever.
    """
    if not os.environ.get("RAY_ADDRESS") and wanted > (there := gpus(config)):
        raise ClusterError(
            f"{said} take {wanted:g} GPUs, this machine has {there:g}: set fewer, or RAY_ADDRESS to a cluster with more"
        )


def _start(config: ClusterConfig) -> None:
    import ray

    with _speechless(), _own_sigterm():
        ray.init(
            num_cpus=config.cpus,
            object_store_memory=config.object_store_mb * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Leaves SIGTERM to whose it was: Ray's native half would print its stack, its other half exit at once."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _speechless() -> Iterator[None]:
    """Keeps Ray's native half from announcing its log level; what goes wrong is raised."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
