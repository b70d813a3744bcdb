"""The state of a training run, saved asynchronously and restored.

The file has full tensors, so a run can resume on another number of workers, sharded or not.
"""

import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.training.optimizer import in_8_bits_again
from storage import checkpoints
from storage.errors import MovieDreamerError
from tasks.training.engine.job import Job
from tasks.training.engine.parallel import sharded_like

_FILE = "state.pt"
_NAMED = 5  # keys in an error


class MismatchedCheckpointError(MovieDreamerError):
    """A checkpoint of another model; the message names the tensors."""


@dataclass(frozen=True)
class RunState:
    """The state after `done` steps and `samples`; `curve` has a row for each step; tensors are not sharded."""

    done: int
    samples: int
    curve: list[dict[str, float]]
    module: dict[str, Tensor]
    optimizer: dict[str, Any]


class Writer:
    """Saves in a thread, one state at a time; an error is raised by the next call."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pool = ThreadPoolExecutor(1)
        self._begun: list[Future[Any]] = []

    def save(self, state: RunState, loss: float | None) -> None:
        """Starts saving a checkpoint."""
        self.submit(lambda: self._save(state, loss))

    def submit(self, work: Callable[[], object]) -> None:
        """Runs `work` after all previous saves."""
        self._begun.append(self._pool.submit(work))

    @property
    def idle(self) -> bool:
        """Whether everything is saved."""
        return all(work.done() for work in self._begun)

    def wait(self) -> None:
        """Waits until everything is saved."""
        while self._begun:
            self._begun.pop(0).result()

    def close(self) -> None:
        self.wait()
        self._pool.shutdown()

    def _save(self, state: RunState, loss: float | None) -> None:
        job = self._job
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
            torch.save(vars(state), Path(scratch) / _FILE)
            checkpoints.save(
                job.storage,
                job.model,
                job.fingerprint,
                state.done,
                Path(scratch),
                keep=job.config.keep,
                samples=state.samples,
                loss=loss,
            )


def newest(job: Job) -> RunState | None:
    """The newest complete checkpoint, if there is one.

    Raises:
        StorageError: one of its files is missing or truncated.
    """
    checkpoint = checkpoints.latest(job.storage, job.model, job.fingerprint)
    if checkpoint is None:
        return None
    with checkpoints.opened(job.storage, checkpoint) as folder:
        return RunState(**torch.load(folder / _FILE, map_location="cpu", weights_only=True, mmap=True))


def load_module(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads the tensors. If one is missing or has another shape, raises MismatchedCheckpointError before any change."""
    own = module.state_dict()
    faults = {
        "missing": sorted(own.keys() - state.keys()),
        "unknown": sorted(state.keys() - own.keys()),
        "of another shape": sorted(
            f"{name} {list(state[name].shape)} instead of {list(own[name].shape)}"
            for name in own.keys() & state.keys()
            if own[name].shape != state[name].shape
        ),
    }
    said = [f"{len(names)} {fault} ({', '.join(names[:_NAMED])})" for fault, names in faults.items() if names]
    if said:
        raise MismatchedCheckpointError(
            f"the checkpoint is of another model: of its tensors {'; '.join(said)}. Train with the settings that it "
            "was made with, or delete its folder"
        )
    module.load_state_dict(state)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restores an optimizer's state; for sharded parameters each worker loads its shard."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    mine = {
        place: {
            name: sharded_like(value, parameters[place]) if isinstance(value, Tensor) else value
            for name, value in of_parameter.items()
        }
        for place, of_parameter in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": mine})
    in_8_bits_again(optimizer)
