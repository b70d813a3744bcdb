"""The compressor: the spatial features of an image to L tokens (section 3.2, Appendix A, Figure 9).

Shapes: B images, N positions of the image encoder, C its channels, W hidden width, L tokens, D token width.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor, nn


class CompressorConfig(BaseModel, frozen=True, extra="forbid"):
    channels: int = Field(1392, gt=0, description="C, of the image encoder")
    positions: int = Field(28, gt=0, description="N, of the image encoder: 4 x 7 for pictures of 224x128")
    tokens: int = Field(2, gt=0, description="L; the paper: 2")
    token_width: int = Field(64, gt=0, description="D")
    width: int = Field(128, gt=0, description="W, hidden width of the transformer blocks")
    heads: int = Field(4, gt=0)
    blocks: int = Field(3, gt=0, description="transformer blocks before and after the linear layer over positions")


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

    The tokens leave through a layer norm without weights: each has mean 0 and variance 1 over its D channels,
    so that noise on tokens and the mixture over them have a known scale (the paper names no norm).
    """

    def __init__(self, config: CompressorConfig) -> None:
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
        expected = (self.config.positions, self.config.channels)
        if features_BNC.ndim != 3 or features_BNC.shape[1:] != expected:
            raise ValueError(
                f"the compressor takes features [B, {expected[0]}, {expected[1]}] (positions, channels), got "
                f"{list(features_BNC.shape)}; set compressor.positions and compressor.channels"
            )
        hidden_BNW = self.linear_in(self.norm_in(features_BNC)) + self.positions_NW
        for block in self.spatial:
            hidden_BNW = block(hidden_BNW)
        hidden_BWN = rearrange(self.norm_spatial(hidden_BNW), "b n w -> b w n")
        hidden_BLW = rearrange(self.squeeze(hidden_BWN), "b w l -> b l w")
        for block in self.compressed:
            hidden_BLW = block(hidden_BLW)
        tokens_BLD = self.linear_out(self.norm_compressed(hidden_BLW))
        return F.layer_norm(tokens_BLD, tokens_BLD.shape[-1:])
