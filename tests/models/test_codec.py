"""The PCA codec: what it keeps, what it refuses, what it saves."""

import pytest
import torch

from models.codec import PCACodec, PCACodecConfig, build_codec, load_codec

SMALL = PCACodecConfig(width=32, height=16, block=8, channels=12)


def pictures(count: int, seed: int = 0, height: int = 16, width: int = 32) -> torch.Tensor:
    """Smooth random pictures in 0-1, as films are."""
    small = torch.rand(count, 3, 3, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, size=(height, width), mode="bilinear")


def test_keeps_what_the_best_linear_codec_keeps() -> None:
    images = pictures(40) * 0.5 + 0.25  # far from 0 and 1, so that nothing is clamped
    both = torch.cat([images, images.flip(-1)])
    codec = PCACodec(SMALL).fit(images)
    latents = codec.encode(both)
    assert latents.shape == (80, 12, 2, 4)
    assert codec.grid == (12, 2, 4)
    blocks = both.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 192)
    lost = torch.linalg.svdvals(blocks - blocks.mean(0))[12:].square().sum() / blocks.numel()
    torch.testing.assert_close((codec.decode(latents) - both).square().mean(), lost, rtol=0.01, atol=1e-7)


def test_all_components_lose_nothing() -> None:
    images = torch.rand(20, 3, 16, 32, generator=torch.Generator().manual_seed(1))
    codec = PCACodec(SMALL.model_copy(update={"channels": 192})).fit(images)
    torch.testing.assert_close(codec.decode(codec.encode(images)), images, atol=1e-4, rtol=0)


@pytest.mark.parametrize("temper", [0.0, 0.5, 1.0])
def test_latents_have_unit_variance_on_average(temper: float) -> None:
    images = pictures(40)
    both = torch.cat([images, images.flip(-1)])
    latents = PCACodec(SMALL.model_copy(update={"temper": temper})).fit(images).encode(both)
    std_C = latents.std((0, 2, 3))
    assert std_C.square().mean() == pytest.approx(1, rel=0.02)
    assert (std_C[0] / std_C[-1] < 1.1) == (temper == 1)


def test_fitting_mirrored_pictures_gives_the_same_basis() -> None:
    images = pictures(10)
    torch.testing.assert_close(
        PCACodec(SMALL).fit(images).basis_CK.abs(),
        PCACodec(SMALL).fit(images.flip(-1)).basis_CK.abs(),
        atol=1e-3,
        rtol=0,
    )


def test_other_sizes_are_resized() -> None:
    codec = PCACodec(SMALL).fit(pictures(10))
    assert codec.encode(pictures(2, height=64, width=128)).shape == (2, 12, 2, 4)


def test_saved_and_loaded(tmp_path) -> None:
    images = pictures(5)
    codec = build_codec(SMALL).fit(images)
    codec.save_pretrained(tmp_path)
    assert torch.equal(load_codec(tmp_path).encode(images), codec.encode(images))


def test_bad_sizes_are_quoted() -> None:
    with pytest.raises(ValueError, match="30x16"):
        PCACodec(PCACodecConfig(width=30, height=16, block=8))
    with pytest.raises(ValueError, match="channels=200"):
        PCACodec(SMALL.model_copy(update={"channels": 200}))
    with pytest.raises(ValueError, match=r"\[3, 16, 32\]"):
        PCACodec(SMALL).encode(torch.zeros(3, 16, 32))


def test_unknown_kind_is_quoted(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"kind": "wavelet"}')
    with pytest.raises(ValueError, match="wavelet"):
        load_codec(tmp_path)


def test_pixels_let_gradients_through_and_decode_clamps_them() -> None:
    codec = PCACodec(SMALL).fit(pictures(20))
    latents = (3 * torch.randn(2, 12, 2, 4)).requires_grad_()
    pixels = codec.pixels(latents)
    torch.testing.assert_close(codec.decode(latents), pixels.detach().clamp(0, 1))
    pixels.square().sum().backward()
    assert latents.grad is not None
    assert latents.grad.abs().sum() > 0
