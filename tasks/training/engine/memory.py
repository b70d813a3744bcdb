"""Estimates the memory that a training run keeps on each GPU from its first step to its last."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from models.training.optimizer import Kind
from storage.errors import ConfigError
from tasks.training.engine.parallel import Sharding

_MOMENTS = {"adamw": 2.0, "adamw8bit": 0.5}  # bytes of both moments per byte of a 32-bit parameter
_GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """Bytes on each worker's device, without activations, which depend on the batch.

    Attributes:
        parameters: of the trained model, with its buffers and frozen parts.
        average: of the EMA of its weights, and of other parameters that no step trains.
    """

    parameters: int
    average: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        return self.parameters + self.average + self.gradients + self.optimizer

    def __str__(self) -> str:
        parts = {
            "parameters": self.parameters,
            "frozen or averaged weights": self.average,
            "gradients": self.gradients,
            "optimizer": self.optimizer,
        }
        said = ", ".join(f"{name} {size / _GIB:.2f}" for name, size in parts.items())
        return f"{self.total / _GIB:.2f} GiB ({said})"


def estimate(module: nn.Module, trained: Iterable[nn.Parameter], kind: Kind, sharding: Sharding, world: int) -> Memory:
    """The memory of a model with gradients of `trained`; each worker has the whole model or a shard."""
    moving = {id(parameter): parameter for parameter in trained}
    still = [parameter for parameter in module.parameters() if id(parameter) not in moving]
    shards = world if sharding == "fsdp" else 1
    parameters = _bytes(moving.values()) // shards
    return Memory(
        parameters=parameters + _bytes(module.buffers()),
        average=_bytes(still) // shards,
        gradients=parameters,
        optimizer=int(_MOMENTS[kind] * parameters),
    )


def check_fits(memory: Memory, device_bytes: int, sharding: Sharding, kind: Kind) -> None:
    """Raises ConfigError, which says which settings to change, if the device has less memory."""
    if memory.total <= device_bytes:
        return
    cures = ["a smaller model"]
    if kind == "adamw":
        cures.insert(0, "fit.optimizer=adamw8bit")
    cures.insert(0, "more fit.workers" if sharding == "fsdp" else "fit.sharding=fsdp with more fit.workers")
    raise ConfigError(
        f"before any activations the training keeps {memory} on each GPU, which has {device_bytes / _GIB:.2f} GiB; "
        f"use {', '.join(cures[:-1])} or {cures[-1]}"
    )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
