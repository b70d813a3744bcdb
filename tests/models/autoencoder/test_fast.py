"""The decoder in half and in eight bits draws the same pictures, and a copy knows nothing of later training."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.decoder import DecoderConfig, DiffusionDecoder
from models.autoencoder.diffusion import DiffusionConfig, sample
from models.autoencoder.fast import FastConfig, FastDecoder, Fp8Linear, quantise
from models.autoencoder.unet import UNetConfig
from tests.models.tiny_sdxl import model

GRID = (4, 8, 8)


def decoder(sdxl: Path) -> DiffusionDecoder:
    torch.manual_seed(0)
    return DiffusionDecoder(model(sdxl).decoder.model_copy(update={"identity": True}), 2, 32, GRID).eval()


def test_a_fast_copy_in_32_bits_is_the_decoder(sdxl: Path) -> None:
    slow = decoder(sdxl)
    fast = FastDecoder(slow, FastConfig())
    noisy, time, sizes = torch.randn(2, *GRID), torch.tensor([3, 900]), torch.tensor([[90.0, 80, 0, 8, 64, 64]] * 2)
    for condition in (
        slow.condition(torch.randn(2, 2, 32)),
        slow.condition(torch.randn(2, 2, 32), torch.randn(2, 15, 12), sizes_B6=sizes),
    ):
        with torch.no_grad():
            expected = slow(noisy, time, condition)
        torch.testing.assert_close(fast(noisy, time, condition), expected, rtol=1e-4, atol=1e-5)
    torch.nn.init.zeros_(slow.unet.conv_out.weight)
    assert fast(noisy, time, condition).abs().max() > 0.01


def test_a_coarse_map_goes_in_too() -> None:
    unet = UNetConfig(channels=(32,), transformers=(1,), head_width=16, cross_width=8, pooled_width=8, size_width=8)
    slow = DiffusionDecoder(DecoderConfig(unet=unet, coarse=CoarseConfig(hidden=8, channels=(8,))), 2, 8, GRID).eval()
    torch.nn.init.normal_(slow.unet.conv_out.weight, std=0.1)
    condition = slow.condition(torch.randn(1, 2, 8))
    with torch.no_grad():
        expected = slow(torch.ones(1, *GRID), torch.tensor([5]), condition)
        drawn = FastDecoder(slow, FastConfig())(torch.ones(1, *GRID), torch.tensor([5]), condition)
    torch.testing.assert_close(drawn, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("precision", "at_least"), [("bf16", 35.0), ("fp8", 30.0)])
def test_fewer_bits_draw_nearly_the_same(sdxl: Path, precision: Literal["bf16", "fp8"], at_least: float) -> None:
    slow, config = decoder(sdxl), DiffusionConfig(prediction="epsilon")
    condition = slow.condition(torch.randn(2, 2, 32))
    whole = sample(slow, config, condition, [1, 2], steps=4)
    fast = FastDecoder(slow, FastConfig(precision=precision, fewest=32))
    assert (precision == "fp8") == any(isinstance(part, Fp8Linear) for part in fast.unet.modules())
    drawn = sample(fast, config, condition, [1, 2], steps=4)
    assert drawn.dtype == torch.float32
    error = (drawn - whole).square().mean() / (whole.max() - whole.min()).square()
    assert float(-10 * error.log10()) > at_least


def test_a_linear_layer_in_eight_bits_is_near_its_own() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(512, 64)
    hidden = torch.randn(3, 7, 512) * torch.logspace(-3, 3, 7)[:, None]  # rows of very different size
    with torch.no_grad():
        expected, found = linear(hidden) - linear.bias, Fp8Linear(linear)(hidden) - linear.bias
    error = (found - expected).norm(dim=-1) / expected.norm(dim=-1)
    assert error.max() < 0.05


def test_what_reads_the_context_keeps_its_bits(sdxl: Path) -> None:
    unet = decoder(sdxl).unet
    names = {name for name, part in unet.named_modules() if isinstance(part, torch.nn.Linear)}
    replaced = quantise(unet, fewest=32)
    left = {name for name, part in unet.named_modules() if isinstance(part, torch.nn.Linear)}
    assert replaced == len(names) - len(left) > 0
    assert {name for name in names if "attn2.to_k" in name or "attn2.to_v" in name} <= left
    assert not any("attn1" in name for name in left)
