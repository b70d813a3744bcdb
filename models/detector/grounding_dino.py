"""GroundingDINO through transformers, from a folder or the hub.

Shapes: as in grounding.py.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models import checkpoint
from models.detector import GroundingDinoConfig, Person
from models.detector.grounding import PROMPT, detect
from models.device import device
from models.face import Image

if TYPE_CHECKING:
    from torch import Tensor

UNUSED = ("swin.layernorm.weight", "swin.layernorm.bias")  # a norm that no layer reads; no checkpoint has it


class GroundingDino:
    """GroundingDinoForObjectDetection on the GPU where there is one."""

    name = "grounding_dino"

    def __init__(self, config: GroundingDinoConfig) -> None:
        import torch
        from transformers import GroundingDinoForObjectDetection

        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self.device = device()
        model = checkpoint.pretrained(
            config.origin,
            GroundingDinoForObjectDetection,
            config.source,
            config.hub_revision,
            may_miss=UNUSED,
            dtype=getattr(torch, config.dtype),
        )
        self.model = model.to(self.device)
        words = checkpoint.tokenizer(config.origin, config.source, config.hub_revision)
        self._words = words([PROMPT], return_tensors="pt").to(self.device)

    def detect(self, images: Sequence[Image]) -> list[list[Person]]:
        """The people of each picture: at most five, the surest first."""
        return detect(self.look, self.config, images)

    def look(self, pixels_B3hw: "Tensor") -> "tuple[Tensor, Tensor]":
        """(logits_BQT, boxes_BQ4); logits of places without a token are -inf."""
        batch = len(pixels_B3hw)
        words = {name: ids.expand(batch, -1) for name, ids in self._words.items()}
        found = self.model(pixel_values=pixels_B3hw.to(self.device, self.model.dtype), **words)
        return found.logits, found.pred_boxes
