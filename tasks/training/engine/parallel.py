"""One interface to a model on several workers: a copy on each (DDP) or a shard on each (FSDP2).

DDP averages gradients over the workers in the last backward pass of a step, FSDP in each. A Trainable may call any
method of its model, so its functions run inside the forward pass of a wrapper module, which DDP and FSDP hook into.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_map_only

from models.training.blocks import blocks
from models.training.optimizer import in_32_bits

Sharding = Literal["ddp", "fsdp"]


class Parallel:
    """`parallel(function, *args)` is function(*args), which may use the model; `loss` also prepares the gradients."""

    def __init__(self, module: nn.Module, sharding: Sharding, world: int, device: torch.device) -> None:
        self.module, self.world = module, world
        self.sharded = sharding == "fsdp" and world > 1
        self._called = _Called(module)
        self._replica: DistributedDataParallel | None = None
        self._active: list[bool] = []
        if self.sharded:
            mesh = init_device_mesh(device.type, (world,))
            for block in blocks(module):
                fully_shard(block, mesh=mesh)
            fully_shard(self._called, mesh=mesh)
        else:
            module.to(device)

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._called(function, *args)

    def train_only(self, active: Sequence[nn.Parameter]) -> None:
        """Enables gradients only for these parameters, at least one."""
        chosen = {id(parameter) for parameter in active}
        wanted = [id(parameter) in chosen for parameter in self.module.parameters()]
        for parameter, trained in zip(self.module.parameters(), wanted, strict=True):
            parameter.requires_grad_(trained)
        if self.world > 1 and not self.sharded and wanted != self._active:
            self._replica = None  # its hooks go with it
            # a batch may not use some parameters, such as those for faces if it has none
            self._replica = DistributedDataParallel(
                self._called, broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
            )
        self._active = wanted

    def loss(self, function: Callable[..., Any], *args: Any, last: bool) -> Any:
        """function(*args), whose backward pass averages the gradients over workers if it is the step's last.

        Gradients of shards are averaged each time, because a worker has no memory for those of the whole model.
        """
        if self._replica is None:
            return self(function, *args)
        with nullcontext() if last else self._replica.no_sync():
            return self._replica(function, *args)


class _Called(nn.Module):
    """A module with the model, and with any function as its forward pass."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


def whole(value: Any) -> Any:
    """The full tensor of a sharded one; other values unchanged."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def on_host(state: Any, keep: bool) -> Any:
    """A copy of nested tensors in the host's memory, with full tensors for shards and 8-bit moments in 32 bits.

    With shards, all workers must call it; a worker that doesn't `keep` the copy gets None for each tensor.
    """

    def copied(tensor: Tensor) -> Tensor | None:
        together: Tensor = whole(in_32_bits(tensor.detach()))
        return together.to("cpu", copy=True) if keep else None

    return tree_map_only(Tensor, copied, state)


def mean_over_workers(figures: Mapping[str, float], world: int, device: torch.device) -> dict[str, float]:
    """The mean of the figures, the same on each worker even if their GPUs round differently."""
    if world == 1 or not figures:
        return dict(figures)
    values = torch.tensor(list(figures.values()), dtype=torch.float64, device=device)
    torch.distributed.all_reduce(values)
    return dict(zip(figures, (values / world).tolist(), strict=True))


def sharded_like(value: Tensor, parameter: Tensor) -> Tensor:
    """This worker's shard of a tensor of the parameter's shape, or the tensor if the parameter is not sharded."""
    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value
