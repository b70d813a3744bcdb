"""FID's Inception, through torch-fidelity: features of its layers and logits.

Shapes: N pictures, C numbers of a layer.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models import checkpoint
from models.checkpoint import CheckpointConfig, Origin
from models.device import device

Image = NDArray[np.uint8]
Layer = Literal["64", "192", "768", "2048", "logits_unbiased", "logits"]


class InceptionConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """The Inception v3 of 2015 that FID and the Inception Score are defined with; torchvision's is another network."""

    origin: ClassVar[Origin] = Origin(
        name="FID's Inception v3",
        licence="Apache-2.0",
        fetch="weights-inception-2015-12-05-6726825d.pth from the releases of github.com/toshas/torch-fidelity",
        setting="inception.source",
    )

    source: str = Field(
        "weights-inception-2015-12-05-6726825d.pth", description="the .pth file that torch-fidelity publishes"
    )
    batch: int = Field(16, ge=1, description="pictures that run together")


class Inception:
    """Pictures through FID's Inception."""

    def __init__(self, config: InceptionConfig, layers: Sequence[Layer] = ("2048", "logits_unbiased")) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.config, self.layers = config, tuple(layers)
        self.revision = config.revision
        self.device = device()
        checkpoint.read(config.origin, config.source)  # the library opens pickles that hold more than tensors
        try:
            network = FeatureExtractorInceptionV3("fid", list(layers), str(checkpoint.find(config.source)))
        except RuntimeError as error:
            why = f"it is another network ({str(error).splitlines()[-1].strip()})"
            raise checkpoint.missing(config.origin, config.source, why) from error
        self._network = network.to(self.device)

    def embed(self, images: Sequence[Image]) -> dict[str, NDArray[np.float32]]:
        """RGB [H, W, 3], of any sizes -> layer -> [N, C]."""
        import torch

        made: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in self.layers}
        for batch in _alike(images, self.config.batch):
            pixels_N3HW = torch.from_numpy(np.stack(batch).transpose(0, 3, 1, 2).copy()).to(self.device)
            with torch.inference_mode():
                for layer, rows_NC in zip(self.layers, self._network(pixels_N3HW), strict=True):
                    made[layer].append(rows_NC.cpu().numpy())
        return {
            layer: np.concatenate(parts) if parts else np.zeros((0, 0), np.float32) for layer, parts in made.items()
        }


def _alike(images: Sequence[Image], most: int) -> list[list[Image]]:
    """Runs of images of one size, in order."""
    batches: list[list[Image]] = []
    for image in images:
        if not batches or len(batches[-1]) == most or batches[-1][0].shape != image.shape:
            batches.append([])
        batches[-1].append(image)
    return batches
