"""The dataloader of a training run: a thread prefetches and decodes batches.

A step averages a fixed number of batches, which are distributed over the workers round-robin. So the samples of a step
and of an epoch are the same on any number of workers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves_with_path, tree_map_only

from tasks.prefetch import ahead

if TYPE_CHECKING:
    from models.training import Trainable

_STEPS_AHEAD = 2


@dataclass(frozen=True)
class Share:
    """One of a step's batches on one worker; `weight` is 0 for a filler that keeps workers synchronised."""

    place: int
    batch: Any
    weight: int


def steps(
    trainable: "Trainable", first: int, batches: int, rank: int, world: int, device: torch.device
) -> Iterator[list[Share]]:
    """Yields a worker's shares of each step, from `first` to the last, on the device.

    All workers get the same number of shares: if `batches` isn't a multiple of `world`, some repeat their first share
    with weight 0.
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
    """The batch with all of its tensors on the device; dataclasses in it are registered with torch's pytree."""
    return tree_map_only(Tensor, lambda tensor: tensor.to(device), batch)


def tensors(batch: Any) -> dict[str, Tensor]:
    """The tensors of a batch by name, such as "latents_BCHW" or "packed.kinds_BS"."""
    return {_name(path): leaf for path, leaf in tree_leaves_with_path(batch) if isinstance(leaf, Tensor)}


def _name(path: Iterable[Any]) -> str:
    """The name of a path of torch's keys: index of a sequence, key of a mapping, or name of a field."""
    return ".".join(str(astuple(key)[0]) for key in path) or "batch"
