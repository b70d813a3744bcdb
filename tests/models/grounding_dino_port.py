"""GroundingDINO's original checkpoint as a folder for transformers, to compare the two backends.

Tensors are renamed, and the joint projections of query, key and value split.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.detector.grounding_dino import UNUSED
from models.detector.groundingdino_py import GroundingDinoPyConfig, architecture, build_model
from models.weights import checkpoint
from models.weights.clip_layout import split_attention

if TYPE_CHECKING:
    from torch import Tensor

_SWIN = r"^backbone\.0\."
_NEW_SWIN = "model.backbone.conv_encoder.model."
_TEXT, _FUSION, _DEFORM = "text_enhancer_layer", "fusion_layer", "deformable_layer"
_RENAMES: tuple[tuple[str, str], ...] = (
    (_SWIN + r"patch_embed\.proj", _NEW_SWIN + "embeddings.patch_embeddings.projection"),
    (_SWIN + r"patch_embed\.norm", _NEW_SWIN + "embeddings.norm"),
    (_SWIN + r"(layers\.\d+\.blocks\.\d+)\.norm1", _NEW_SWIN + r"encoder.\1.layernorm_before"),
    (_SWIN + r"(layers\.\d+\.blocks\.\d+)\.norm2", _NEW_SWIN + r"encoder.\1.layernorm_after"),
    (_SWIN + r"(layers\.\d+\.blocks\.\d+)\.attn\.relative", _NEW_SWIN + r"encoder.\1.attention.self.relative"),
    (_SWIN + r"(layers\.\d+\.blocks\.\d+)\.attn\.proj", _NEW_SWIN + r"encoder.\1.attention.output.dense"),
    (_SWIN + r"(layers\.\d+\.blocks\.\d+)\.attn\.qkv", _NEW_SWIN + r"encoder.\1.attention.self.in_proj"),
    (_SWIN + r"(layers\.\d+\.blocks\.\d+)\.mlp\.fc1", _NEW_SWIN + r"encoder.\1.intermediate.dense"),
    (_SWIN + r"(layers\.\d+\.blocks\.\d+)\.mlp\.fc2", _NEW_SWIN + r"encoder.\1.output.dense"),
    (_SWIN + r"(layers\.\d+)\.downsample", _NEW_SWIN + r"encoder.\1.downsample"),
    (r"^transformer\.encoder\.text_layers\.(\d+)\.", rf"model.encoder.layers.\1.{_TEXT}."),
    (r"^transformer\.encoder\.fusion_layers\.(\d+)\.", rf"model.encoder.layers.\1.{_FUSION}."),
    (r"^transformer\.encoder\.layers\.(\d+)\.", rf"model.encoder.layers.\1.{_DEFORM}."),
    (rf"({_TEXT}|{_DEFORM})\.linear(\d)", r"\1.fc\2"),
    (rf"{_TEXT}\.norm1", f"{_TEXT}.layer_norm_before"),
    (rf"{_TEXT}\.norm2", f"{_TEXT}.layer_norm_after"),
    (rf"{_FUSION}\.gamma_v", f"{_FUSION}.vision_param"),
    (rf"{_FUSION}\.gamma_l", f"{_FUSION}.text_param"),
    (rf"{_FUSION}\.layer_norm_v", f"{_FUSION}.layer_norm_vision"),
    (rf"{_FUSION}\.layer_norm_l\.", f"{_FUSION}.layer_norm_text."),
    (rf"{_FUSION}\.attn\.(values_|out_)?v_proj", rf"{_FUSION}.attn.\1vision_proj"),
    (rf"{_FUSION}\.attn\.(values_|out_)?l_proj", rf"{_FUSION}.attn.\1text_proj"),
    (rf"{_DEFORM}\.norm1", f"{_DEFORM}.self_attn_layer_norm"),
    (rf"{_DEFORM}\.norm2", f"{_DEFORM}.final_layer_norm"),
    (r"^transformer\.decoder\.norm\.", "model.decoder.layer_norm."),
    (r"^transformer\.decoder\.ref_point_head", "model.decoder.reference_points_head"),
    (r"^transformer\.decoder\.(layers\.\d+)\.cross_attn", r"model.decoder.\1.encoder_attn"),
    (r"^transformer\.decoder\.(layers\.\d+)\.ca_text", r"model.decoder.\1.encoder_attn_text"),
    (r"^transformer\.decoder\.(layers\.\d+)\.catext_norm", r"model.decoder.\1.encoder_attn_text_layer_norm"),
    (r"^transformer\.decoder\.(layers\.\d+)\.norm1", r"model.decoder.\1.encoder_attn_layer_norm"),
    (r"^transformer\.decoder\.(layers\.\d+)\.norm2", r"model.decoder.\1.self_attn_layer_norm"),
    (r"^transformer\.decoder\.(layers\.\d+)\.norm3", r"model.decoder.\1.final_layer_norm"),
    (r"^transformer\.decoder\.(layers\.\d+)\.linear(\d)", r"model.decoder.\1.fc\2"),
    (r"^transformer\.decoder\.", "model.decoder."),
    (r"^transformer\.tgt_embed", "model.query_position_embeddings"),
    (r"^transformer\.enc_out_bbox_embed", "model.encoder_output_bbox_embed"),
    (r"^transformer\.", "model."),
    (r"^bert\.", "model.text_backbone."),
    (r"^feat_map", "model.text_projection"),
    (r"^input_proj", "model.input_proj_vision"),
)
_NORMS = re.compile(_SWIN + r"norm(\d)\.(.+)$")  # of the maps that leave the backbone, counted from 0
_LEFT_OUT = re.compile(r"relative_position_index|attn_mask|^bert\.pooler|position_ids|^label_enc")


def renamed(weights: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The tensors under transformers' names, without those that transformers computes or doesn't use."""
    made: dict[str, Tensor] = {}
    for old, tensor in weights.items():
        if _LEFT_OUT.search(old):
            continue
        if norm := _NORMS.match(old):
            made[f"{_NEW_SWIN}hidden_states_norms.stage{int(norm[1]) + 1}.{norm[2]}"] = tensor
            continue
        new = old
        for pattern, replacement in _RENAMES:
            new = re.sub(pattern, replacement, new)
        if "in_proj" in new and "input_proj" not in new:
            made |= split_attention(new.split("in_proj")[0], tensor, ("query", "key", "value"))
        else:
            made[new] = tensor
    return made


def convert(config: GroundingDinoPyConfig, folder: Path) -> None:
    """Writes model, config and tokenizer of the original checkpoint of `config` to `folder`."""
    from transformers import AutoConfig, GroundingDinoConfig, GroundingDinoForObjectDetection

    settings, original = architecture(config.architecture), build_model(config)
    swin = original.backbone[0]
    ours = GroundingDinoConfig(
        backbone_config=AutoConfig.for_model(
            "swin",
            embed_dim=swin.embed_dim,
            depths=[len(layer.blocks) for layer in swin.layers],
            num_heads=[layer.blocks[0].attn.num_heads for layer in swin.layers],
            window_size=swin.layers[0].window_size,
            out_indices=[index + 1 for index in settings.return_interm_indices],
        ),
        text_config=original.bert.config,
        d_model=settings.hidden_dim,
        encoder_layers=settings.enc_layers,
        decoder_layers=settings.dec_layers,
        encoder_ffn_dim=settings.dim_feedforward,
        decoder_ffn_dim=settings.dim_feedforward,
        encoder_attention_heads=settings.nheads,
        decoder_attention_heads=settings.nheads,
        num_queries=settings.num_queries,
        num_feature_levels=settings.num_feature_levels,
        max_text_len=settings.max_text_len,
        positional_embedding_temperature=settings.pe_temperatureH,
        dropout=0.0,
        fusion_droppath=0.0,
    )
    weights = renamed(checkpoint.read(config.origin, config.source, inside="model"))
    model: Any = checkpoint.assembled(
        config.origin, GroundingDinoForObjectDetection, config.source, ours, weights, may_miss=UNUSED
    )
    model.save_pretrained(folder)
    original.tokenizer.save_pretrained(folder)
