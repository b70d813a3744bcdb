"""The training loop of a worker: steps, checkpoints, the loss curve, and finally the export.

The result depends only on the Trainable and on `FitConfig.identity`. A run that is killed at any moment resumes after
the last checkpoint and ends with the same bits (on a CPU; some GPU kernels add in arbitrary order). On another number
of workers the samples are the same, and the result is the same up to rounding.
"""

import faulthandler
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.device import device
from models.training import Pictured, Validated, optimizer
from models.training.blocks import compile_blocks, recompute_activations
from storage import checkpoints
from storage.errors import ConfigError, MovieDreamerError
from tasks.training.engine import dataloader, memory, run_state
from tasks.training.engine.dataloader import Share
from tasks.training.engine.figures import Figures, Taken
from tasks.training.engine.job import PROGRESS, FitConfig, Job
from tasks.training.engine.not_finite import DivergedError, stop_unless_finite
from tasks.training.engine.parallel import Parallel, mean_over_workers, on_host, whole
from tasks.training.engine.run_state import MismatchedCheckpointError, RunState
from tasks.training.engine.tensorboard import Board

if TYPE_CHECKING:
    from models.training import Trainable

_TELL_SECONDS = 1.0
_NO_MEMORY = "can't allocate memory"  # torch's message on a CPU


class TrainingMemoryError(MovieDreamerError):
    """The device's memory ran out; the message says which settings to change."""


SHARED_ERRORS = (DivergedError, ConfigError, MismatchedCheckpointError)
"""Errors that occur on all workers if they occur on one."""


def train(job: Job, rank: int = 0, world: int = 1, patience: float | None = None) -> None:
    """Runs in each of `world` workers, which are connected by torch.distributed.

    Args:
        patience: seconds without a step after which the process exits, even if it hangs; Ray restarts it.

    Raises:
        DivergedError: a loss or a gradient is not finite.
        ConfigError: the model does not fit into the device's memory.
        TrainingMemoryError: the device runs out of memory.
        MismatchedCheckpointError, StorageError: the newest checkpoint can't be loaded.
    """
    torch.set_num_threads(job.config.threads)
    torch.manual_seed(0)
    _expect_step(patience)
    try:
        Run(job, job.make(), rank, world, patience).go()
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _NO_MEMORY not in str(error):
            raise
        cures = ["lower the model's batch, and raise fit.batches by as much", *_lighter(job.config)]
        raise TrainingMemoryError(f"out of memory ({str(error).splitlines()[0]}): {'; '.join(cures)}") from error
    finally:
        if patience:
            faulthandler.cancel_dump_traceback_later()


def _expect_step(patience: float | None) -> None:
    """Ends the process and logs the tracebacks of all threads, unless it is called again within `patience` seconds."""
    if patience:
        faulthandler.dump_traceback_later(patience, exit=True, file=sys.__stderr__ or sys.stderr)


class Run:
    """One worker's part of a training run, after `done` steps; `curve` has a row for each of them."""

    def __init__(self, job: Job, trainable: "Trainable", rank: int, world: int, patience: float | None = None) -> None:
        config = job.config
        self.job, self.trainable, self.rank, self.world, self.patience = job, trainable, rank, world, patience
        self.device = device()
        module = trainable.module
        trained = {parameter for step in (0, trainable.steps - 1) for parameter in trainable.parameters(step)}
        needed = memory.estimate(module, trained, config.optimizer, config.sharding, world)
        if self.device.type == "cuda":
            memory.check_fits(needed, torch.cuda.mem_get_info()[1], config.sharding, config.optimizer)
        if config.compile:
            compile_blocks(module)
        if config.recompute:
            recompute_activations(module)
        saved = run_state.newest(job)
        if saved:
            run_state.load_module(module, saved.module)
        self.parallel = Parallel(module, config.sharding, world, self.device)
        self.optimizer = optimizer.build(config.optimizer, module.parameters(), config.betas, trainable.weight_decay)
        self.batches = config.batches_a_step
        self.done, self.samples, self.curve = 0, 0, []
        if saved:
            run_state.load_optimizer(self.optimizer, saved.optimizer)
            self.done, self.samples, self.curve = saved.done, saved.samples, saved.curve
        self.writer = run_state.Writer(job)
        self.board = Board(job, self.done, str(needed)) if rank == 0 else None
        self.best = min((row["held_out/loss"] for row in self.curve if "held_out/loss" in row), default=float("inf"))
        self._taken: list[Taken] = []  # figures of a step that may still run on the GPU
        self._told = 0.0

    def go(self) -> None:
        try:
            self._go()
        except Exception:
            if self.board:
                self.writer.submit(self.board.close)
                with suppress(Exception):  # the error that stopped the run is the one to report
                    self.writer.close()
            raise

    def _go(self) -> None:
        config, steps = self.job.config, self.trainable.steps
        for shares in dataloader.steps(self.trainable, self.done, self.batches, self.rank, self.world, self.device):
            self.step(shares)
            _expect_step(self.patience)
            improved = config.validate_every > 0 and self.done % config.validate_every == 0 and self.validate()
            if self.done < steps and (improved or self.done % config.checkpoint_every == 0):
                self.save(self.best if improved else None)
        self.settle()
        self.finish()

    def step(self, shares: Sequence[Share]) -> None:
        """One step of the optimizer, with its bookkeeping and progress."""
        self._taken.append(self.take(shares))
        self.samples += self.batches * self.trainable.size(self.done)
        self.done += 1
        if self.device.type != "cuda" or len(self._taken) > 1:
            self._settle_one()

    def take(self, shares: Sequence[Share]) -> Taken:
        """One step of the optimizer; parameters that it doesn't train have no gradient and do not change."""
        step, trainable, config = self.done, self.trainable, self.job.config
        active = list(trainable.parameters(step))
        self.parallel.train_only(active)
        self.optimizer.zero_grad(set_to_none=True)
        figures = Figures(self.batches, self.world)
        for share in shares:
            torch.manual_seed(step * self.batches + share.place)
            with self._autocast():
                loss, terms = self.parallel.loss(trainable.loss, share.batch, step, last=share is shares[-1])
            (loss * (share.weight * self.world / self.batches)).backward()
            figures.add({"loss": loss.detach(), **terms}, share.weight)
        norm = _clip([parameter for parameter in active if parameter.grad is not None], config.clip)
        taken = figures.taken(step, norm, shares)
        optimizer.set_rate(self.optimizer, trainable.lr(step))
        optimizer.step(self.optimizer, taken.finite)
        trainable.stepped(step)
        return taken

    def settle(self) -> None:
        """Waits until all steps so far are known to be finite, and are in the curve."""
        while self._taken:
            self._settle_one()

    def _settle_one(self) -> None:
        """Checks the oldest unchecked figures: on a GPU those of the previous step, which is finished."""
        taken = self._taken.pop(0)
        figures, norm = taken.read()
        stop_unless_finite(self.job, self.rank, self.world, taken, figures, norm)
        self.curve.append({"step": taken.step, **figures})
        if self.board:
            self.board.figures(taken.step, figures | {"gradient_norm": norm, "lr": self.trainable.lr(taken.step)})
            if time.monotonic() - self._told >= _TELL_SECONDS and self.writer.idle:
                self._told = time.monotonic()
                self.writer.submit(self.tell)

    def validate(self) -> bool:
        """Records figures and pictures of held-out rows; returns whether their loss is the lowest so far."""
        self.settle()
        trainable, improved = self.trainable, False
        with torch.no_grad():
            if isinstance(trainable, Validated):
                with self._autocast():
                    mine = self.parallel(trainable.validate)
                own = {name: float(value) for name, value in mine.items()}
                found = mean_over_workers(own, self.world, self.device)
                figures = {f"held_out/{name}": value for name, value in found.items()}
                self.curve[-1] |= figures
                improved = found.get("loss", float("inf")) < self.best
                self.best = min(self.best, found.get("loss", float("inf")))
                if self.board:
                    self.board.figures(self.done - 1, figures)
            if isinstance(trainable, Pictured):
                picture_3HW = self.parallel(trainable.pictures)
                if self.board:
                    self.board.picture(self.done - 1, picture_3HW.float().cpu())
        return improved

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.job.config.precision == "bf16")

    def save(self, loss: float | None = None) -> None:
        """Saves the state; only its copy is made here, the rest in the writer's thread."""
        self.settle()
        if self.board:
            self.writer.wait()  # otherwise the old and the new copy would both be in memory
        if self.board or self.parallel.sharded:
            both = self.parallel.module.state_dict(), self.optimizer.state_dict()
            module, optimizer = on_host(both, keep=self.board is not None)
        if self.board:
            self.writer.save(RunState(self.done, self.samples, list(self.curve), module, optimizer), loss)
            self.writer.submit(self.board.upload)

    def finish(self) -> None:
        """Exports the model and its curve."""
        trainable = self.trainable
        if self.parallel.sharded:
            state = on_host(self.parallel.module.state_dict(), keep=self.board is not None)
        if not self.board:
            return
        self.writer.close()
        self.board.close()
        if self.parallel.sharded:
            trainable = self.job.make()
            run_state.load_module(trainable.module, state)
        self.tell()
        job = self.job
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
            folder = Path(scratch)
            trainable.export(folder)
            (folder / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.curve))
            checkpoints.save_final(job.storage, job.model, job.fingerprint, self.done, folder)

    def tell(self) -> None:
        """Writes the run's progress, for people."""
        note = {"step": self.done, "steps": self.trainable.steps}
        self.job.storage.write_bytes(f"{self.job.folder}/{PROGRESS}", json.dumps(note).encode())


def _lighter(config: "FitConfig") -> list[str]:
    """Settings that reduce memory."""
    settings = {
        "fit.recompute=true": not config.recompute,
        "fit.precision=bf16": config.precision == "fp32",
        "fit.optimizer=adamw8bit": config.optimizer == "adamw",
        "fit.sharding=fsdp with more fit.workers": config.sharding == "ddp",
    }
    return [setting for setting, helps in settings.items() if helps]


def _clip(parameters: Sequence[nn.Parameter], longest: float | None) -> Tensor:
    """Clips the gradient to the norm `longest`; returns its norm before."""
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if longest is not None:
        nn.utils.clip_grads_with_norm_(parameters, longest, norm)
    found: Tensor = whole(norm)
    return found
