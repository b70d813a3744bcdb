"""CSD (Somepalli et al. 2024): style vectors of a CLIP ViT-L/14 that was trained to distinguish styles.

Its checkpoint is CLIP's image tower without the projection, `backbone.*`, and two projections in its place.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from models.metrics.clip import PictureTower
from models.weights import checkpoint
from models.weights.checkpoint import CheckpointConfig, Origin
from models.weights.clip_layout import vision_tower

if TYPE_CHECKING:
    from torch import Tensor


class StyleConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """CSD ViT-L/14."""

    origin: ClassVar[Origin] = Origin(
        name="CSD ViT-L",
        licence="MIT",
        fetch="the checkpoint (csd_vit-l.pth) that github.com/learn2phoenix/CSD links to",
        setting="evaluate.metrics.style.source",
    )

    source: str = Field("csd_vit-l.pth", description="CSD's own checkpoint")


class StyleTower(PictureTower):
    """`embed` gives style vectors of unit length."""

    def __init__(self, config: StyleConfig) -> None:
        from transformers import CLIPVisionModelWithProjection

        state = as_clip(config, checkpoint.read(config.origin, config.source, inside="model_state_dict"))
        sizes, weights = vision_tower(config.origin, config.source, state, "quick_gelu")
        kind = CLIPVisionModelWithProjection
        super().__init__(checkpoint.assembled(config.origin, kind, config.source, sizes, weights))
        self.revision = config.revision


def as_clip(config: StyleConfig, state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The state dict under CLIP's names, with the style's projection as the projection."""
    if "last_layer_style" not in state:
        raise checkpoint.missing(config.origin, config.source, "'last_layer_style' is not in it")
    backbone = {key.replace("backbone.", "visual.", 1): state[key] for key in state if key.startswith("backbone.")}
    return backbone | {"visual.proj": state["last_layer_style"]}
