"""AdamW with moments in 32 or 8 bits."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from models.errors import ModelError

Kind = Literal["adamw", "adamw8bit"]


class MissingLibraryError(ModelError, ValueError):
    """A setting asks for a library that is not installed; the message names it."""


def build(
    kind: Kind, parameters: Iterable[nn.Parameter], betas: tuple[float, float], weight_decay: float
) -> torch.optim.Optimizer:
    """An AdamW over the parameters; the caller sets the learning rate before each step.

    Raises:
        MissingLibraryError: adamw8bit without torchao.
    """
    if kind == "adamw":
        return torch.optim.AdamW(parameters, betas=betas, weight_decay=weight_decay, fused=True)
    try:
        from torchao.optim import AdamW8bit  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingLibraryError(
            "fit.optimizer=adamw8bit needs torchao, which is not installed: pip install torchao, or set "
            "fit.optimizer=adamw"
        ) from error
    optimizer: torch.optim.Optimizer = AdamW8bit(parameters, betas=betas, weight_decay=weight_decay)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of the next step; torchao's optimizers have it in a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def step(optimizer: Any, sound: Tensor) -> None:
    """One step, which ignores all gradients if `sound`, a boolean on the parameters' device, is false.

    The decision is made on the device, so the host doesn't wait for it. Torch's fused optimizers skip the step, as for
    a GradScaler; others, which can't, do it with gradients of zero.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.found_inf = sound.logical_not().float()
    else:
        for parameter in [each for group in optimizer.param_groups for each in group["params"]]:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(sound.logical_not(), 0)
    optimizer.step()


def in_32_bits(value: Tensor) -> Tensor:
    """A moment of 8 bits as a plain tensor, full or this worker's shard; other tensors unchanged."""
    if isinstance(value, DTensor):
        local = value.to_local()
        plain, mesh, places = in_32_bits(local), value.device_mesh, value.placements
        if plain is local:
            return value
        return DTensor.from_local(plain, mesh, places, run_check=False, shape=value.shape, stride=value.stride())
    found: Tensor = value.dequantize() if hasattr(value, "codes") else value  # type: ignore[no-untyped-call]
    return found


def in_8_bits_again(optimizer: Any) -> None:
    """Converts plain moments, loaded into an optimizer with moments of 8 bits, to its own format; a few values between
    two codes change."""
    if not hasattr(optimizer, "_new_buffer"):
        return
    for parameter, state in optimizer.state.items():
        for name, signed in (("exp_avg", True), ("exp_avg_sq", False)):
            state[name] = optimizer._new_buffer(parameter, signed).copy_(state[name])
