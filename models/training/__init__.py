"""Training runs as plain objects: what to train, on which batch, with which loss; the loop stands elsewhere.

A step averages `world` batches, however many workers share them. All randomness comes from (seed, step, rank of the
batch), so that a run restored from `module`'s and the optimiser's state at a step goes on exactly as if it had never
stopped, on as many workers or on others.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

Schedule = Literal["constant", "linear", "cosine"]
POOL = 8  # windows of rows that are mixed


class Trainable(Protocol):
    """One run of AdamW over `steps` steps. `module` holds all state that a checkpoint must save."""

    steps: int
    weight_decay: float

    @property
    def module(self) -> nn.Module: ...

    def parameters(self, step: int) -> Iterable[nn.Parameter]:
        """Those that this step trains; all others keep still and need no gradient."""
        ...

    def lr(self, step: int) -> float: ...

    def size(self, step: int) -> int:
        """Samples in each of this step's batches."""
        ...

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Any:
        """Data and noise of one of the `world` batches of a step: a function of (seed, step, rank) alone.

        Called in a thread ahead of the step, so it reads and decodes off the step's path; its tensors are moved to
        the device before `loss` sees them.
        """
        ...

    def loss(self, batch: Any, step: int) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        """The scalar to minimise, and its terms by name: as detached tensors they don't make the loop wait for a GPU.

        Gradients are the caller's to average over batches and workers.
        """
        ...

    def stepped(self, step: int) -> None:
        """Called once after the optimiser's step, for moving averages."""
        ...

    def export(self, path: Path) -> None:
        """Write the trained model as a folder that `from_pretrained` opens."""
        ...


@runtime_checkable
class Validated(Protocol):
    """A Trainable that has held-out rows."""

    def validate(self) -> Mapping[str, float | Tensor]:
        """Figures of the held-out rows, with the same seeds at each call; "loss" picks the best checkpoint."""
        ...


@runtime_checkable
class Pictured(Protocol):
    """A Trainable that can be looked at."""

    def pictures(self) -> Tensor:
        """Samples at fixed seeds as one picture, [3, H, W] in 0-1."""
        ...


def generator(*parts: int) -> torch.Generator:
    """A generator seeded by several numbers, such as (seed, step, rank)."""
    state = np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def rows_of_step(count: int, batch: int, seed: int, step: int, rank: int, world: int, window: int = 1) -> Tensor:
    """Which of `count` rows one of the `world` batches of a step reads: each epoch is a new order, dealt out.

    Args:
        window: consecutive rows that are read together. The windows are shuffled, then the rows within each POOL of
            them; rows that fit in one such pool are shuffled as a whole.
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
