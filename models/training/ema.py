"""The exponential moving average (EMA) of a model's weights, and learning rate schedules."""

import copy
import math

import torch
from torch import nn

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.training import Schedule


class Averaged(nn.Module):
    """A model in training (`live`) and the EMA of its weights (`average`).

    The decay after n steps is at most (1 + n) / (10 + n), so that the first weights are soon forgotten. If the decay is
    0, the average is the model itself, without a second copy.
    """

    def __init__(self, model: DiffusionAutoencoder, decay: float) -> None:
        super().__init__()
        self.live = model
        if decay:
            self.average = copy.deepcopy(model).requires_grad_(False)
        else:
            self.__dict__["average"] = model  # not registered as a module, so that no weight is listed twice
        self.decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the average towards the live weights; called after each step of the optimizer, from 0 on."""
        if not self.decay:
            return
        share = 1 - min(self.decay, (2 + step) / (11 + step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.live.parameters()), share)


def learning_rate(schedule: Schedule, step: int, steps: int, falls_to: float = 0.05) -> float:
    """A factor in 0-1: ten steps of warm-up (or a tenth of few steps), then constant or decaying to `falls_to`."""
    rise = min(1.0, (step + 1) / max(1, min(10, steps // 10)))
    done = min(step / max(1, steps), 1.0)
    match schedule:
        case "constant":
            return rise
        case "linear":
            return rise * (1 - (1 - falls_to) * done)
        case "cosine":
            return rise * (falls_to + (1 - falls_to) * (1 + math.cos(math.pi * done)) / 2)
