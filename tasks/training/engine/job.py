"""A training run as the driver sends it to its workers, and how it is run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from storage.root import Storage

if TYPE_CHECKING:
    from models.training import Trainable

PROGRESS = "progress.json"  # how far a run is: for people, dropped at its end
EVENTS = "tensorboard"  # its event files, which stay
RAY = "ray/.validate_storage_marker"  # with which Ray Train tries out the storage; empty
SAMPLES = "samples"  # a picture a look at it, which stay too


class FitConfig(BaseModel, frozen=True, extra="forbid"):
    """How a training is run. `identity` lists what changes the result; the number of workers doesn't.

    Args:
        workers: of Ray Train; 0 is its local mode: the training runs in this process and no Ray is started.
        min_workers: with how many of them the training goes on while the cluster has no more.
        batches: that a step averages, shared by the workers; one that has several accumulates their gradients. None:
            one for each of `workers`.
        precision: of the forward pass; bf16 is autocast, weights and optimizer stay in 32 bits.
        clip: the longest gradient, None for any.
        optimizer: AdamW with moments of 32 bits, or of 8 (with torchao).
        sharding: each worker has the whole model (ddp) or a shard of it (fsdp: FSDP2).
        recompute: activation checkpointing: less memory for a third more time.
        compile: the model's repeated blocks, with torch.compile; it draws dropout in its own way.
        checkpoint_every: steps; a killed run repeats at most so many, or twice so many while the last is uploaded.
        keep: newest checkpoints that stay, beside the best on held-out rows.
        validate_every: steps between two looks at held-out rows and samples; 0 for none.
        restarts: of the workers, after one died.
        threads: of torch in each worker; on small CPUs one is the fastest.
        gpus: of each worker.
    """

    workers: int = Field(default=1, ge=0)
    min_workers: int | None = Field(default=None, ge=1)
    batches: int | None = Field(default=None, ge=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    clip: float | None = Field(default=1.0, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    sharding: Literal["ddp", "fsdp"] = "ddp"
    recompute: bool = False
    compile: bool = False
    checkpoint_every: int = Field(default=100, ge=1)
    keep: int = Field(default=1, ge=1)
    validate_every: int = Field(default=0, ge=0)
    restarts: int = Field(default=2, ge=0)
    threads: int = Field(default=1, ge=1)
    gpus: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _is_shared_out(self) -> Self:
        if self.workers > self.batches_a_step:
            raise ValueError(
                f"workers={self.workers} share the batches={self.batches} of a step: set fit.batches to a multiple "
                "of fit.workers first"
            )
        if self.min_workers is not None and self.min_workers > self.workers:
            raise ValueError(
                f"min_workers={self.min_workers} are part of workers={self.workers}: set fit.workers first"
            )
        return self

    @property
    def batches_a_step(self) -> int:
        return self.batches or max(self.workers, 1)

    @property
    def identity(self) -> list[Any]:
        """What changes a training's result: part of its fingerprint."""
        return [self.batches_a_step, self.precision, self.clip, self.betas, self.optimizer, self.compile]


@dataclass(frozen=True)
class Job:
    """A training run, as it is sent to its workers.

    Args:
        model, fingerprint: where its checkpoints lie (storage.checkpoints).
        make: builds the Trainable inside the worker, always the same one; reads its data from storage.
    """

    storage: Storage
    model: str
    fingerprint: str
    make: "Callable[[], Trainable]"
    config: FitConfig

    @property
    def folder(self) -> str:
        return f"checkpoints/{self.model}/{self.fingerprint}"
