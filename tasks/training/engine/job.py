"""The description of a training run that the driver sends to its workers, and its settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from storage.root import Storage

if TYPE_CHECKING:
    from models.training import Trainable

PROGRESS = "progress.json"  # a run's progress, for people; removed at its end
EVENTS = "tensorboard"  # its event files, which are kept
RAY = "ray/.validate_storage_marker"  # an empty file with which Ray Train tests the storage
SAMPLES = "samples"  # pictures of samples, which are kept too


class FitConfig(BaseModel, frozen=True, extra="forbid"):
    """How a training is run. `identity` lists what changes the result; the number of workers is not in it."""

    workers: int = Field(1, ge=0, description="workers of Ray Train; 0: train in this process, without Ray")
    min_workers: int | None = Field(
        None, ge=1, description="smallest number of workers with which training may continue; null: workers"
    )
    batches: int | None = Field(
        None, ge=1, description="batches that a step averages, shared by the workers; null: one per worker"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="number format of the forward pass; bf16: autocast, weights and optimizer stay in 32 bits"
    )
    clip: float | None = Field(1.0, gt=0, description="gradient clipping: largest norm; null: none")
    betas: tuple[float, float] = Field((0.9, 0.95), description="AdamW's betas")
    optimizer: Literal["adamw", "adamw8bit"] = Field(
        "adamw", description="AdamW with moments of 32 or 8 bits (torchao)"
    )
    sharding: Literal["ddp", "fsdp"] = Field(
        "ddp", description="ddp: each worker has the whole model; fsdp: a shard of it (FSDP2)"
    )
    recompute: bool = Field(False, description="activation checkpointing: less memory for a third more time")
    compile: bool = Field(
        False, description="compile the repeated blocks with torch.compile; dropout then draws differently"
    )
    checkpoint_every: int = Field(
        100,
        ge=1,
        description="steps between two checkpoints; a killed run repeats at most this many steps, or twice as many "
        "while one is uploaded",
    )
    keep: int = Field(1, ge=1, description="number of newest checkpoints to keep, besides the best on held-out rows")
    validate_every: int = Field(0, ge=0, description="steps between two validations on held-out rows; 0: none")
    restarts: int = Field(2, ge=0, description="maximum number of restarts after a worker died")
    threads: int = Field(1, ge=1, description="threads of torch in each worker; one is the fastest on small CPUs")
    gpus: float = Field(0, ge=0, description="GPUs of each worker")

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
        """The settings that change a training's result; part of its fingerprint."""
        return [self.batches_a_step, self.precision, self.clip, self.betas, self.optimizer, self.compile]


@dataclass(frozen=True)
class Job:
    """A training run, as it is sent to its workers.

    Args:
        model, fingerprint: identify the folder of its checkpoints (storage.checkpoints).
        make: builds the Trainable inside the worker, deterministically; it reads its data from the storage.
    """

    storage: Storage
    model: str
    fingerprint: str
    make: "Callable[[], Trainable]"
    config: FitConfig

    @property
    def folder(self) -> str:
        return f"checkpoints/{self.model}/{self.fingerprint}"
