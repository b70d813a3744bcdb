"""Tiny random checkpoints of the real classes, saved in the layout in which the hub has them."""

import json
from pathlib import Path
from typing import Any

import torch

SENTENCES = (
    "A man in a red coat stands in the street.",
    "The light is dim.",
    "她走进房间。",
    "Two people sit at a table!",
)
CHAT = (
    "{% for m in messages %}{{ m['role'] | capitalize }}: {% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<image_placeholder>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}\n\n{% endfor %}Assistant:"
)


def tokenizer(**named: str) -> Any:
    """A byte-level BPE as DeepSeek's and Qwen's, learnt from a few sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learnt.decoder = decoders.ByteLevel()
    special = ["<bos>", "<eos>", "<image_placeholder>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learnt.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=learnt, bos_token="<bos>", eos_token="<eos>", **named)


def deepseek_vl(folder: Path, hybrid: bool = False, old_tokenizer: bool = False, seed: int = 0) -> Path:
    """DeepSeek-VL with one layer a part; four tokens a picture. `old_tokenizer`: as saved before transformers 5."""
    import transformers as hf

    words = tokenizer(extra_special_tokens={"image_token": "<image_placeholder>"}, pad_token="<eos>")
    vision = {"image_size": 32, "patch_size": 16, "hidden_size": 16, "intermediate_size": 16}
    options: dict[str, Any] = {
        "text_config": {"model_type": "llama", "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 32}
        | {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2},
        "vision_config": {"model_type": "siglip_vision_model", "num_hidden_layers": 1, "num_attention_heads": 2}
        | vision,
        "image_token_id": words.convert_tokens_to_ids("<image_placeholder>"),
    }
    pictures: dict[str, Any] = {"size": {"height": 32, "width": 32}, "min_size": 4}
    torch.manual_seed(seed)
    if hybrid:
        options["high_res_vision_config"] = {
            "model_type": "sam_vision_model", "image_size": 64, "patch_size": 8, "window_size": 2,
            "hidden_size": 16, "output_channels": 16, "mlp_dim": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "global_attn_indexes": [0],
        }  # fmt: skip
        pictures["high_res_size"] = {"height": 64, "width": 64}
        model = hf.DeepseekVLHybridForConditionalGeneration(hf.DeepseekVLHybridConfig(**options))
        reader, processor = hf.DeepseekVLHybridImageProcessor(**pictures), hf.DeepseekVLHybridProcessor
    else:
        model = hf.DeepseekVLForConditionalGeneration(hf.DeepseekVLConfig(**options))
        reader, processor = hf.DeepseekVLImageProcessor(**pictures), hf.DeepseekVLProcessor
    model.save_pretrained(folder)
    processor(reader, words, chat_template=CHAT, num_image_tokens=4).save_pretrained(folder)
    if old_tokenizer:
        file = folder / "tokenizer_config.json"
        said = json.loads(file.read_text())
        for key in ("image_token", "extra_special_tokens", "model_specific_special_tokens"):
            said.pop(key, None)
        file.write_text(json.dumps(said))
    return folder


def llama(folder: Path, seed: int = 0) -> Path:
    """A causal language model of one layer with its tokenizer, and without a chat template."""
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words) + 7,  # padded, as large checkpoints are
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=4096, bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def sdxl(folder: Path, seed: int = 0, **changed: Any) -> Path:
    """SDXL base in small: unet/ and vae/ with the blocks, conditioning and scaling of the real ones."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (16, 32, 32),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 1, 2), "attention_head_dim": (2, 4, 4), "norm_num_groups": 8,
        "cross_attention_dim": 32, "use_linear_projection": True, "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 20 + 6 * 8,
    }  # fmt: skip
    UNet2DConditionModel(**sizes | changed).save_pretrained(folder / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4, sample_size=64,
        scaling_factor=0.13025, force_upcast=True,
    ).save_pretrained(folder / "vae")  # fmt: skip
    return folder


def svd(folder: Path, seed: int = 0) -> Path:
    """Stable Video Diffusion in small, with all parts of the real classes; 4 frames at once, 32x64 pixels or more."""
    from diffusers import (
        AutoencoderKLTemporalDecoder,
        EulerDiscreteScheduler,
        StableVideoDiffusionPipeline,
        UNetSpatioTemporalConditionModel,
    )
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=8, num_frames=4, in_channels=8, out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        cross_attention_dim=16, num_attention_heads=2, projection_class_embeddings_input_dim=24,
        addition_time_embed_dim=8,
    )  # fmt: skip
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4, layers_per_block=1
    )
    sizes = CLIPVisionConfig(
        hidden_size=16, projection_dim=16, num_hidden_layers=1, num_attention_heads=2, image_size=224, patch_size=56,
        intermediate_size=32,
    )  # fmt: skip
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", interpolation_type="linear", prediction_type="v_prediction",
        timestep_type="continuous", use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, steps_offset=1,
    )  # fmt: skip
    parts = vae, CLIPVisionModelWithProjection(sizes), unet, scheduler, CLIPImageProcessor(crop_size=224, size=224)
    StableVideoDiffusionPipeline(*parts).save_pretrained(folder)
    return folder


def wan(folder: Path, images: int = 0, seed: int = 0) -> Path:
    """Wan image-to-video in small, of real classes: without CLIP, or with it and positions for one or two images."""
    import transformers as hf
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        WanImageToVideoPipeline,
        WanTransformer3DModel,
    )

    torch.manual_seed(seed)
    words = tokenizer(pad_token="<eos>")
    text = hf.T5Config(vocab_size=len(words), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    sizes = hf.CLIPVisionConfig(
        hidden_size=8, projection_dim=8, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16,
        intermediate_size=16,
    )  # fmt: skip
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=36, out_channels=16,
        text_dim=16, freq_dim=16, ffn_dim=16, num_layers=1, rope_max_seq_len=32, image_dim=8 if images else None,
        pos_embed_seq_len=2 * 5 if images == 2 else None,
    )  # fmt: skip
    WanImageToVideoPipeline(
        tokenizer=words,
        text_encoder=hf.T5EncoderModel(text),
        vae=AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        image_processor=hf.CLIPImageProcessor(crop_size=32, size=32) if images else None,
        image_encoder=hf.CLIPVisionModel(sizes) if images else None,
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def clip_vision(folder: Path, seed: int = 0) -> Path:
    """CLIP's image tower with its projection, as openai/clip-vit-large-patch14 has it: 16 patches of 14 pixels."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    sizes = CLIPVisionConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14,
        projection_dim=16,
    )  # fmt: skip
    CLIPVisionModelWithProjection(sizes).save_pretrained(folder)
    return folder


def open_clip_vision(file: Path, seed: int = 0) -> Any:
    """A whole CLIP of open_clip as its state dict; returns the model."""
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    model = CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 56, "layers": 2, "width": 64, "patch_size": 14, "head_width": 64},
        text_cfg={"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1},
        quick_gelu=True,
    ).eval()
    torch.save(model.state_dict(), file)
    return model
