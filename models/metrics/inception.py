"""FID's Inception: torchvision's network with pytorch-fid's blocks; gives features of its layers, and logits.

Shapes: N pictures, C numbers of a layer.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.device import device
from models.weights import checkpoint
from models.weights.checkpoint import CheckpointConfig, Origin

if TYPE_CHECKING:
    from torchvision.models.inception import Inception3

Image = NDArray[np.uint8]
Layer = Literal["64", "192", "768", "2048", "logits_unbiased"]

_NODES: dict[Layer, str] = {
    "64": "maxpool1",
    "192": "maxpool2",
    "768": "Mixed_6e",
    "2048": "avgpool",
    "logits_unbiased": "fc",
}


class InceptionConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """The Inception v3 of 2015 that defines FID and the Inception Score; torchvision's weights are others."""

    origin: ClassVar[Origin] = Origin(
        name="FID's Inception v3",
        licence="Apache-2.0",
        fetch="pt_inception-2015-12-05-6726825d.pth from the releases of github.com/mseitzer/pytorch-fid",
        setting="evaluate.metrics.inception.source",
    )

    source: str = Field("pt_inception-2015-12-05-6726825d.pth", description="the .pth file that pytorch-fid publishes")
    batch: int = Field(16, ge=1, description="pictures per batch")


class Inception:
    """Runs FID's Inception on pictures, resized and scaled as in pytorch-fid.

    For speed on CPUs, batch norms are part of the convolutions and channels come last.
    """

    def __init__(self, config: InceptionConfig, layers: Sequence[Layer] = tuple(_NODES)) -> None:
        import torch
        from torch.nn.utils.fusion import fuse_conv_bn_eval
        from torchvision.models.feature_extraction import create_feature_extractor
        from torchvision.models.inception import BasicConv2d

        self.config, self.layers = config, tuple(layers)
        self.revision = config.revision
        self.device = device()
        network = graph()
        try:
            network.load_state_dict(checkpoint.read(config.origin, config.source))
        except RuntimeError as error:
            why = f"it is another network ({str(error).splitlines()[-1].strip()})"
            raise checkpoint.missing(config.origin, config.source, why) from error
        network.requires_grad_(False).eval().fc.bias.zero_()
        for block in network.modules():
            if isinstance(block, BasicConv2d):
                block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), torch.nn.Identity()
        nodes = {_NODES[layer]: layer for layer in self.layers}
        self._network = create_feature_extractor(network, nodes).to(self.device, memory_format=torch.channels_last)

    def embed(self, images: Sequence[Image]) -> dict[str, NDArray[np.float32]]:
        """RGB [H, W, 3], of any sizes -> layer -> [N, C], the mean over the positions of a layer."""
        import torch
        from torch.nn.functional import interpolate

        made: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in self.layers}
        for batch in alike(images, self.config.batch):
            pixels_N3HW = torch.from_numpy(np.stack(batch)).to(self.device).permute(0, 3, 1, 2) / 255
            square_N3SS = interpolate(pixels_N3HW, size=(299, 299), mode="bilinear", align_corners=False)
            with torch.inference_mode():
                for layer, found in self._network(2 * square_N3SS - 1).items():
                    rows_NC = found.mean((2, 3)) if found.ndim == 4 else found
                    made[layer].append(rows_NC.cpu().numpy())
        return {
            layer: np.concatenate(parts) if parts else np.zeros((0, 0), np.float32) for layer, parts in made.items()
        }


def graph() -> "Inception3":
    """FID's Inception without weights: 1008 classes, and pooling that excludes the padding."""
    from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
    from torchvision.models import inception

    last_blocks = {1280: FIDInceptionE_1, 2048: FIDInceptionE_2}
    return inception.Inception3(
        num_classes=1008,
        aux_logits=False,
        init_weights=False,
        inception_blocks=[
            inception.BasicConv2d,
            FIDInceptionA,
            inception.InceptionB,
            FIDInceptionC,
            inception.InceptionD,
            lambda channels: last_blocks[channels](channels),
            inception.InceptionAux,
        ],
    )


def alike(images: Sequence[Image], most: int) -> list[list[Image]]:
    """Batches of consecutive images of one size; a new batch also begins at every multiple of `most` images."""
    batches: list[list[Image]] = []
    for number, image in enumerate(images):
        if number % most == 0 or batches[-1][0].shape != image.shape:
            batches.append([])
        batches[-1].append(image)
    return batches
