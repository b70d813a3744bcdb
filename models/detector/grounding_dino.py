"""GroundingDINO through transformers, from a folder or the hub.

Shapes: as in grounding.py.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from models.detector.detector import Person
from models.detector.grounding import PROMPT, detect
from models.device import device
from models.face import Image
from models.weights import checkpoint
from models.weights.checkpoint import CheckpointConfig, Origin

if TYPE_CHECKING:
    from torch import Tensor

UNUSED = ("swin.layernorm.weight", "swin.layernorm.bias")  # a norm that no layer reads; no checkpoint has it


class GroundingDinoConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """GroundingDINO of transformers; the paper's detector."""

    origin: ClassVar[Origin] = Origin(
        name="GroundingDINO",
        licence="Apache-2.0",
        fetch="the folder IDEA-Research/grounding-dino-base (or -tiny) from the Hugging Face hub",
        setting="detector.source",
    )

    kind: Literal["grounding_dino"] = "grounding_dino"
    source: str = Field("IDEA-Research/grounding-dino-base", description="checkpoint: a file, a folder or a hub id")
    threshold: float = Field(0.35, ge=0, lt=1, description="smallest confidence of a box; the authors' demo uses 0.35")
    overlap: float = Field(
        0.8, gt=0, le=1, description="intersection over union above which the less confident of two boxes is dropped"
    )
    batch: int = Field(4, ge=1, description="pictures per batch")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="number format of weights and arithmetic"
    )


def network(config: GroundingDinoConfig) -> Any:
    """The network of a checkpoint; raises CheckpointError if it is missing or of another kind."""
    import torch
    from transformers import GroundingDinoForObjectDetection

    return checkpoint.pretrained(
        config.origin,
        GroundingDinoForObjectDetection,
        config.source,
        config.hub_revision,
        may_miss=UNUSED,
        dtype=getattr(torch, config.dtype),
    )


class GroundingDino:
    """GroundingDinoForObjectDetection, on the GPU if there is one."""

    name = "grounding_dino"

    def __init__(self, config: GroundingDinoConfig) -> None:
        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self.device = device()
        self.model = network(config).to(self.device)
        words = checkpoint.tokenizer(config.origin, config.source, config.hub_revision)
        self._words = words([PROMPT], return_tensors="pt").to(self.device)

    def detect(self, images: Sequence[Image]) -> list[list[Person]]:
        """The people of each picture: at most five, the most confident first."""
        config = self.config
        return detect(self.look, images, config.batch, config.threshold, config.overlap)

    def look(self, pixels_B3hw: "Tensor") -> "tuple[Tensor, Tensor]":
        """(logits_BQT, boxes_BQ4); logits of positions without a token are -inf."""
        batch = len(pixels_B3hw)
        words = {name: ids.expand(batch, -1) for name, ids in self._words.items()}
        found = self.model(pixel_values=pixels_B3hw.to(self.device, self.model.dtype), **words)
        return found.logits, found.pred_boxes
