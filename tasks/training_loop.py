"""What every worker of a training run does: steps, gradients, checkpoints, the loss curve, and in the end the export.

The run is a function of the Trainable alone: whoever is killed at any moment and started again goes on at the step
after the last checkpoint and ends with the same bits (on a CPU; GPUs have kernels that add in any order).
"""

import io
import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from models.device import device
from storage import checkpoints
from storage.errors import MovieDreamerError
from tasks.job import PROGRESS, Job

if TYPE_CHECKING:
    from models.training import Trainable

BETAS = (0.9, 0.95)
CLIP = 1.0  # largest norm of the gradient
_STATE = "state.pt"
_TELL_SECONDS = 1.0


class DivergedError(MovieDreamerError):
    """A loss that is not finite; the message names the step."""


def train(job: Job) -> None:
    """Runs in each worker of Ray Train, or in this process in its local mode.

    Raises:
        DivergedError: when a loss or a gradient is not finite.
    """
    from ray import train as ray_train

    context = ray_train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    trainable = job.make()
    trainable.module.to(device())
    run = Run(job, trainable, rank, world)
    run.resume()
    while run.done < run.trainable.steps:
        run.step()
        if rank == 0 and run.done % job.checkpoint_every == 0 and run.done < run.trainable.steps:
            run.save()
    if rank == 0:
        run.finish()


class Run:
    """One worker's share of a training run; `done` steps lie behind it, and `curve` has a row for each of them."""

    def __init__(self, job: Job, trainable: "Trainable", rank: int, world: int) -> None:
        self.job, self.trainable, self.rank, self.world = job, trainable, rank, world
        everything = list(trainable.module.parameters())
        self.optimizer = torch.optim.AdamW(everything, betas=BETAS, weight_decay=trainable.weight_decay, fused=True)
        self.done = 0
        self.curve: list[dict[str, float]] = []
        self._told = 0.0

    def step(self) -> None:
        """One step of the optimizer; parameters that this step leaves alone have no gradient and do not move."""
        step, trainable = self.done, self.trainable
        torch.manual_seed(step * self.world + self.rank)
        active = list(trainable.parameters(step))
        _train_only(trainable.module, active)
        self.optimizer.zero_grad(set_to_none=True)
        loss, parts = trainable.loss(trainable.batch(step, self.rank, self.world), step)
        loss.backward()  # type: ignore[no-untyped-call]
        figures = self._mean_over_workers(
            {"loss": float(loss.detach())} | {name: float(part) for name, part in parts.items()}, active
        )
        norm = float(nn.utils.clip_grad_norm_([p for p in active if p.grad is not None], CLIP))
        if not all(map(math.isfinite, (norm, *figures.values()))):
            raise DivergedError(
                f"the loss is not finite at step {step} of {trainable.steps}: {figures}, gradient norm {norm}; "
                "lower the learning rate"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = trainable.lr(step)
        self.optimizer.step()
        trainable.stepped(step)
        self.curve.append({"step": step, **figures})
        self.done = step + 1
        if self.rank == 0 and time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            self.tell()

    def save(self) -> None:
        """Keeps everything that the next step depends on."""
        state = {
            "done": self.done,
            "curve": self.curve,
            "module": self.trainable.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        job = self.job
        checkpoints.save(job.storage, job.model, job.fingerprint, self.done, {_STATE: buffer.getvalue()}, keep=1)

    def resume(self) -> None:
        """Takes up the newest whole checkpoint, if there is one."""
        job = self.job
        checkpoint = checkpoints.latest(job.storage, job.model, job.fingerprint)
        if checkpoint is None:
            return
        state = torch.load(
            io.BytesIO(job.storage.read_bytes(f"{checkpoint.rel}/{_STATE}")), map_location="cpu", weights_only=True
        )
        self.trainable.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.curve = state["done"], state["curve"]

    def finish(self) -> None:
        """Exports the model, with the curve beside it."""
        self.tell()
        job = self.job
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
            folder = Path(scratch)
            self.trainable.export(folder)
            (folder / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.curve))
            checkpoints.save_final(job.storage, job.model, job.fingerprint, self.done, folder)

    def _mean_over_workers(self, figures: dict[str, float], active: Sequence[nn.Parameter]) -> dict[str, float]:
        """Averages gradients and figures; a parameter that one worker's batch had no use for counts as zero there."""
        if self.world == 1:
            return figures
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in active]
        values = torch.tensor(list(figures.values()), device=gradients[0].device)
        flat = torch.cat([values, *(gradient.flatten() for gradient in gradients)])
        torch.distributed.all_reduce(flat)
        sizes = [len(values), *(gradient.numel() for gradient in gradients)]
        values, *means = torch.split(flat / self.world, sizes)
        for parameter, mean in zip(active, means, strict=True):
            parameter.grad = mean.view_as(parameter)
        return dict(zip(figures, values.tolist(), strict=True))

    def tell(self) -> None:
        """Notes how far the run is, for people."""
        note = {"step": self.done, "steps": self.trainable.steps}
        self.job.storage.write_bytes(f"{self.job.folder}/{PROGRESS}", json.dumps(note).encode())


def _train_only(module: nn.Module, active: Sequence[nn.Parameter]) -> None:
    chosen = {id(parameter) for parameter in active}
    for parameter in module.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
