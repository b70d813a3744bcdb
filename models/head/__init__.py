"""Heads, which predict the next keyframe token from the backbone's output (section 3.4, Table 4).

To add one, write a file with the module, its prediction and its config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.head.flow import FlowConfig, FlowHead
from models.head.head import Head, Prediction
from models.head.mixture import GmmConfig, MixtureHead
from models.head.regression import RegressionConfig, RegressionHead

HeadConfig = Annotated[GmmConfig | RegressionConfig | FlowConfig, Field(discriminator="kind")]


def build(config: HeadConfig, hidden: int, width: int, recalled: int = 0) -> Head:
    """The head of a config, for a backbone of width `hidden` and tokens of width `width`.

    Args:
        recalled: number of recalled means that the head also reads: 0 or `recalls(config)`.
    """
    match config:
        case GmmConfig():
            return MixtureHead(hidden, config.components, width, config.sigma_floor)
        case RegressionConfig():
            return RegressionHead(hidden, width)
        case FlowConfig():
            return FlowHead(config, hidden, width, recalled)


def recalls(config: HeadConfig) -> int:
    """Number K of recalled means that the head can read."""
    match config:
        case GmmConfig():
            return config.components  # each component has its own
        case FlowConfig():
            return 4
        case RegressionConfig():
            return 0


__all__ = ["FlowConfig", "GmmConfig", "Head", "HeadConfig", "Prediction", "RegressionConfig", "build", "recalls"]
