"""The compressor: the spatial features of an image to L tokens (section 3.2, Appendix A, Figure 9).

There are two: the paper's transformer, and convolutions, which train from scratch on a CPU in a quarter of the steps.

Shapes: B images, N positions of the image encoder (rows R x columns M), C its channels, W hidden width, L tokens, D
token width.
"""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor, nn


class TransformerConfig(BaseModel, frozen=True, extra="forbid"):
    """The paper's compressor, Figure 9."""

    kind: Literal["transformer"] = "transformer"
    channels: int = Field(1392, gt=0, description="channels C of the image encoder")
    positions: int = Field(28, gt=0, description="positions N of the image encoder: 4 x 7 for pictures of 224x128")
    tokens: int = Field(2, gt=0, description="tokens L per keyframe; the paper: 2")
    token_width: int = Field(64, gt=0, description="token width D")
    width: int = Field(128, gt=0, description="hidden width W of the transformer blocks")
    heads: int = Field(4, gt=0, description="attention heads")
    blocks: int = Field(3, gt=0, description="transformer blocks before and after the linear layer over positions")


class ConvolutionalConfig(BaseModel, frozen=True, extra="forbid"):
    """Convolutions over a grid of features that is halved between levels."""

    kind: Literal["convolutional"] = "convolutional"
    channels: int = Field(64, gt=0, description="channels C of the features")
    rows: int = Field(16, gt=0, description="rows R of the grid of features")
    columns: int = Field(28, gt=0, description="columns M of the grid of features")
    tokens: int = Field(2, gt=0, description="tokens L per keyframe; the paper: 2")
    token_width: int = Field(128, gt=0, description="token width D")
    levels: tuple[int, ...] = Field((96, 192, 256), min_length=1, description="channels of each grid, finest first")
    hidden: int = Field(384, gt=0, description="width of the layer between the coarsest grid and the tokens")
    code: int | None = Field(
        None, gt=0, description="numbers per cell of the coarsest grid, instead of `hidden`; null: hidden"
    )

    @property
    def positions(self) -> int:
        """N."""
        return self.rows * self.columns


CompressorConfig = Annotated[TransformerConfig | ConvolutionalConfig, Field(discriminator="kind")]


def build_compressor(config: TransformerConfig | ConvolutionalConfig) -> "Compressor | ConvolutionalCompressor":
    """The compressor of a config, with random weights."""
    match config:
        case TransformerConfig():
            return Compressor(config)
        case ConvolutionalConfig():
            return ConvolutionalCompressor(config)


class Residual(nn.Module):
    """Two 3x3 convolutions with a skip connection, normalised over channels and positions together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, hidden_BCHW: Tensor) -> Tensor:
        out_BCHW: Tensor = hidden_BCHW + self.second(F.silu(self.first(F.silu(self.norm(hidden_BCHW)))))
        return out_BCHW


class Block(nn.Module):
    """A pre-norm transformer block with full attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden_BNW: Tensor) -> Tensor:
        qkv = self.qkv(self.norm_attention(hidden_BNW))
        q, k, v = rearrange(qkv, "b n (three h e) -> three b h n e", three=3, h=self.heads)
        attended = rearrange(F.scaled_dot_product_attention(q, k, v), "b h n e -> b n (h e)")
        hidden_BNW = hidden_BNW + self.out(attended)
        out_BNW: Tensor = hidden_BNW + self.mlp(self.norm_mlp(hidden_BNW))
        return out_BNW


class Compressor(nn.Module):
    """Figure 9: three blocks over N positions, transpose and linear from N to L, three blocks over L tokens.

    The last step is a layer norm without weights, so each token has mean 0 and variance 1 over its D channels, and
    noise on tokens and the mixture over them have a known scale (the paper names no norm).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"width={config.width} doesn't divide into heads={config.heads}")
        self.config = config
        self.norm_in = nn.LayerNorm(config.channels)
        self.linear_in = nn.Linear(config.channels, config.width)
        self.positions_NW = nn.Parameter(torch.empty(config.positions, config.width))
        self.spatial = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.blocks))
        self.norm_spatial = nn.LayerNorm(config.width)
        self.squeeze = nn.Linear(config.positions, config.tokens)
        self.compressed = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.blocks))
        self.norm_compressed = nn.LayerNorm(config.width)
        self.linear_out = nn.Linear(config.width, config.token_width)
        nn.init.normal_(self.positions_NW, std=0.02)

    def forward(self, features_BNC: Tensor) -> Tensor:
        """features_BNC of the frozen image encoder to tokens_BLD."""
        _check(features_BNC, self.config, "compressor.positions and compressor.channels")
        hidden_BNW = self.linear_in(self.norm_in(features_BNC)) + self.positions_NW
        for block in self.spatial:
            hidden_BNW = block(hidden_BNW)
        hidden_BWN = rearrange(self.norm_spatial(hidden_BNW), "b n w -> b w n")
        hidden_BLW = rearrange(self.squeeze(hidden_BWN), "b w l -> b l w")
        for block in self.compressed:
            hidden_BLW = block(hidden_BLW)
        tokens_BLD = self.linear_out(self.norm_compressed(hidden_BLW))
        return F.layer_norm(tokens_BLD, tokens_BLD.shape[-1:])


class ConvolutionalCompressor(nn.Module):
    """One residual block per level, halving of the grid between levels, then linear layers to L tokens.

    With `code`, convolutions and one linear map of the covered features (`components`) turn each cell of the coarsest
    grid into a few numbers, and the numbers of all cells become the tokens. This keeps locality and needs far fewer
    training pictures. The last step is a layer norm without weights, as in our `Compressor`.
    """

    def __init__(self, config: ConvolutionalConfig) -> None:
        super().__init__()
        halvings = 2 ** (len(config.levels) - 1)
        if config.rows % halvings or config.columns % halvings:
            raise ValueError(
                f"a grid of {config.rows}x{config.columns} can't be halved {len(config.levels) - 1} times; give "
                f"compressor.levels fewer levels than {len(config.levels)}"
            )
        self.config = config
        self.inward = nn.Conv2d(config.channels, config.levels[0], 3, padding=1)
        self.levels = nn.ModuleList(Residual(channels) for channels in config.levels)
        self.halve = nn.ModuleList(
            nn.Conv2d(above, below, 2, stride=2) for above, below in zip(config.levels, config.levels[1:], strict=False)
        )
        cells, deepest = config.rows // halvings * (config.columns // halvings), config.levels[-1]
        numbers = config.tokens * config.token_width
        self.squeeze: nn.Conv2d | None = None
        self.components: nn.Conv2d | None = None
        if config.code is None:
            layers = nn.Linear(deepest * cells, config.hidden), nn.SiLU(), nn.Linear(config.hidden, numbers)
            self.outward: nn.Module = nn.Sequential(*layers)
        else:
            self.squeeze = nn.Conv2d(deepest, config.code, 1)
            self.components = nn.Conv2d(config.channels, config.code, halvings, stride=halvings)
            self.outward = nn.Linear(config.code * cells, numbers)

    def forward(self, features_BNC: Tensor) -> Tensor:
        """features_BNC, row by row of the grid, to tokens_BLD."""
        config = self.config
        _check(features_BNC, config, "compressor.rows, compressor.columns and compressor.channels")
        features_BCRM = rearrange(features_BNC, "b (r m) c -> b c r m", r=config.rows)
        hidden_BCHW = self.levels[0](self.inward(features_BCRM))
        for halve, level in zip(self.halve, self.levels[1:], strict=True):
            hidden_BCHW = level(halve(hidden_BCHW))
        if self.squeeze is not None and self.components is not None:
            hidden_BCHW = self.squeeze(hidden_BCHW) + self.components(features_BCRM)
        tokens_BLD = rearrange(self.outward(hidden_BCHW.flatten(1)), "b (l d) -> b l d", l=config.tokens)
        return F.layer_norm(tokens_BLD, tokens_BLD.shape[-1:])


def _check(features_BNC: Tensor, config: TransformerConfig | ConvolutionalConfig, settings: str) -> None:
    expected = (config.positions, config.channels)
    if features_BNC.ndim != 3 or features_BNC.shape[1:] != expected:
        raise ValueError(
            f"the compressor takes features [B, {expected[0]}, {expected[1]}] (positions, channels), got "
            f"{list(features_BNC.shape)}; set {settings}"
        )
