"""The compressor of Figure 9: shapes, gradients, and that every position counts."""

import pytest
import torch

from models.compressor import Compressor, TransformerConfig


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


def test_gradients_reach_every_parameter_and_position() -> None:
    torch.manual_seed(0)
    compressor = Compressor(TransformerConfig(channels=20, positions=6, token_width=16, width=32, heads=2))
    features = torch.randn(3, 6, 20, requires_grad=True)
    (compressor(features) * torch.randn(3, 2, 16)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in compressor.parameters())
    assert features.grad is not None
    assert (features.grad.abs().sum((0, 2)) > 0).all()


def test_keyframes_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    compressor = Compressor(TransformerConfig(channels=20, positions=6, token_width=16, width=32, heads=2)).eval()
    features = torch.randn(4, 6, 20)
    torch.testing.assert_close(compressor(features)[2:3], compressor(features[2:3]), atol=1e-5, rtol=1e-5)


def test_six_blocks_as_in_the_paper() -> None:
    compressor = Compressor(TransformerConfig(width=32, heads=2))
    assert len(compressor.spatial) + len(compressor.compressed) == 6
    assert compressor.squeeze.in_features == compressor.config.positions
    assert compressor.squeeze.out_features == 2


def test_wrong_features_are_quoted() -> None:
    with pytest.raises(ValueError, match=r"\[1, 5, 1392\]"):
        Compressor(TransformerConfig(width=32, heads=2))(torch.zeros(1, 5, 1392))
    with pytest.raises(ValueError, match="heads=5"):
        Compressor(TransformerConfig(width=32, heads=5))
