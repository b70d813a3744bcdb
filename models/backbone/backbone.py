"""The result of every backbone: a transformers LlamaModel, and the rows of the identifiers in its embedding."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.weights import shapes


@dataclass(frozen=True)
class Backbone:
    """`model` is a transformers LlamaModel without its logit layer; `identifiers` maps each identifier of the script
    to rows of `model.embed_tokens`, which has only those rows (a script uses no other words)."""

    model: Any
    identifiers: Mapping[str, tuple[int, ...]]
    name: str
    revision: str
    licence: str


def load_pretrained(source: str | Path, layers: int | None, revision: str | None = None) -> tuple[Any, Any]:
    """(LlamaModel, tokenizer) from a local folder or a hub id: the first `layers` layers, or all of them.

    Inside `shapes.only` the model has no weights, and the folder need not exist.
    """
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaModel
    from transformers.utils import logging

    published = shapes.known(str(source))
    config = shapes.config(LlamaModel, source) if published else AutoConfig.from_pretrained(source, revision=revision)
    if config.model_type != "llama":
        raise ValueError(f"{str(source)!r} holds a {config.model_type!r} model: the backbone must be of type 'llama'")
    if layers is not None:
        if not 1 <= layers <= config.num_hidden_layers:
            raise ValueError(f"{str(source)!r} has {config.num_hidden_layers} layers, cannot take the first {layers}")
        config.num_hidden_layers = layers
    config.use_cache = False
    if shapes.wanted():
        tokenizer = shapes.Words() if published else AutoTokenizer.from_pretrained(source, revision=revision)
        return LlamaModel._from_config(config, attn_implementation="sdpa", dtype=torch.float32), tokenizer
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # the logit layer and the later layers are dropped on purpose
    try:
        model = LlamaModel.from_pretrained(
            source, config=config, revision=revision, dtype=torch.float32, attn_implementation="sdpa"
        )
    finally:
        logging.set_verbosity(verbosity)
    return model, AutoTokenizer.from_pretrained(source, revision=revision)


def keep_identifiers(model: Any, tokenizer: Any, identifiers: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Reduces the model's embedding to the rows of the identifiers, and returns each identifier's new rows."""
    ids = {text: tokenizer(text, add_special_tokens=False).input_ids for text in identifiers}
    used = sorted({token for tokens in ids.values() for token in tokens})
    weight = model.embed_tokens.weight.data[used].clone()
    model.resize_token_embeddings(len(used), mean_resizing=False)
    model.embed_tokens.weight.data.copy_(weight)
    model.embed_tokens.padding_idx = None
    model.config.pad_token_id = model.config.bos_token_id = model.config.eos_token_id = None
    return {text: tuple(used.index(token) for token in tokens) for text, tokens in ids.items()}
