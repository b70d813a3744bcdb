"""The coarse head: tokens to a first, blurred map of latents, trained by a plain l2 loss.

An addition to the paper, which starts from SDXL: where the decoder starts from little or nothing, a regression
teaches the tokens what a picture looks like in a few cheap steps, and hands the U-Net a map to refine.

Shapes: B keyframes, L tokens, D token width, C latent channels, H x W latent grid.
"""

import torch.nn.functional as F
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder.compressor import Residual


class CoarseConfig(BaseModel, frozen=True, extra="forbid"):
    """The sizes of the coarse head."""

    hidden: int = Field(192, gt=0, description="width of the layer between tokens and the smallest grid")
    code: int | None = Field(
        None, gt=0, description="numbers that tokens say of each cell of the smallest grid, in place of `hidden`"
    )
    channels: tuple[int, ...] = Field((192, 128, 64), min_length=1, description="of each grid, smallest first")
    spread: float = Field(0.15, gt=0, description="std of latents around the map, as the decoder assumes at first")


class CoarseHead(nn.Module):
    """Linear layers to the smallest grid, then a residual block and a doubling of the grid for each level.

    With `code` the tokens say a few numbers of each cell, which convolutions draw on, beside one linear map from the
    numbers to the latents that the cell covers (`components`).
    """

    def __init__(self, config: CoarseConfig, tokens: int, token_width: int, grid: tuple[int, int, int]) -> None:
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
        self.out = nn.Conv2d(config.channels[-1], channels, 3, padding=1)

    def forward(self, tokens_BLD: Tensor) -> Tensor:
        """tokens_BLD to a map_BCHW in the units of the latents."""
        flat = self.spread(rearrange(tokens_BLD, "b l d -> b (l d)"))
        code_BCHW = rearrange(flat, "b (c h w) -> b c h w", h=self.grid[0], w=self.grid[1])
        hidden_BCHW = self.levels[0](code_BCHW if self.inward is None else self.inward(code_BCHW))
        for widen, level in zip(self.widen, self.levels[1:], strict=True):
            hidden_BCHW = level(F.pixel_shuffle(widen(hidden_BCHW), 2))
        map_BCHW: Tensor = self.out(F.silu(hidden_BCHW))
        return map_BCHW if self.components is None else map_BCHW + self.components(code_BCHW)
