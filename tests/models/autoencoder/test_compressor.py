"""Both compressors: shapes, gradients, and that every position counts."""

import pytest
import torch

from models.autoencoder.compressor import (
    Compressor,
    ConvolutionalCompressor,
    ConvolutionalConfig,
    TransformerConfig,
    build_compressor,
)

SMALL = [
    TransformerConfig(channels=20, positions=8, token_width=16, width=32, heads=2),
    ConvolutionalConfig(channels=20, rows=2, columns=4, token_width=16, levels=(12, 16), hidden=32),
    ConvolutionalConfig(channels=20, rows=2, columns=4, token_width=16, levels=(12, 16), code=6),
]


@pytest.mark.parametrize("tokens", [1, 2, 4])
@pytest.mark.parametrize("positions", [6, 28])
@pytest.mark.parametrize("token_width", [16, 64])
def test_shapes_and_norm(tokens: int, positions: int, token_width: int) -> None:
    torch.manual_seed(0)
    config = TransformerConfig(
        channels=20, positions=positions, tokens=tokens, token_width=token_width, width=32, heads=2
    )
    tokens_BLD = Compressor(config)(torch.randn(3, positions, 20))
    assert tokens_BLD.shape == (3, tokens, token_width)
    torch.testing.assert_close(tokens_BLD.mean(-1), torch.zeros(3, tokens), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens_BLD.var(-1, correction=0), torch.ones(3, tokens), atol=1e-2, rtol=0)


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config.kind)
def test_gradients_reach_every_parameter_and_position(config: TransformerConfig | ConvolutionalConfig) -> None:
    torch.manual_seed(0)
    compressor = build_compressor(config)
    for parameter in compressor.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # what starts at zero hides what lies before it
    features = torch.randn(3, 8, 20, requires_grad=True)
    (compressor(features) * torch.randn(3, 2, 16)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in compressor.parameters())
    assert features.grad is not None
    assert (features.grad.abs().sum((0, 2)) > 0).all()


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config.kind)
def test_keyframes_do_not_see_each_other(config: TransformerConfig | ConvolutionalConfig) -> None:
    torch.manual_seed(0)
    compressor = build_compressor(config).eval()
    features = torch.randn(4, 8, 20)
    torch.testing.assert_close(compressor(features)[2:3], compressor(features[2:3]), atol=1e-5, rtol=1e-5)


def test_six_blocks_as_in_the_paper() -> None:
    compressor = Compressor(TransformerConfig(width=32, heads=2))
    assert len(compressor.spatial) + len(compressor.compressed) == 6
    assert compressor.squeeze.in_features == compressor.config.positions
    assert compressor.squeeze.out_features == 2


def test_convolutions_keep_the_order_of_the_grid_and_the_norm_of_tokens() -> None:
    torch.manual_seed(0)
    compressor = ConvolutionalCompressor(
        ConvolutionalConfig(channels=3, rows=4, columns=8, levels=(8, 8), token_width=16)
    )
    grid_BCRM = torch.randn(2, 3, 4, 8)
    seen: list[torch.Tensor] = []
    compressor.inward.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    tokens_BLD = compressor(grid_BCRM.flatten(2).transpose(1, 2))
    assert torch.equal(seen[0], grid_BCRM)
    torch.testing.assert_close(tokens_BLD.var(-1, correction=0), torch.ones(2, 2), atol=1e-2, rtol=0)


def test_wrong_features_are_quoted() -> None:
    with pytest.raises(ValueError, match=r"\[1, 5, 1392\]"):
        Compressor(TransformerConfig(width=32, heads=2))(torch.zeros(1, 5, 1392))
    with pytest.raises(ValueError, match="heads=5"):
        Compressor(TransformerConfig(width=32, heads=5))
    with pytest.raises(ValueError, match=r"\[1, 5, 64\].*compressor.rows"):
        ConvolutionalCompressor(ConvolutionalConfig())(torch.zeros(1, 5, 64))
    with pytest.raises(ValueError, match="16x30 can't be halved 2 times"):
        ConvolutionalCompressor(ConvolutionalConfig(columns=30))
