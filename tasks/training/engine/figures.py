"""The figures of a step, transferred without making the loop wait for the GPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.training.engine.dataloader import Share


@dataclass(frozen=True)
class Taken:
    """A step's figures during their transfer to the host, and the step's shares.

    `finite` is on the device and says whether all figures are finite; the step can use it before the host knows.
    """

    step: int
    names: tuple[str, ...]
    values: Tensor  # the last is the gradient's norm
    arrived: torch.cuda.Event | None
    shares: Sequence[Share]
    finite: Tensor  # a boolean

    def read(self) -> tuple[dict[str, float], float]:
        """Waits for the transfer; returns (figures, norm of the gradient)."""
        if self.arrived is not None:
            self.arrived.synchronize()
        *figures, norm = self.values.tolist()
        return dict(zip(self.names, figures, strict=True)), norm


class Figures:
    """Means over a step's batches on all workers."""

    def __init__(self, batches: int, world: int) -> None:
        self._batches, self._world = batches, world
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None

    def add(self, figures: Mapping[str, float | Tensor], weight: int) -> None:
        """Adds those of one batch; all batches of a step have the same names, and the first value is a tensor."""
        first = next(iter(figures.values()))
        assert isinstance(first, Tensor)
        parts = [torch.as_tensor(value, dtype=torch.float32, device=first.device) for value in figures.values()]
        values = torch.stack(parts) if weight else torch.zeros(len(parts), device=first.device)
        self._names = tuple(figures)
        self._sums = values if self._sums is None else self._sums + values

    def taken(self, step: int, norm: Tensor, shares: Sequence[Share]) -> Taken:
        """Averages them over the workers, and starts their transfer."""
        assert self._sums is not None
        if self._world > 1:
            torch.distributed.all_reduce(self._sums)
        values = torch.cat([self._sums / self._batches, norm.detach().float().reshape(1)])
        finite = values.isfinite().all()
        if not values.is_cuda:
            return Taken(step, self._names, values, None, shares, finite)
        host = torch.empty(values.shape, pin_memory=True).copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        return Taken(step, self._names, host, arrived, shares, finite)
