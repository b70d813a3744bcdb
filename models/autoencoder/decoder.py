"""The diffusion decoder: SDXL's U-Net conditioned on keyframe tokens, descriptions and faces (sections 3.2, 3.3).

Shapes: B keyframes, L tokens, D token width, S sentences of width E, F faces of width G, K = L or L + S + F,
X cross-attention width, P pooled width, C latent channels, H x W latent grid.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder.coarse import CoarseConfig, CoarseHead
from models.autoencoder.unet import UNetBackend, UNetConfig, build_unet, widths


class DecoderConfig(BaseModel, frozen=True, extra="forbid"):
    """The U-Net, the coarse head, and the numbers of sentences and faces that the decoder reads."""

    unet: UNetBackend = Field(UNetConfig(), description="U-Net")
    coarse: CoarseConfig | None = Field(CoarseConfig(), description="coarse head; null: none, as in the paper")
    identity: bool = Field(False, description="read descriptions and faces (stage 3) in addition to the tokens")
    sentences: int = Field(15, ge=0, description="places S for sentences; the paper: 15")
    sentence_width: int = Field(384, gt=0, description="width E of a sentence's vector")
    faces: int = Field(5, ge=0, description="places F for faces; the paper: 5")
    face_width: int = Field(128, gt=0, description="width G of a face's embedding")
    image_size: tuple[int, int] = Field((512, 896), description="default height and width in pixels")


class Condition(NamedTuple):
    """Everything that conditions a keyframe's picture.

    sizes_B6 is SDXL's size conditioning in pixels: height and width of the original picture, top and left of the crop
    in the resized picture, height and width of the crop. None: whole pictures of `image_size`.
    """

    context_BKX: Tensor
    pooled_BP: Tensor
    coarse_BCHW: Tensor | None
    sizes_B6: Tensor | None = None


class DiffusionDecoder(nn.Module):
    """D of eq. 1, and of eq. 2 once `config.identity` is set.

    The context of the cross-attention is the tokens, then up to S projected sentences and F projected faces, padded
    with zeros. Instead of the pooled output of SDXL's text encoders, the U-Net gets a linear projection of the
    concatenated tokens (Appendix A). Tokens are projected if their width differs from the cross-attention's.

    Args:
        unet: replaces the U-Net that `config.unet` names.
    """

    sizes_6: Tensor

    def __init__(
        self, config: DecoderConfig, tokens: int, token_width: int, grid: tuple[int, int, int], unet: Any = None
    ) -> None:
        super().__init__()
        self.config, self.tokens, self.token_width, self.grid = config, tokens, token_width, grid
        self.unet = build_unet(config.unet, grid, config.coarse is not None) if unet is None else unet
        cross, pooled = widths(self.unet)
        self.pooled = nn.Linear(tokens * token_width, pooled)
        # No bias, so that a masked or padded token stays zero.
        self.widen = nn.Identity() if cross == token_width else nn.Linear(token_width, cross, bias=False)
        self.sentence_mlp = _mlp(config.sentence_width, token_width) if config.identity else None
        self.face_mlp = _mlp(config.face_width, token_width) if config.identity else None
        self.coarse = CoarseHead(config.coarse, tokens, token_width, grid, config.identity) if config.coarse else None
        height, width = config.image_size
        sizes = torch.tensor([height, width, 0, 0, height, width], dtype=torch.float32)
        self.register_buffer("sizes_6", sizes, persistent=False)

    @property
    def context_length(self) -> int:
        """K, the number of vectors that the cross-attention reads."""
        return self.tokens + (self.config.sentences + self.config.faces if self.config.identity else 0)

    def condition(
        self,
        tokens_BLD: Tensor,
        sentences_BSE: Tensor | None = None,
        faces_BFG: Tensor | None = None,
        keep_BK: Tensor | None = None,
        keep_B: Tensor | None = None,
        sizes_B6: Tensor | None = None,
    ) -> Condition:
        """The input of the U-Net. Rows of zeros in `sentences_BSE` and `faces_BFG` are padding (see `pad`).

        `keep_BK` (0 or 1) turns single vectors of the context into zero tokens (the paper's random masking);
        `keep_B` drops a keyframe's whole condition, which trains the unconditional model for guidance.
        """
        expected = (self.tokens, self.token_width)
        if tokens_BLD.ndim != 3 or tokens_BLD.shape[1:] != expected:
            raise ValueError(
                f"the decoder takes tokens [B, {expected[0]}, {expected[1]}], got {list(tokens_BLD.shape)}"
            )
        parts = [tokens_BLD]
        if self.sentence_mlp is not None and self.face_mlp is not None:
            config, batch = self.config, len(tokens_BLD)
            for given, mlp, places, width in (
                (sentences_BSE, self.sentence_mlp, config.sentences, config.sentence_width),
                (faces_BFG, self.face_mlp, config.faces, config.face_width),
            ):
                padded = tokens_BLD.new_zeros(batch, places, width) if given is None else given
                if padded.shape != (batch, places, width):
                    raise ValueError(
                        f"expected vectors [{batch}, {places}, {width}], got {list(padded.shape)}; "
                        f"`pad` brings lists of them to this length"
                    )
                real = (padded != 0).any(-1, keepdim=True).to(tokens_BLD.dtype)
                parts.append(mlp(padded) * real)
        elif sentences_BSE is not None or faces_BFG is not None:
            raise ValueError("this decoder reads tokens only (identity=False); train stage 3 to give it scripts")
        context_BKD = torch.cat(parts, dim=1)
        pooled_BP = self.pooled(rearrange(tokens_BLD, "b l d -> b (l d)"))
        if keep_BK is not None:
            context_BKD = context_BKD * keep_BK.unsqueeze(-1)
        coarse_BCHW = None if self.coarse is None else self.coarse(tokens_BLD, context_BKD[:, self.tokens :])
        condition = Condition(self.widen(context_BKD), pooled_BP, coarse_BCHW, sizes_B6)
        return condition if keep_B is None else drop(condition, keep_B)

    def forward(self, noisy_BCHW: Tensor, timesteps_B: Tensor, condition: Condition) -> Tensor:
        """The U-Net's prediction for noisy latents at timesteps in 0-1000, of the latents' shape."""
        if condition.coarse_BCHW is not None:
            noisy_BCHW = torch.cat([noisy_BCHW, condition.coarse_BCHW], dim=1)
        sizes_B6 = self.sizes_6.expand(len(noisy_BCHW), 6) if condition.sizes_B6 is None else condition.sizes_B6
        prediction_BCHW: Tensor = self.unet(
            noisy_BCHW,
            timesteps_B,
            encoder_hidden_states=condition.context_BKX,
            added_cond_kwargs={"text_embeds": condition.pooled_BP, "time_ids": sizes_B6},
        ).sample
        return prediction_BCHW


def drop(condition: Condition, keep_B: Tensor) -> Condition:
    """Replaces everything except the sizes by zeros where `keep_B` is 0."""
    context, pooled, coarse, sizes = condition
    return Condition(
        context * keep_B[:, None, None],
        pooled * keep_B[:, None],
        None if coarse is None else coarse * keep_B[:, None, None, None],
        sizes,
    )


def random_keep(shape: Sequence[int], masked: float, generator: torch.Generator) -> Tensor:
    """Ones, each replaced by zero with probability `masked`."""
    if not 0 <= masked <= 1:
        raise ValueError(f"a probability must be in 0-1, got {masked}")
    return (torch.rand(tuple(shape), generator=generator) >= masked).float()


def pad(vectors: Sequence[np.ndarray], length: int) -> Tensor:
    """Lists of [n, width] vectors, one list per keyframe, to one tensor [B, length, width] padded with zeros.

    An empty list must also have a width (shape [0, width]). More than `length` vectors are an error.
    """
    if not vectors:
        raise ValueError("nothing to pad: no keyframes were given")
    longest = max(len(of_frame) for of_frame in vectors)
    if longest > length:
        raise ValueError(f"a keyframe has {longest} vectors, more than the {length} places of the decoder")
    padded = np.zeros((len(vectors), length, vectors[0].shape[-1]), dtype=np.float32)
    for row, of_frame in zip(padded, vectors, strict=True):
        row[: len(of_frame)] = of_frame
    return torch.from_numpy(padded)


def _mlp(given: int, wanted: int) -> nn.Sequential:
    """Two layers with GELU between (Appendix A)."""
    return nn.Sequential(nn.Linear(given, wanted), nn.GELU(), nn.Linear(wanted, wanted))
