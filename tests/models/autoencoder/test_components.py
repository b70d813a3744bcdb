"""What a code knows before it is trained: the principal components of its cells."""

import pytest
import torch
from einops import rearrange

from models.autoencoder.coarse import CoarseConfig, CoarseHead
from models.autoencoder.components import start_from_components
from models.autoencoder.compressor import ConvolutionalCompressor, ConvolutionalConfig

GRID = (5, 4, 8)  # cells of 2x2 latents


def pictures(count: int, components: int) -> torch.Tensor:
    """latents_BCHW of few components a cell, the first of which are the largest."""
    random = torch.Generator().manual_seed(1)
    mixed_KP = torch.randn(components, 5 * 2 * 2, generator=random) / torch.arange(1, components + 1)[:, None]
    codes = torch.randn(count, 2, 4, components, generator=random)
    return rearrange(codes @ mixed_KP, "b h w (c p q) -> b c (h p) (w q)", c=5, p=2, q=2)


def started(latents_BCHW: torch.Tensor, code: int) -> tuple[ConvolutionalCompressor, CoarseHead]:
    torch.manual_seed(0)
    compressor = ConvolutionalCompressor(
        ConvolutionalConfig(channels=5, rows=4, columns=8, token_width=32, levels=(8, 8), code=code)
    )
    coarse = CoarseHead(CoarseConfig(code=code, channels=(8, 8)), 2, 32, GRID)
    start_from_components(compressor, coarse, seen(latents_BCHW), latents_BCHW)
    return compressor, coarse


def seen(latents_BCHW: torch.Tensor) -> torch.Tensor:
    return rearrange(latents_BCHW, "b c h w -> b (h w) c")


@torch.no_grad()
def test_pictures_of_few_components_are_rebuilt_before_any_training() -> None:
    latents_BCHW = pictures(64, components=4)
    compressor, coarse = started(latents_BCHW, code=4)
    apart = coarse(compressor(seen(latents_BCHW))) - latents_BCHW
    assert apart.square().mean() < 0.1 * latents_BCHW.var()


@torch.no_grad()
def test_the_first_token_has_the_leading_components() -> None:
    latents_BCHW = pictures(64, components=4)
    compressor, coarse = started(latents_BCHW, code=4)
    tokens_BLD = compressor(seen(latents_BCHW))
    errors = []
    for token in (0, 1):
        alone_BLD = torch.zeros_like(tokens_BLD)
        alone_BLD[:, token] = tokens_BLD[:, token]
        errors.append((coarse(alone_BLD) - latents_BCHW).square().mean())
    assert errors[0] < 0.5 * errors[1]


def test_codes_of_two_sizes_are_named() -> None:
    latents_BCHW = pictures(8, components=4)
    compressor = ConvolutionalCompressor(ConvolutionalConfig(channels=5, rows=4, columns=8, levels=(8, 8), code=4))
    coarse = CoarseHead(CoarseConfig(code=6, channels=(8, 8)), 2, 128, GRID)
    with pytest.raises(ValueError, match=r"compressor\.code=4 on 2x4 cells and coarse\.code=6 on 2x4"):
        start_from_components(compressor, coarse, seen(latents_BCHW), latents_BCHW)
