"""Models of the paper's and of SmolLM2's shape with random weights, and scripts of the paper's length: 37 slots."""

import numpy as np
import torch
from transformers import LlamaConfig, LlamaModel

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.script_tokens import CHARACTER, IDENTIFIERS, PLOT, SCENE_ELEMENT, FrameScript
from models.backbone import Backbone
from models.head import GmmConfig

SLOTS = 37
SENTENCE, FACE, WIDTH = 768, 512, 128
SHAPES = {
    "smollm2": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
    | {"num_key_value_heads": 3},
    "llama2-7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    | {"num_key_value_heads": 32},
    "tiny": {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    | {"num_key_value_heads": 2},
}


def model(shape: str, device: str, **changes: object) -> AutoregressiveModel:
    """Random weights, drawn on the device; in bfloat16 on a GPU."""
    sizes = LlamaConfig(
        vocab_size=len(IDENTIFIERS),
        max_position_embeddings=8192,
        use_cache=False,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="sdpa",
        **SHAPES[shape],
    )
    settings = {"layout": "paper", "width": WIDTH, "sentence_width": SENTENCE, "face_width": FACE, "recall": False}
    config = AutoregressiveConfig(**settings | {"head": GmmConfig(components=16)} | changes)
    with torch.device(device):
        rows = {text: (row,) for row, text in enumerate(IDENTIFIERS)}
        net = AutoregressiveModel(config, Backbone(LlamaModel(sizes), rows, shape, "random", "Apache-2.0"))
        net.initialise()
    return net.in_bfloat16() if device == "cuda" else net


def scripts(count: int, seed: int = 0) -> list[FrameScript]:
    """Each takes 37 slots: fifteen sentences with their dashes, two faces, three headings, two marks."""
    random = np.random.default_rng(seed)
    kinds = np.array([CHARACTER] * 5 + [SCENE_ELEMENT] * 7 + [PLOT] * 3, np.int8)
    return [
        FrameScript(
            f"x-{t:06d}",
            random.standard_normal((15, SENTENCE)).astype(np.float32),
            kinds,
            random.standard_normal((2, FACE)).astype(np.float32),
        )
        for t in range(count)
    ]
