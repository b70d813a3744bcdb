"""Trainables: parameters, batches and losses of each model; the loop is in tasks/training/engine.

A step averages `world` batches, for any number of workers. All randomness is derived from (seed, step, rank of the
batch), so a run that is restored from the states of `module` and optimizer continues exactly as if it had never
stopped, on any number of workers.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

Schedule = Literal["constant", "linear", "cosine"]
POOL = 8  # windows of rows that are shuffled together


class Trainable(Protocol):
    """One run of AdamW over `steps` steps. `module` has all state that a checkpoint must save."""

    steps: int
    weight_decay: float

    @property
    def module(self) -> nn.Module: ...

    def parameters(self, step: int) -> Iterable[nn.Parameter]:
        """The parameters that this step trains; all others are unchanged and need no gradient."""
        ...

    def lr(self, step: int) -> float: ...

    def size(self, step: int) -> int:
        """Samples in each of this step's batches."""
        ...

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Any:
        """Data and noise of one of the `world` batches of a step, derived only from (seed, step, rank).

        The dataloader calls it in a thread to prefetch, and moves its tensors to the device.
        """
        ...

    def loss(self, batch: Any, step: int) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        """The scalar to minimise, and its terms by name, as detached tensors so that the loop doesn't wait for a GPU.

        The caller averages gradients over batches and workers.
        """
        ...

    def stepped(self, step: int) -> None:
        """Called after the optimizer's step, to update the EMA."""
        ...

    def export(self, path: Path) -> None:
        """Writes the trained model as a folder for `from_pretrained`."""
        ...


@runtime_checkable
class Validated(Protocol):
    """A Trainable with held-out rows."""

    def validate(self) -> Mapping[str, float | Tensor]:
        """Figures of the held-out rows, with the same seeds at each call; "loss" selects the best checkpoint."""
        ...


@runtime_checkable
class Pictured(Protocol):
    """A Trainable with sample pictures."""

    def pictures(self) -> Tensor:
        """Samples at fixed seeds as one picture, [3, H, W] in 0-1."""
        ...


def generator(*parts: int) -> torch.Generator:
    """A generator seeded by several numbers, such as (seed, step, rank)."""
    state = np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def rows_of_step(count: int, batch: int, seed: int, step: int, rank: int, world: int, window: int = 1) -> Tensor:
    """The rows, of `count`, of one of the `world` batches of a step. Each epoch has a new order, without replacement.

    Args:
        window: consecutive rows that are read together. Windows are shuffled, then the rows within each POOL of
            windows; if all rows fit into one pool, they are shuffled together.
    """
    first = (step * world + rank) * batch
    places = torch.arange(first, first + batch)
    rows = torch.empty(batch, dtype=torch.long)
    for epoch in range(first // count, (first + batch - 1) // count + 1):
        here = places // count == epoch
        rows[here] = _order(count, window, seed, epoch)[places[here] % count]
    return rows


@lru_cache(maxsize=2)
def _order(count: int, window: int, seed: int, epoch: int) -> Tensor:
    random = generator(seed, epoch, 0x5EED)
    if window == 1 or count <= POOL * window:
        return torch.randperm(count, generator=random)
    windows = torch.randperm(-(-count // window), generator=random)
    rows = (windows[:, None] * window + torch.arange(window)).flatten()
    pools = torch.split(rows[rows < count], POOL * window)
    return torch.cat([pool[torch.randperm(len(pool), generator=random)] for pool in pools])
