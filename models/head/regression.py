"""A point instead of a distribution (Table 4, "L1-L2").

Shapes: N tokens, D token width, H hidden width.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from models.head.head import Head, Recalled
from models.head.mixture import Mixture


class Point(Mixture):
    """One Gaussian with the standard deviation of the tokens, so that it has a likelihood; its samples are its mean."""

    def draw(
        self, uniform_N: Tensor, normal_ND: Tensor, temperature: float = 1.0, weight_temperature: float = 1.0
    ) -> Tensor:
        return self.means[..., 0, :]


class RegressionConfig(BaseModel, frozen=True, extra="forbid"):
    """A point instead of a distribution, trained with l1 and l2 alone (the paper's ablation)."""

    kind: Literal["regression"] = "regression"


class RegressionHead(Head):
    """A linear layer of d outputs."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, width)

    def initialise(self) -> None:
        """Small weights: the first predictions are near the mean token."""
        nn.init.normal_(self.linear.weight, std=0.1 / self.linear.in_features**0.5)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden_NH: Tensor, recalled: Recalled | None = None) -> Point:
        means_N1D = self.linear(hidden_NH).unsqueeze(-2)
        return Point(torch.zeros_like(means_N1D[..., 0]), means_N1D, torch.ones_like(means_N1D))
