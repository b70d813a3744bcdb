"""The coarse head: tokens to a first, blurred map of latents, trained with a plain l2 loss.

The paper, which starts from SDXL, has no such head. If the decoder starts from scratch, a regression teaches the tokens
the rough picture in a few cheap steps, and gives the U-Net a map to refine.

Shapes: B keyframes, L tokens, D token width, S descriptions and faces, C channels, H x W grid.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder.compressor import Residual
from models.codec import Codec


class CoarseConfig(BaseModel, frozen=True, extra="forbid"):
    """The sizes of the coarse head."""

    hidden: int = Field(192, gt=0, description="width of the layer between tokens and the smallest grid")
    code: int | None = Field(
        None, gt=0, description="numbers that the tokens give per cell of the smallest grid, instead of `hidden`"
    )
    channels: tuple[int, ...] = Field((192, 128, 64), min_length=1, description="channels of each grid, smallest first")
    spread: float = Field(0.15, gt=0, description="std of latents around the map that the decoder initially assumes")


class ScriptReader(nn.Module):
    """Attention from each position of a grid to descriptions and faces; before training its output is zero.

    Rows of zeros are padding; an extra row of zeros means that there is nothing to read.
    """

    def __init__(self, channels: int, grid: tuple[int, int], width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.place_CHW = nn.Parameter(0.1 * torch.randn(channels, *grid))
        self.attention = nn.MultiheadAttention(
            channels, 4, kdim=width, vdim=width, add_zero_attn=True, batch_first=True
        )
        nn.init.zeros_(self.attention.out_proj.weight)

    def forward(self, hidden_BCHW: Tensor, script_BSD: Tensor) -> Tensor:
        asked_BNC = rearrange(self.norm(hidden_BCHW) + self.place_CHW, "b c h w -> b (h w) c")
        padding_BS = ~script_BSD.any(-1)
        read_BNC, _ = self.attention(asked_BNC, script_BSD, script_BSD, key_padding_mask=padding_BS, need_weights=False)
        out_BCHW: Tensor = hidden_BCHW + rearrange(read_BNC, "b (h w) c -> b c h w", h=hidden_BCHW.shape[2])
        return out_BCHW


class CoarseHead(nn.Module):
    """Linear layers to the smallest grid, then for each level a residual block and a doubling of the grid.

    With `code` the tokens give a few numbers per cell. Convolutions and one linear map turn them into the latents that
    the cell covers (`components`). With `reads` (stage 3) the head also attends to descriptions and faces, on all grids
    except the largest.
    """

    def __init__(
        self, config: CoarseConfig, tokens: int, token_width: int, grid: tuple[int, int, int], reads: bool = False
    ) -> None:
        super().__init__()
        channels, height, width = grid
        halvings = 2 ** (len(config.channels) - 1)
        if height % halvings or width % halvings:
            raise ValueError(
                f"a latent grid of {height}x{width} can't be halved {len(config.channels) - 1} times; "
                f"give coarse.channels fewer levels than {len(config.channels)}"
            )
        self.grid = (height // halvings, width // halvings)
        first = config.channels[0]
        cells = self.grid[0] * self.grid[1]
        self.components: nn.ConvTranspose2d | None = None
        self.inward: nn.Conv2d | None = None
        if config.code is None:
            self.spread: nn.Module = nn.Sequential(
                nn.Linear(tokens * token_width, config.hidden), nn.SiLU(), nn.Linear(config.hidden, first * cells)
            )
        else:
            self.spread = nn.Linear(tokens * token_width, config.code * cells)
            self.inward = nn.Conv2d(config.code, first, 3, padding=1)
            self.components = nn.ConvTranspose2d(config.code, channels, halvings, stride=halvings)
        self.levels = nn.ModuleList(Residual(level) for level in config.channels)
        self.widen = nn.ModuleList(
            nn.Conv2d(below, 4 * above, 1) for below, above in zip(config.channels, config.channels[1:], strict=False)
        )
        self.readers = nn.ModuleList(
            ScriptReader(level, (self.grid[0] << i, self.grid[1] << i), token_width)
            for i, level in enumerate(config.channels[:-1] if reads else ())
        )
        self.out = nn.Conv2d(config.channels[-1], channels, 3, padding=1)

    def forward(self, tokens_BLD: Tensor, script_BSD: Tensor | None = None) -> Tensor:
        """tokens_BLD, and projected descriptions and faces, to a map_BCHW in the units of the latents."""
        flat = self.spread(rearrange(tokens_BLD, "b l d -> b (l d)"))
        code_BCHW = rearrange(flat, "b (c h w) -> b c h w", h=self.grid[0], w=self.grid[1])
        hidden_BCHW = code_BCHW if self.inward is None else self.inward(code_BCHW)
        for i, level in enumerate(self.levels):
            if i:
                hidden_BCHW = F.pixel_shuffle(self.widen[i - 1](hidden_BCHW), 2)
            if script_BSD is not None and i < len(self.readers):
                hidden_BCHW = self.readers[i](hidden_BCHW, script_BSD)
            hidden_BCHW = level(hidden_BCHW)
        map_BCHW: Tensor = self.out(F.silu(hidden_BCHW))
        return map_BCHW if self.components is None else map_BCHW + self.components(code_BCHW)


def coarse_loss(
    codec: Codec, map_BCHW: Tensor, latents_BCHW: Tensor, pixel_weight: float, weights_BHW: Tensor | None = None
) -> Tensor:
    """l2 in latents plus `pixel_weight` times l1 in decoded pixels; `weights_BHW` are weights of grid cells."""
    weights_B1HW = 1.0 if weights_BHW is None else weights_BHW[:, None]
    loss = (weights_B1HW * (map_BCHW - latents_BCHW).square()).mean()
    if pixel_weight:
        errors_B3YX = (codec.pixels(map_BCHW) - codec.pixels(latents_BCHW)).abs()
        if weights_BHW is not None:
            errors_B3YX = errors_B3YX * F.interpolate(weights_BHW[:, None], errors_B3YX.shape[-2:])
        loss = loss + pixel_weight * errors_B3YX.mean()
    return loss
