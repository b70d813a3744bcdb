"""Heads: from the backbone's output to what is known of the next keyframe token (section 3.4, Table 4).

Adding one = one file with the module and its prediction, its config here, and one line in the union and in `build`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from models.head.head import Head, Prediction


class GmmConfig(BaseModel, frozen=True, extra="forbid"):
    """The paper's k-mixture of Gaussians."""

    kind: Literal["gmm"] = "gmm"
    components: int = Field(4, ge=1, description="Gaussians of the mixture; the paper: k")
    sigma_floor: float = Field(0.3, ge=0, description="least sigma, in the token's standard deviations")


class RegressionConfig(BaseModel, frozen=True, extra="forbid"):
    """A point without a distribution: what l1 and l2 alone can teach (the paper's ablation)."""

    kind: Literal["regression"] = "regression"


class FlowConfig(BaseModel, frozen=True, extra="forbid"):
    """A small flow-matching network a token."""

    kind: Literal["flow"] = "flow"
    width: int = Field(256, ge=1, description="hidden width")
    steps: int = Field(16, ge=1, description="steps of Euler's method in sampling")


HeadConfig = Annotated[GmmConfig | RegressionConfig | FlowConfig, Field(discriminator="kind")]


def build(config: GmmConfig | RegressionConfig | FlowConfig, hidden: int, width: int) -> Head:
    """The head of that config for outputs of width `hidden` and tokens of width `width`."""
    match config:
        case GmmConfig():
            from models.head.mixture import MixtureHead

            return MixtureHead(hidden, config.components, width, config.sigma_floor)
        case RegressionConfig():
            from models.head.regression import RegressionHead

            return RegressionHead(hidden, width)
        case FlowConfig():
            from models.head.flow import FlowHead

            return FlowHead(hidden, width, config.width, config.steps)


__all__ = ["FlowConfig", "GmmConfig", "Head", "HeadConfig", "Prediction", "RegressionConfig", "build"]
