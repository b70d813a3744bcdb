"""CLIP's joint space of pictures and plots, with the preprocessing of its authors, for metrics.

models/vision/clip.py uses the same weights as an encoder of tensors on the GPU. Here pictures are resized by
transformers, so that scores equal those of the reference implementations.
Shapes: N pictures or plots, E numbers of the joint space.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.device import device
from models.vision import ClipConfig
from models.weights import checkpoint
from models.weights.checkpoint import Origin
from models.weights.clip_layout import is_file, load_vision, text_tower

Image = NDArray[np.uint8]
_LONGEST = 77  # tokens that CLIP reads


class ClipMetricConfig(ClipConfig, frozen=True, extra="forbid"):
    """CLIP ViT-L/14, for CLIP score, CLIP-sim, ST and the aesthetic score."""

    origin: ClassVar[Origin] = ClipConfig.origin._replace(setting="evaluate.metrics.clip.source")


class PictureTower:
    """A CLIP image tower over bytes."""

    def __init__(self, tower: Any, batch: int = 16) -> None:
        from transformers import CLIPImageProcessor

        side = tower.config.image_size
        self.device, self.batch = device(), batch
        self._tower = tower.to(self.device)
        self._processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """RGB [H, W, 3] -> vectors of unit length [N, E] of the centre squares."""
        import torch

        made = [np.zeros((0, self._tower.config.projection_dim), np.float32)]
        for start in range(0, len(images), self.batch):
            some = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images[start : start + self.batch]]
            with torch.inference_mode():
                pixels = self._processor(some, return_tensors="pt").to(self.device)
                vectors_NE = torch.nn.functional.normalize(self._tower(**pixels).image_embeds, dim=-1)
            made.append(vectors_NE.cpu().numpy())
        return np.concatenate(made)


class JointSpace(PictureTower):
    """Pictures and plots as vectors for cosine similarity."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__(load_vision(config.origin, config.source, config.hub_revision, config.activation))
        self.revision = config.revision
        self._text = _text(config).to(self.device)
        self._tokenizer = _tokenizer(config, self._text.config.max_position_embeddings)

    def read(self, plots: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length [N, E], zeros for an empty plot; plots are truncated to 77 tokens."""
        import torch

        made_NE = np.zeros((len(plots), self._text.config.projection_dim), np.float32)
        told = [number for number, plot in enumerate(plots) if plot]
        for start in range(0, len(told), self.batch):
            some = told[start : start + self.batch]
            with torch.inference_mode():
                tokens = self._tokenizer([plots[number] for number in some])
                vectors_NE = self._text(**{name: ids.to(self.device) for name, ids in tokens.items()}).text_embeds
                made_NE[some] = torch.nn.functional.normalize(vectors_NE, dim=-1).cpu().numpy()
        return made_NE


def _text(config: ClipConfig) -> Any:
    from transformers import CLIPTextModelWithProjection

    if not is_file(config.source):
        return checkpoint.pretrained(config.origin, CLIPTextModelWithProjection, config.source, config.hub_revision)
    state = checkpoint.read(config.origin, config.source, inside="state_dict")
    sizes, weights = text_tower(config.origin, config.source, state)
    sizes.hidden_act = config.activation
    return checkpoint.assembled(config.origin, CLIPTextModelWithProjection, config.source, sizes, weights)


def _tokenizer(config: ClipConfig, longest: int) -> Any:
    """A function from plots to the input of the text tower."""
    if is_file(config.source):
        from open_clip.tokenizer import SimpleTokenizer

        words = SimpleTokenizer(context_length=longest)
        return lambda plots: {"input_ids": words(list(plots))}
    known = checkpoint.tokenizer(config.origin, config.source, config.hub_revision)
    options = {"return_tensors": "pt", "padding": True, "truncation": True, "max_length": min(longest, _LONGEST)}
    return lambda plots: known(list(plots), **options)
