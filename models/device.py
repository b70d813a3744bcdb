"""Where a model runs: on the GPU that this process was given (Ray shows a worker its own alone), else on the CPU."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device() -> "torch.device":
    """The first GPU in sight, or the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
