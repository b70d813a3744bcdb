"""What every head is, and what it says of a token."""

from abc import ABC, abstractmethod
from typing import Protocol, Self

from torch import Tensor, nn

Recalled = tuple[Tensor, Tensor]
"""(means_NKD, logits_NK) that models.autoregressive.recall brings from earlier keyframes."""


class Prediction(Protocol):
    """What a head says of N tokens of width D, in any leading shape."""

    @property
    def mean(self) -> Tensor:
        """e_pred of the l1 and l2 losses (eq. 4), shape (N, D)."""
        ...

    def cost(self, tokens_ND: Tensor) -> Tensor:
        """What training minimises beside l1 and l2, a dimension, shape (N,)."""
        ...

    def nll_per_dimension(self, tokens_ND: Tensor) -> Tensor:
        """-log p(token) / D in nats, shape (N,) (eq. 9)."""
        ...

    def affine(self, shift: Tensor, scale: Tensor) -> Self:
        """The same of `token * scale + shift`; both broadcast against (N, D)."""
        ...

    def draw(self, uniform_N: Tensor, normal_ND: Tensor, temperature: float, weight_temperature: float) -> Tensor:
        """A token from noise that the caller drew, shape (N, D); see
        `models.autoregressive.generate.GenerationConfig`."""
        ...

    def guided(self, other: Self, strength: float) -> Self:
        """Moved away from `other` (1: not at all)."""
        ...

    def halves(self) -> tuple[Self, Self]:
        """Of the first and of the second half of the tokens."""
        ...


class Head(nn.Module, ABC):
    """A module that makes predictions from outputs of the backbone, in any leading shape, and from what is recalled."""

    @abstractmethod
    def initialise(self) -> None:
        """Fresh weights."""

    @abstractmethod
    def forward(self, hidden_NH: Tensor, recalled: Recalled | None = None) -> Prediction: ...
