"""Any LLaMA-type checkpoint from a local folder or the hub; the paper uses LLaMA-2-7B."""

from typing import ClassVar, Literal

from pydantic import Field

from models.autoregressive.script_tokens import IDENTIFIERS
from models.backbone.backbone import Backbone, keep_identifiers, load_pretrained
from models.weights.checkpoint import CheckpointConfig, Origin, place


class LlamaBackbone(CheckpointConfig, frozen=True, extra="forbid"):
    """A LLaMA of transformers, such as meta-llama/Llama-2-7b-hf."""

    origin: ClassVar[Origin] = Origin(
        name="the autoregressive model's LLaMA",
        licence="see the checkpoint",
        fetch="a LLaMA's folder from the Hugging Face hub (LLaMA-2's licence must be accepted there first)",
        setting="autoregressive.model.backbone.source",
    )

    kind: Literal["llama"] = "llama"
    licence: str = Field("see the checkpoint", description="licence of the weights, for cards and exports")
    layers: int | None = Field(None, ge=1, description="number of first layers to keep; null: all")


def load(config: LlamaBackbone) -> Backbone:
    """The checkpoint of `config`; raises CheckpointError if it is missing, ValueError if it is not a LLaMA."""
    where, pinned = place(config.origin, config.source, config.hub_revision)
    model, tokenizer = load_pretrained(where, config.layers, **pinned)
    return Backbone(
        model=model,
        identifiers=keep_identifiers(model, tokenizer, IDENTIFIERS),
        name=config.source.rstrip("/").rsplit("/", 1)[-1],
        revision=config.revision,
        licence=config.licence,
    )
