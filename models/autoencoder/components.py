"""Initialises compressor and coarse head with a `code` from the principal components of the cells' content.

From random weights, training would first have to find these components.

Shapes: B pictures, N positions and C channels of the features, K codes of a cell, P values that a cell covers, L
tokens of width D.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from models.autoencoder.coarse import CoarseHead
from models.autoencoder.compressor import ConvolutionalCompressor


@torch.no_grad()
def start_from_components(
    compressor: ConvolutionalCompressor, coarse: CoarseHead, features_BNC: Tensor, latents_BCHW: Tensor
) -> None:
    """Sets the linear layers of both; the convolutions beside them start with a weight of zero.

    A cell's K components, scaled to unit variance, are distributed over the tokens, the leading ones to the first.

    Raises:
        ValueError: the two have codes of different sizes.
    """
    assert compressor.components is not None
    assert compressor.squeeze is not None
    assert coarse.components is not None
    assert isinstance(compressor.outward, nn.Linear)
    assert isinstance(coarse.spread, nn.Linear)
    config, code, side = compressor.config, compressor.components.out_channels, compressor.components.stride[0]
    grid = config.rows // side, config.columns // side
    if (code, grid) != (coarse.components.in_channels, coarse.grid):
        raise ValueError(
            f"compressor.code={code} on {grid[0]}x{grid[1]} cells and coarse.code="
            f"{coarse.components.in_channels} on {coarse.grid[0]}x{coarse.grid[1]} must be the same: change code, or "
            "compressor.levels and coarse.channels"
        )
    for layer in (compressor.squeeze, coarse.out):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    cells_MP = _cells(rearrange(features_BNC, "b (r m) c -> b c r m", r=config.rows), grid)
    mean_P = cells_MP.mean(0)
    variance, vectors = torch.linalg.eigh((cells_MP - mean_P).T @ (cells_MP - mean_P) / len(cells_MP))
    basis_KP = vectors.flip(1)[:, :code].T / variance.flip(0)[:code, None].clamp(min=1e-8).sqrt()
    _fill(compressor.components, basis_KP, -basis_KP @ mean_P)

    dealt = nn.init.zeros_(torch.empty(config.tokens, config.token_width, code * grid[0] * grid[1]))
    for token, columns in enumerate(torch.tensor_split(torch.arange(dealt.shape[2]), config.tokens)):
        dealt[token, :, columns] = nn.init.orthogonal_(torch.empty(config.token_width, len(columns)))
    outward_NK = rearrange(dealt, "l d k -> (l d) k")
    for linear, weight in ((compressor.outward, outward_NK), (coarse.spread, outward_NK.T)):
        linear.weight.copy_(weight)
        nn.init.zeros_(linear.bias)

    said = coarse.spread(rearrange(compressor(features_BNC), "b l d -> b (l d)"))
    codes_MK = rearrange(said, "b (k c) -> (b c) k", k=code)
    codes_M1 = torch.cat([codes_MK, codes_MK.new_ones(len(codes_MK), 1)], dim=1)
    drawn_KP = torch.linalg.lstsq(codes_M1, _cells(latents_BCHW, grid)).solution
    bias_C = rearrange(drawn_KP[-1], "(c p) -> c p", c=latents_BCHW.shape[1]).mean(1)
    _fill(coarse.components, drawn_KP[:-1], bias_C)


def _cells(maps_BCHW: Tensor, grid: tuple[int, int]) -> Tensor:
    return rearrange(maps_BCHW, "b c (h p) (w q) -> (b h w) (c p q)", h=grid[0], w=grid[1])


def _fill(layer: nn.Conv2d | nn.ConvTranspose2d, weight_KP: Tensor, bias: Tensor) -> None:
    assert layer.bias is not None
    layer.weight.copy_(weight_KP.reshape(layer.weight.shape))
    layer.bias.copy_(bias)
