"""The first layers of SmolLM2-135M-Instruct, from a Python package: the backbone of the recipe `laptop`."""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from models.autoregressive.script_tokens import IDENTIFIERS
from models.backbone.backbone import Backbone, keep_identifiers, load_pretrained
from models.weights.packaged import MODELS, packaged


class SmolLM2Backbone(BaseModel, frozen=True, extra="forbid"):
    """Each of its 30 layers is 576 wide and has 3.5 M weights; few are enough for one film, and make steps cheap."""

    kind: Literal["smollm2"] = "smollm2"
    layers: int = Field(2, ge=1, le=30, description="number of first layers to keep, of 30")

    revision: ClassVar[str] = MODELS["smollm2"].revision


def load(config: SmolLM2Backbone) -> Backbone:
    """The packaged checkpoint; raises PackagedModelError if it is not installed."""
    model, tokenizer = load_pretrained(packaged("smollm2"), config.layers)
    return Backbone(
        model=model,
        identifiers=keep_identifiers(model, tokenizer, IDENTIFIERS),
        name="SmolLM2-135M-Instruct",
        revision=config.revision,
        licence=MODELS["smollm2"].licence,
    )
