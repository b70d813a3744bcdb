"""Language backbones of the autoregressive model: LLaMA-type decoders that take embeddings and return hidden states.

To add one, write a file with a config and a `load` function, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.backbone import llama, llama_tiny, smollm2
from models.backbone.backbone import Backbone
from models.backbone.llama import LlamaBackbone
from models.backbone.llama_tiny import LlamaTinyBackbone
from models.backbone.smollm2 import SmolLM2Backbone

BackboneConfig = Annotated[SmolLM2Backbone | LlamaBackbone | LlamaTinyBackbone, Field(discriminator="kind")]


def build(config: BackboneConfig) -> Backbone:
    """Loads (or, for `llama_tiny`, draws) the backbone that `config` names."""
    match config:
        case SmolLM2Backbone():
            return smollm2.load(config)
        case LlamaBackbone():
            return llama.load(config)
        case LlamaTinyBackbone():
            return llama_tiny.load(config)


__all__ = ["Backbone", "BackboneConfig", "LlamaBackbone", "LlamaTinyBackbone", "SmolLM2Backbone", "build"]
