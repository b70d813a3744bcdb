"""Heads: from the backbone's output to what is known of the next keyframe token (section 3.4, Table 4).

Adding one = one file with the module and its prediction, its config here, and one line in the union and in `build`.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, Field
from torch import Tensor, nn


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
        """A token from noise that the caller drew, shape (N, D); see `models.generate.GenerationConfig`."""
        ...

    def guided(self, other: Self, strength: float) -> Self:
        """Moved away from `other` (1: not at all)."""
        ...

    def halves(self) -> tuple[Self, Self]:
        """Of the first and of the second half of the tokens."""
        ...


class Head(nn.Module, ABC):
    """A module that makes predictions from outputs of the backbone, in any leading shape."""

    @abstractmethod
    def initialise(self) -> None:
        """Fresh weights."""

    @abstractmethod
    def forward(self, hidden_NH: Tensor) -> Prediction: ...


class GmmConfig(BaseModel, frozen=True, extra="forbid"):
    """The paper's k-mixture of Gaussians; `sigma_floor` in deviations of the token."""

    kind: Literal["gmm"] = "gmm"
    components: int = Field(default=4, ge=1)
    sigma_floor: float = Field(default=0.3, ge=0)


class RegressionConfig(BaseModel, frozen=True, extra="forbid"):
    """A point without a distribution: what l1 and l2 alone can teach (the paper's ablation)."""

    kind: Literal["regression"] = "regression"


class FlowConfig(BaseModel, frozen=True, extra="forbid"):
    """A small flow-matching network a token, sampled in `steps` of Euler's method."""

    kind: Literal["flow"] = "flow"
    width: int = Field(default=256, ge=1)
    steps: int = Field(default=16, ge=1)


HeadConfig = Annotated[GmmConfig | RegressionConfig | FlowConfig, Field(discriminator="kind")]


def build(config: GmmConfig | RegressionConfig | FlowConfig, hidden: int, width: int) -> Head:
    """The head of that config for outputs of width `hidden` and tokens of width `width`."""
    match config:
        case GmmConfig():
            from models.mixture import MixtureHead

            return MixtureHead(hidden, config.components, width, config.sigma_floor)
        case RegressionConfig():
            from models.head.regression import RegressionHead

            return RegressionHead(hidden, width)
        case FlowConfig():
            from models.head.flow import FlowHead

            return FlowHead(hidden, width, config.width, config.steps)
