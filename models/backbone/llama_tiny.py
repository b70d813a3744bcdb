"""A small LLaMA with random weights: the smoke recipe's backbone, and a baseline without language pretraining."""

from typing import Literal

from pydantic import BaseModel, Field

from models.autoregressive.script_tokens import IDENTIFIERS
from models.backbone.backbone import Backbone


class LlamaTinyBackbone(BaseModel, frozen=True, extra="forbid"):
    """The real class in any size; each identifier has one row of the embedding."""

    kind: Literal["llama_tiny"] = "llama_tiny"
    hidden: int = Field(64, ge=8, description="hidden width")
    layers: int = Field(2, ge=1, description="layers")
    heads: int = Field(2, ge=1, description="attention heads")
    seed: int = Field(0, description="seed of the weights")


def load(config: LlamaTinyBackbone) -> Backbone:
    """Random weights, drawn with `config.seed`; raises ValueError if the heads do not divide the width evenly."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    if config.hidden % (2 * config.heads):
        raise ValueError(f"hidden must be a multiple of 2 * heads, got {config.hidden} and {config.heads} heads")
    sizes = LlamaConfig(
        vocab_size=len(IDENTIFIERS),
        hidden_size=config.hidden,
        intermediate_size=3 * config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=8192,
        use_cache=False,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LlamaModel(sizes)
    rows = {text: (row,) for row, text in enumerate(IDENTIFIERS)}
    return Backbone(model, rows, name="llama_tiny", revision="random", licence="Apache-2.0")
