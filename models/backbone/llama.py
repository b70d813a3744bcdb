"""Any LLaMA-type checkpoint of a local folder or the hub; the paper's is LLaMA-2-7B."""

from typing import Literal

from pydantic import BaseModel, Field

from models.backbone.backbone import Backbone, keep_identifiers, load_pretrained
from models.script_tokens import IDENTIFIERS


class LlamaBackbone(BaseModel, frozen=True, extra="forbid"):
    """`source` is a folder written by save_pretrained or a hub id such as meta-llama/Llama-2-7b-hf."""

    kind: Literal["llama"] = "llama"
    source: str
    revision: str | None = None
    licence: str = "see the checkpoint"
    layers: int | None = Field(default=None, ge=1)


def load(config: LlamaBackbone) -> Backbone:
    model, tokenizer = load_pretrained(config.source, config.layers, config.revision)
    return Backbone(
        model=model,
        identifiers=keep_identifiers(model, tokenizer, IDENTIFIERS),
        name=config.source.rstrip("/").rsplit("/", 1)[-1],
        revision=config.revision or "main",
        licence=config.licence,
    )
