"""LAION's aesthetic predictor: layers without activations over CLIP ViT-L/14's unit vectors.

Shapes: N pictures, E numbers of CLIP's joint space.
"""

import re
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.weights import checkpoint
from models.weights.checkpoint import CheckpointConfig, Origin

_LAYER = re.compile(r"(?:layers\.(\d+)\.)?weight")


class AestheticConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """The head that was trained on SAC, Logos and AVA1 with the mean squared error."""

    origin: ClassVar[Origin] = Origin(
        name="LAION's aesthetic head",
        licence="Apache-2.0",
        fetch="sac+logos+ava1-l14-linearMSE.pth from github.com/christophschuhmann/improved-aesthetic-predictor",
        setting="evaluate.metrics.aesthetic.source",
    )

    source: str = Field(
        "sac+logos+ava1-l14-linearMSE.pth",
        description="that file (layers.0 to layers.7), or LAION's first one of a single layer (weight and bias)",
    )


class AestheticHead:
    """Scores of about 1-10."""

    def __init__(self, config: AestheticConfig) -> None:
        state = checkpoint.read(config.origin, config.source)
        self.revision = config.revision
        numbers = {int(found[1] or 0): key for key in state if (found := _LAYER.fullmatch(key))}
        keys = [numbers[number].removesuffix("weight") for number in sorted(numbers)]
        lost = [f"{key}bias" for key in keys if f"{key}bias" not in state] if keys else ["layers.0.weight"]
        if lost:
            raise checkpoint.missing(config.origin, config.source, f"{lost[0]!r} is not in it")
        self._layers = [(state[f"{key}weight"].float(), state[f"{key}bias"].float()) for key in keys]

    def score(self, vectors_NE: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N] of CLIP ViT-L/14's vectors of unit length.

        Raises:
            ValueError: the vectors' width is not the head's.
        """
        import torch

        wanted = self._layers[0][0].shape[1]
        if vectors_NE.shape[1] != wanted:
            raise ValueError(f"vectors have {vectors_NE.shape[1]} numbers, the aesthetic head takes {wanted}")
        rows = torch.from_numpy(vectors_NE)
        for weight, bias in self._layers:
            rows = torch.nn.functional.linear(rows, weight, bias)
        scores_N: NDArray[np.float32] = rows[:, 0].numpy()
        return scores_N
