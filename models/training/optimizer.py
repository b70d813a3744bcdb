"""AdamW, with its moments in 32 bits or in 8."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

Kind = Literal["adamw", "adamw8bit"]


class MissingLibraryError(ValueError):
    """A setting asks for a library that is not installed; the message names it."""


def build(
    kind: Kind, parameters: Iterable[nn.Parameter], betas: tuple[float, float], weight_decay: float
) -> torch.optim.Optimizer:
    """An AdamW over the parameters, whose learning rate is the caller's to set before each step.

    Raises:
        MissingLibraryError: for adamw8bit without torchao.
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
