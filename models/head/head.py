"""The interfaces of heads and of their predictions."""

from abc import ABC, abstractmethod
from typing import Protocol, Self

from torch import Tensor, nn

Recalled = tuple[Tensor, Tensor]
"""(means_NKD, logits_NK) of earlier keyframes, see models.autoregressive.recall."""


class Prediction(Protocol):
    """Distributions of N tokens of width D; N stands for any leading dimensions."""

    @property
    def mean(self) -> Tensor:
        """Shape (N, D): e_pred of the l1 and l2 losses (eq. 4)."""
        ...

    def cost(self, tokens_ND: Tensor) -> Tensor:
        """Shape (N,): the loss that training minimises besides l1 and l2, per dimension."""
        ...

    def nll_per_dimension(self, tokens_ND: Tensor) -> Tensor:
        """Shape (N,): -log p(token) / D in nats (eq. 9)."""
        ...

    def affine(self, shift: Tensor, scale: Tensor) -> Self:
        """The distribution of `token * scale + shift`; both broadcast against (N, D)."""
        ...

    def draw(self, uniform_N: Tensor, normal_ND: Tensor, temperature: float, weight_temperature: float) -> Tensor:
        """Shape (N, D): samples made from the caller's noise; the temperatures are as in
        `models.autoregressive.generate.GenerationConfig`."""
        ...

    def guided(self, other: Self, strength: float) -> Self:
        """Guidance: moved away from `other`; a strength of 1 changes nothing."""
        ...

    def halves(self) -> tuple[Self, Self]:
        """The distributions of the first and of the second half of the tokens."""
        ...


class Head(nn.Module, ABC):
    """Predicts tokens from the backbone's output, with any leading dimensions, and from recalled means and logits."""

    @abstractmethod
    def initialise(self) -> None:
        """Initialises the weights."""

    @abstractmethod
    def forward(self, hidden_NH: Tensor, recalled: Recalled | None = None) -> Prediction: ...
