"""Ray, started at most once a process, quiet, and only when there is work for it."""

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from storage.errors import MovieDreamerError
from storage.printable import is_utf8
from tasks.head import START_LIMIT, patient_head
from tasks.progress import Voice, tell_while

_QUIET = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_ONE_THREAD = {  # of each worker: on small CPUs two threads are slower than one
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_PATIENCE = {  # of the parts of a Ray that starts here, with each other
    "RAY_gcs_server_port_wait_time_s": str(START_LIMIT),
    "RAY_raylet_start_wait_time_s": "5",  # of one question for the node, which patient_head repeats
    "RAY_worker_register_timeout_seconds": str(START_LIMIT),
    "RAY_agent_register_timeout_ms": str(START_LIMIT * 1000),
}
_STARTS = 3  # of a Ray whose node ends while it starts
_JOIN_LIMIT = 100  # seconds for a cluster to answer, as its head may just be starting
_PLACE = re.compile(r"(ray://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+):(?P<port>[0-9]{1,5})")
_CURE = (
    "set RAY_ADDRESS to the host:port of a running head (`ray status` answers there), or unset it to use this machine"
)
_one_at_a_time = threading.Lock()


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
    stage: str = ""


class ClusterError(MovieDreamerError):
    """Ray is missing, or lacks what is asked of it."""


class ClusterConfig(BaseModel, frozen=True, extra="forbid"):
    """The Ray instance that is started on this machine where RAY_ADDRESS names no cluster, and the pools on either."""

    cpus: int = Field(
        4,
        ge=2,
        description="slots for workers, which need not be cores; with fewer than four, training beside Ray Data "
        "can hang",
    )
    object_store_mb: int = Field(512, ge=80, description="shared memory for results in MB")
    workers: int = Field(
        1, ge=1, description="films that a curation stage works on at a time, each in an actor with its own models"
    )
    gpus_a_worker: float = Field(0, ge=0, description="GPUs of each such actor")
    decoders: int = Field(1, ge=1, description="films that are decoded at a time")
    patience: float = Field(
        7200,
        gt=0,
        description="seconds without progress after which a film is given up, or a training's worker started again",
    )
    film_memory: float = Field(
        8, gt=0, description="GiB by which a film may make its worker grow before it is given up"
    )

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

    A Ray that others started on this machine is left alone.

    Raises:
        ClusterError: when RAY_ADDRESS is malformed, no Ray answers, or none starts.
    """
    for name, value in (_QUIET | _ONE_THREAD).items():  # read by Ray where it is imported, and by its workers
        os.environ.setdefault(name, value)
    address = cluster_address()
    if address:
        _require_place(address)
    else:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
    import ray
    from ray._private import utils

    with _one_at_a_time:
        if ray.is_initialized():
            return
        if not is_utf8("".join(sys.argv)):  # Ray writes the command line down, as UTF-8
            utils.get_entrypoint_name = lambda: "moviedreamer"
        if address:
            _join(address)
        else:
            _start(config)


def cluster_address() -> str:
    """The cluster that RAY_ADDRESS names; "" where this machine is to start a Ray of its own."""
    address = os.environ.get("RAY_ADDRESS", "").strip()
    return "" if address == "local" else address


def connected() -> Any:
    """The module ray where this process is connected to a Ray, else None; it is not imported for that."""
    ray = sys.modules.get("ray")
    is_initialized = getattr(ray, "is_initialized", None)  # missing while another thread imports ray
    return ray if is_initialized and is_initialized() else None


def dashboard() -> str:
    """The URL of the dashboard of the Ray that this process is connected to; "" where there is none."""
    ray = connected()
    place = ray._private.worker.get_dashboard_url() if ray else ""
    return f"http://{place}" if place else ""


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
    if not cluster_address() and wanted > (there := gpus(config)):
        raise ClusterError(
            f"{said} take {wanted:g} GPUs, this machine has {there:g}: set fewer, or RAY_ADDRESS to a cluster with more"
        )


def _require_place(address: str) -> None:
    """Raises ClusterError for what is not host:port, which Ray would wait for; other schemes than ray:// are Ray's."""
    if address == "auto" or ("://" in address and not address.startswith("ray://")):
        return
    place = _PLACE.fullmatch(address)
    if not place or not 0 < int(place["port"]) < 2**16:
        raise ClusterError(f"RAY_ADDRESS={address!r} is not host:port with a port from 1 to 65535: {_CURE}")


def _join(address: str) -> None:
    import ray

    name = f"the Ray cluster at RAY_ADDRESS={address!r}"
    limit = f"of at most {_JOIN_LIMIT}"
    try:
        with _speechless() as aloud, _own_sigterm(), tell_while(f"waiting for {name}", limit, aloud):
            if "://" not in address:  # a Ray client has limits of its own
                _await_head(address)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except TimeoutError:
        raise ClusterError(f"{name} did not answer within {_JOIN_LIMIT} s: {_CURE}") from None
    except Exception as error:
        ray.shutdown()
        raise ClusterError(f"this process cannot join {name}: {_said(error)}; {_CURE}") from error


def _await_head(address: str) -> None:
    """Waits for the head of a cluster in a thread, since Ray's own call hears neither of limits nor of Ctrl-C.

    Raises:
        TimeoutError: when it does not answer.
    """
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import RpcError

    place, deadline = canonicalize_bootstrap_address(address), time.monotonic() + _JOIN_LIMIT
    errors: list[Exception] = []

    def ask() -> None:
        while time.monotonic() < deadline:
            try:
                GcsClient(address=place)
                return
            except RpcError as error:
                if "Timed out" not in str(error):
                    errors.append(error)
                    return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_JOIN_LIMIT)
    if asking.is_alive():
        raise TimeoutError
    if errors:
        raise errors[0]


def _start(config: ClusterConfig) -> None:
    import ray

    limit = f"of at most {START_LIMIT} for each of its parts; minutes are normal on a busy machine"
    for left in reversed(range(_STARTS)):
        try:
            with (
                _speechless() as aloud,
                _own_sigterm(),
                tell_while("waiting for Ray to start", limit, aloud),
                patient_head(),
            ):
                ray.init(
                    address="local",
                    num_cpus=config.cpus,
                    object_store_memory=config.object_store_mb * 2**20,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
                return
        except BaseException as error:
            ray.shutdown()
            if not isinstance(error, Exception):
                raise
            if not (left and isinstance(error, ChildProcessError)):
                raise ClusterError(f"Ray does not start on this machine: {_said(error)}{_cure(error)}") from error


def _cure(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "; set RAY_TMPDIR to a folder of your own"
    if "path length" in str(error):
        return "; set RAY_TMPDIR to a folder with a shorter path"
    return ""


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[-600:] or type(error).__name__


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
def _speechless() -> Iterator[Voice]:
    """Keeps Ray's native half from announcing its log level; what goes wrong is raised.

    Yields what gives standard error back for a moment.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)

    @contextmanager
    def aloud() -> Iterator[None]:
        os.dup2(kept, 2)
        try:
            yield
        finally:
            os.dup2(nowhere, 2)

    try:
        yield aloud
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
