"""The image encoder: shapes, frozenness, and weights that see."""

import pytest
import torch

from models.vision import EfficientNetLite0Config, build


@pytest.fixture(scope="module")
def encoder():
    return build(EfficientNetLite0Config())


@pytest.mark.parametrize("size", [(64, 112), (100, 130), (128, 224)])
def test_features_fit_the_announced_grid(encoder, size):
    features = encoder(torch.rand(2, 3, *size))
    assert features.shape == (2, encoder.positions(*size), encoder.channels)
    assert encoder.channels == 1280 + 112


def test_without_the_middle_stage_the_last_channels_are_the_same(encoder):
    plain = build(EfficientNetLite0Config(middle=False))
    images = torch.rand(1, 3, 64, 64)
    assert plain.channels == 1280
    torch.testing.assert_close(plain(images), encoder(images)[..., :1280])


def test_it_stays_frozen_inside_a_model_in_training(encoder):
    owner = torch.nn.Sequential(encoder).train()
    assert not any(module.training for module in owner[0].modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_gradients_reach_the_picture(encoder):
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    encoder(images).square().mean().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_positions_are_row_by_row(encoder):
    images = torch.zeros(1, 3, 128, 224)
    images[:, :, :32] = torch.rand(3, 32, 224)
    difference = (encoder(images) - encoder(torch.zeros_like(images))).abs().sum(-1).view(4, 7)
    assert difference[0].mean() > difference[3].mean()


def test_retrieval_vectors_prefer_a_similar_picture(encoder):
    torch.manual_seed(0)
    a, b = torch.nn.functional.interpolate(torch.rand(2, 3, 6, 10), size=(128, 224), mode="bicubic").clamp(0, 1)
    vectors = encoder.embed(torch.stack([a, (a * 0.9 + 0.02), b]))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.05


def test_pictures_of_another_shape_are_refused(encoder):
    with pytest.raises(ValueError, match=r"got \[3, 64, 64\]"):
        encoder(torch.rand(3, 64, 64))
    with pytest.raises(ValueError, match=r"got \[1, 3, 16, 64\]"):
        encoder(torch.rand(1, 3, 16, 64))
