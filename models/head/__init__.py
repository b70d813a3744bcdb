"""Heads: from the backbone's output to what is known of the next keyframe token (section 3.4, Table 4).

Adding one = one file with the module, its prediction and its config, and one line in the union and in `build`.
"""

from typing import Annotated

from pydantic import Field

from models.head.flow import FlowConfig, FlowHead
from models.head.head import Head, Prediction
from models.head.mixture import GmmConfig, MixtureHead
from models.head.regression import RegressionConfig, RegressionHead

HeadConfig = Annotated[GmmConfig | RegressionConfig | FlowConfig, Field(discriminator="kind")]


def build(config: HeadConfig, hidden: int, width: int, recalled: int = 0) -> Head:
    """The head of that config for outputs of width `hidden` and tokens of width `width`.

    Args:
        recalled: number of recalled means that it is given too; 0 or `recalls(config)`.
    """
    match config:
        case GmmConfig():
            return MixtureHead(hidden, config.components, width, config.sigma_floor)
        case RegressionConfig():
            return RegressionHead(hidden, width)
        case FlowConfig():
            return FlowHead(config, hidden, width, recalled)


def recalls(config: HeadConfig) -> int:
    """Number K of recalled means that such a head can read."""
    match config:
        case GmmConfig():
            return config.components  # each component has its own
        case FlowConfig():
            return 4
        case RegressionConfig():
            return 0


__all__ = ["FlowConfig", "GmmConfig", "Head", "HeadConfig", "Prediction", "RegressionConfig", "build", "recalls"]
