"""Tiny CLIP and CSD in their layouts; the other weights of metrics are missing."""

import torch
from open_clip.model import CLIP

from models.metrics.aesthetic import AestheticConfig
from models.metrics.clip import ClipMetricConfig
from models.metrics.inception import InceptionConfig
from models.metrics.networks import KeyframeMetricsConfig
from models.metrics.style import StyleConfig


def config(folder):
    torch.manual_seed(0)
    model = CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 28, "layers": 1, "width": 64, "patch_size": 14, "head_width": 64},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
        quick_gelu=True,
    )
    torch.save(model.state_dict(), folder / "clip.bin")
    state = {f"module.backbone.{name}": t for name, t in model.visual.state_dict().items() if name != "proj"}
    state |= {"module.last_layer_style": torch.randn(64, 16), "module.last_layer_content": torch.randn(64, 16)}
    torch.save({"model_state_dict": state}, folder / "csd_vit-l.pth")
    return KeyframeMetricsConfig(
        clip=ClipMetricConfig(source=str(folder / "clip.bin")),
        style=StyleConfig(source=str(folder / "csd_vit-l.pth")),
        aesthetic=AestheticConfig(source=str(folder / "nowhere.pth")),
        inception=InceptionConfig(source=str(folder / "nowhere.pth")),
    )
