"""Runs the training of every model: a Ray Train job that resumes after a kill and never repeats a finished training.

Ray Train starts and connects the workers, and restarts them when one dies. training_loop runs the steps, checkpoints
and export. Nothing is reported through ray.train.report, because each report costs a round of polls.
"""

import contextvars
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storage import checkpoints
from storage.errors import MovieDreamerError
from storage.root import Storage
from tasks.cluster import ClusterConfig, connect, require_gpus
from tasks.head import START_LIMIT
from tasks.progress import Progress
from tasks.training.engine.job import EVENTS, PROGRESS, RAY, SAMPLES, FitConfig, Job

if TYPE_CHECKING:
    from models.training import Trainable

_LOOK_SECONDS = 1.0
_QUIET = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(START_LIMIT),
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


class TrainingError(MovieDreamerError):
    """A training failed or was stopped."""


def fit(
    storage: Storage,
    model: str,
    fingerprint: str,
    make: "Callable[[], Trainable]",
    config: FitConfig,
    cluster: ClusterConfig,
    progress: Progress,
) -> str:
    """Trains the Trainable of `make`, unless it is trained already.

    Args:
        fingerprint: identifies everything that changes the result.
        make: runs in the workers; it is pickled, so it must have references to the data instead of the data.
        progress: called with (model, step, steps) about once a second.

    Returns:
        the folder of the exported model in the storage, checkpoints/<model>/<fingerprint>/final. Event files for
        TensorBoard and, with validation, samples and the best checkpoint are kept in the parent folder.

    Raises:
        ClusterError: Ray does not start, or this machine lacks the requested GPUs.
        TrainingError: the loss was not finite, `make` failed, memory ran out, or a worker died too often.
    """
    job = Job(storage, model, fingerprint, make, config)
    if checkpoints.finished(storage, model, fingerprint) is None:
        with _progress_reported(job, progress), _own_sigint():
            error = _run(job, config, cluster)
        if error:
            raise TrainingError(f"training {model} failed: {error}")
    final = checkpoints.finished(storage, model, fingerprint)
    if final is None:
        raise TrainingError(f"training {model} was stopped before its end; the same command resumes it")
    best = checkpoints.best(storage, model, fingerprint)
    kept = {final, *(f"{job.folder}/{name}" for name in (EVENTS, SAMPLES)), best.rel if best else final}
    for name in storage.list(job.folder):  # checkpoints and progress are no longer needed
        if f"{job.folder}/{name}" not in kept:
            storage.delete(f"{job.folder}/{name}")
    return final


def curve(storage: Storage, final: str) -> list[dict[str, float]]:
    """Figures of each step of a finished training: "step", "loss", its terms and, at some steps, "held_out/..."."""
    return [json.loads(line) for line in storage.read_bytes(f"{final}/curve.jsonl").splitlines()]


def sample_sheets(storage: Storage, final: str) -> dict[int, bytes]:
    """Step -> the encoded picture of samples at that step, of a finished training."""
    folder = f"{final.rpartition('/')[0]}/{SAMPLES}"
    return {int(name.partition(".")[0]): storage.read_bytes(f"{folder}/{name}") for name in storage.list(folder)}


def _run(job: Job, config: FitConfig, cluster: ClusterConfig) -> str:
    """The error that stopped the training for good, "" if there was none."""
    if config.workers:
        connect(cluster)
        least = config.min_workers or config.workers
        require_gpus(cluster, least * config.gpus, f"fit.workers={least} of fit.gpus={config.gpus:g}")
    os.environ.update(_QUIET)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    logging.getLogger("ray.train").setLevel(logging.ERROR)
    filesystem, root = job.storage.filesystem
    job.storage.write_bytes(f"{job.folder}/{RAY}", b"")  # Ray Train overwrites it in any case
    trainer = TorchTrainer(
        _train,
        train_loop_config={"job": job, "patience": cluster.patience if config.workers else None},
        scaling_config=ScalingConfig(
            num_workers=(config.min_workers, config.workers) if config.min_workers else config.workers,
            use_gpu=config.gpus > 0,
            resources_per_worker={"CPU": config.threads, "GPU": config.gpus},
        ),
        run_config=RunConfig(
            name=RAY.split("/")[0],  # Ray Train tests this folder from all workers, and leaves it empty
            storage_path=f"{root}/{job.folder}",
            storage_filesystem=filesystem,
            failure_config=FailureConfig(max_failures=config.restarts, controller_failure_limit=config.restarts),
        ),
    )
    try:
        return str(trainer.fit().return_value or "")
    except TrainingFailedError as error:
        return str(error)


def _train(settings: dict[str, Any]) -> str:
    """The loop in a worker. An error that occurs on all workers, and would recur, is returned, because a restart would
    not help. An error that may occur only on some is raised, so that Ray stops the others, which wait for them."""
    import torch
    from ray import train as ray_train
    from ray.train.torch import get_device

    from tasks.training.engine.training_loop import SHARED_ERRORS, train

    context = ray_train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    if torch.cuda.is_available():
        torch.cuda.set_device(get_device())
    try:
        train(settings["job"], rank, world, settings["patience"])
    except (MovieDreamerError, ValueError) as error:
        if world > 1 and not isinstance(error, SHARED_ERRORS):
            raise
        return f"{type(error).__name__}: {error}"
    return ""


@contextmanager
def _progress_reported(job: Job, progress: Progress) -> Iterator[None]:
    """Reports the workers' progress during the block, from a thread with this thread's context."""
    over = threading.Event()

    def look() -> None:
        if job.storage.exists(f"{job.folder}/{PROGRESS}"):
            note = json.loads(job.storage.read_bytes(f"{job.folder}/{PROGRESS}"))
            progress(job.model, note["step"], note["steps"])

    def look_on() -> None:
        while not over.wait(_LOOK_SECONDS):
            look()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(look_on,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    look()


@contextmanager
def _own_sigint() -> Iterator[None]:
    """Restores the SIGINT handler, which Ray Train replaces and does not restore."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
