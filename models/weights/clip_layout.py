"""Loads CLIP's original layout (of OpenAI, open_clip, FaRL and LongCLIP) into transformers' CLIP towers.

Sizes are read from the tensors; all of these models have attention heads of width 64.
"""

import json
from collections.abc import Mapping
from math import isqrt
from typing import TYPE_CHECKING, Any, Literal

from models.weights import shapes
from models.weights.checkpoint import CheckpointError, Origin, assembled, find, missing, pretrained, read

if TYPE_CHECKING:
    from torch import Tensor

HEAD = 64
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of RGB in 0-1
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

Activation = Literal["quick_gelu", "gelu"]
"""quick_gelu: trained by OpenAI or from its weights; gelu: most models of open_clip. The files don't say which."""

_BLOCK = {  # tensors of a residual attention block; in_proj is split into three
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def load_vision(origin: Origin, source: str, hub_revision: str, activation: Activation = "quick_gelu") -> Any:
    """A CLIPVisionModelWithProjection from a file in the original layout, or a folder or hub id of transformers."""
    from transformers import CLIPVisionModelWithProjection

    if not is_file(source) or shapes.wanted():
        return pretrained(origin, CLIPVisionModelWithProjection, source, hub_revision)
    config, weights = vision_tower(origin, source, read(origin, source, inside="state_dict"), activation)
    return assembled(origin, CLIPVisionModelWithProjection, source, config, weights)


def saved_width(origin: Origin, source: str, key: str, tensor: str, axis: int) -> int | None:
    """Width of a checkpoint's vectors, None if it isn't on this machine or can't be read.

    Args:
        key: the width's key in config.json, if `source` is a folder of transformers.
        tensor: name of a tensor, if `source` is a file in the original layout; `axis` of its shape is the width.
    """
    path = find(source)
    if path is None:
        return None
    try:
        if path.is_dir():
            return int(json.loads((path / "config.json").read_text(encoding="utf-8"))[key])
        return int(read(origin, source, inside="state_dict")[tensor].shape[axis])
    except (CheckpointError, KeyError, ValueError, TypeError, OSError):
        return None


def is_file(source: str) -> bool:
    """Whether `source` is the name of a weight file, which need not exist."""
    return source.endswith((".pth", ".pt", ".bin", ".safetensors"))


def vision_tower(
    origin: Origin, source: str, state: "Mapping[str, Tensor]", activation: Activation
) -> "tuple[Any, dict[str, Tensor]]":
    """(CLIPVisionConfig, weights under transformers' names) of the tensors visual.*; others are ignored."""
    from transformers import CLIPVisionConfig

    needed = ("visual.conv1.weight", "visual.positional_embedding", "visual.proj")
    _require(origin, source, state, needed)
    patches, positions, projection = (state[key] for key in needed)
    width, side = patches.shape[0], isqrt(positions.shape[0] - 1)
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=_inner(origin, source, state, "visual.transformer.resblocks"),
        num_hidden_layers=_layers(state, "visual.transformer.resblocks"),
        num_attention_heads=width // HEAD,
        image_size=side * patches.shape[-1],
        patch_size=patches.shape[-1],
        projection_dim=projection.shape[1],
        hidden_act=activation,
    )
    names = {
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # transformers' own spelling
        "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
        "visual.ln_post.weight": "vision_model.post_layernorm.weight",
        "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    }
    weights = {new: state[old] for old, new in names.items() if old in state}
    weights["visual_projection.weight"] = projection.T.contiguous()
    return config, weights | _blocks(state, "visual.transformer.resblocks.", "vision_model.encoder.layers.")


def text_tower(origin: Origin, source: str, state: "Mapping[str, Tensor]") -> "tuple[Any, dict[str, Tensor]]":
    """(CLIPTextConfig, weights under transformers' names) of the text tower; the image tower is ignored."""
    from transformers import CLIPTextConfig

    needed = ("token_embedding.weight", "positional_embedding", "text_projection", "ln_final.weight", "ln_final.bias")
    _require(origin, source, state, needed)
    tokens, positions, projection, scale, bias = (state[key] for key in needed)
    config = CLIPTextConfig(
        vocab_size=tokens.shape[0],
        hidden_size=tokens.shape[1],
        intermediate_size=_inner(origin, source, state, "transformer.resblocks"),
        num_hidden_layers=_layers(state, "transformer.resblocks"),
        num_attention_heads=tokens.shape[1] // HEAD,
        max_position_embeddings=positions.shape[0],
        projection_dim=projection.shape[1],
        hidden_act="quick_gelu",
        bos_token_id=tokens.shape[0] - 2,
        eos_token_id=tokens.shape[0] - 1,
    )
    weights = {
        "text_model.embeddings.token_embedding.weight": tokens,
        "text_model.embeddings.position_embedding.weight": positions,
        "text_model.final_layer_norm.weight": scale,
        "text_model.final_layer_norm.bias": bias,
        "text_projection.weight": projection.T.contiguous(),
    }
    return config, weights | _blocks(state, "transformer.resblocks.", "text_model.encoder.layers.")


def split_attention(key: str, tensor: "Tensor", parts: tuple[str, str, str]) -> "dict[str, Tensor]":
    """Splits in_proj_weight or in_proj_bias into query, key and value; `key` ends before `in_proj`."""
    tail = "weight" if tensor.ndim == 2 else "bias"
    thirds = tensor.chunk(3)
    return {f"{key}{part}.{tail}": third.contiguous() for part, third in zip(parts, thirds, strict=True)}


def _blocks(state: "Mapping[str, Tensor]", old: str, new: str) -> "dict[str, Tensor]":
    weights: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if not key.startswith(old):
            continue
        number, name = key.removeprefix(old).split(".", 1)
        if name.startswith("attn.in_proj_"):
            weights |= split_attention(f"{new}{number}.self_attn.", tensor, ("q_proj", "k_proj", "v_proj"))
        else:
            stem, tail = name.rsplit(".", 1)
            weights[f"{new}{number}.{_BLOCK.get(stem, stem)}.{tail}"] = tensor
    return weights


def _layers(state: "Mapping[str, Tensor]", stem: str) -> int:
    return len({key.removeprefix(f"{stem}.").split(".")[0] for key in state if key.startswith(f"{stem}.")})


def _inner(origin: Origin, source: str, state: "Mapping[str, Tensor]", stem: str) -> int:
    _require(origin, source, state, (f"{stem}.0.mlp.c_fc.weight",))
    return int(state[f"{stem}.0.mlp.c_fc.weight"].shape[0])


def _require(origin: Origin, source: str, state: "Mapping[str, Tensor]", keys: tuple[str, ...]) -> None:
    if lost := [key for key in keys if key not in state]:
        raise missing(origin, source, f"it is no CLIP state dict, {lost[0]!r} is not in it")
