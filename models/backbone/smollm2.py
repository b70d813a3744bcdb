"""SmolLM2-135M-Instruct's first layers, from the weights that ship inside a Python package: the laptop's backbone."""

from typing import Literal

from pydantic import BaseModel, Field

from models.autoregressive.script_tokens import IDENTIFIERS
from models.backbone.backbone import Backbone, keep_identifiers, load_pretrained
from models.packaged import MODELS, packaged


class SmolLM2Backbone(BaseModel, frozen=True, extra="forbid"):
    """Each of its 30 layers has 3.5 M weights, 576 wide; few are enough for one film and leave time for steps."""

    kind: Literal["smollm2"] = "smollm2"
    layers: int = Field(2, ge=1, le=30, description="layers that are kept, of 30")

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["smollm2"].revision


def load(config: SmolLM2Backbone) -> Backbone:
    """The packaged checkpoint; raises PackagedModelError when it is not installed."""
    model, tokenizer = load_pretrained(packaged("smollm2"), config.layers)
    return Backbone(
        model=model,
        identifiers=keep_identifiers(model, tokenizer, IDENTIFIERS),
        name="SmolLM2-135M-Instruct",
        revision=config.revision,
        licence=MODELS["smollm2"].licence,
    )
