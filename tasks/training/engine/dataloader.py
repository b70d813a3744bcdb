"""The batches of a training run, read and decoded in a thread ahead of the step that takes them.

A step averages a fixed number of batches. They are dealt to the workers in turn, so the samples of a step and of an
epoch are the same on any number of workers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tasks.prefetch import ahead

if TYPE_CHECKING:
    from models.training import Trainable

_STEPS_AHEAD = 2


@dataclass(frozen=True)
class Share:
    """One of a step's batches in the hands of a worker; `weight` is 0 for one that only keeps workers in step."""

    place: int
    batch: Any
    weight: int


def steps(
    trainable: "Trainable", first: int, batches: int, rank: int, world: int, device: torch.device
) -> Iterator[list[Share]]:
    """A worker's shares of each step from `first` to the last, on the device.

    All workers get as many shares: where `batches` isn't a multiple of `world`, some repeat their first with weight 0.
    """

    def made() -> Iterator[list[Share]]:
        for step in range(first, trainable.steps):
            yield [
                Share(
                    place % batches,
                    moved(trainable.batch(step, place % batches, batches), device),
                    int(place < batches),
                )
                for place in range(rank, -(-batches // world) * world, world)
            ]

    return ahead(made(), _STEPS_AHEAD)


def moved(batch: Any, device: torch.device) -> Any:
    """The batch with all of its tensors on the device."""
    return _rebuilt(batch, lambda tensor, _: tensor.to(device), "")


def tensors(batch: Any) -> dict[str, Tensor]:
    """The tensors of a batch by name, such as "latents_BCHW" or "packed.kinds_BS"."""
    found: dict[str, Tensor] = {}

    def note(tensor: Tensor, name: str) -> Tensor:
        found[name or "batch"] = tensor
        return tensor

    _rebuilt(batch, note, "")
    return found


def _rebuilt(value: Any, change: Callable[[Tensor, str], Tensor], name: str) -> Any:
    def inside(part: Any, key: object) -> Any:
        return _rebuilt(part, change, f"{name}.{key}" if name else str(key))

    if isinstance(value, Tensor):
        return change(value, name)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(inside(part, key) for key, part in zip(value._fields, value, strict=True)))
    if isinstance(value, list | tuple):
        return type(value)(inside(part, place) for place, part in enumerate(value))
    if isinstance(value, Mapping):
        return {key: inside(part, key) for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: inside(getattr(value, field.name), field.name) for field in fields(value)})
    return value
