"""Stable Video Diffusion in small: extension keeps the first image's CLIP feature and goes on from the last frame."""

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from models.animator import Clip, SvdConfig, build
from models.checkpoint import CheckpointError
from tests.models import tiny_checkpoints

H, W = 32, 64


def picture(seed: int) -> np.ndarray:
    grid = np.random.default_rng(seed).integers(0, 256, (2, 4, 3), np.uint8)
    return np.asarray(Pillow.fromarray(grid).resize((W, H), Pillow.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> SvdConfig:
    folder = tiny_checkpoints.svd(tmp_path_factory.mktemp("svd"))
    sizes = {"width": W, "height": H, "frames": 4, "rate": 8, "steps": 1, "noise": 0.0}
    return SvdConfig(source=str(folder), variant="", precision="fp32", **sizes)


@pytest.fixture(scope="module")
def animator(config):
    return build(config)


class Seen:
    """What the VAE and the image encoder are given, and what the U-Net is told about it."""

    def __init__(self, animator, monkeypatch) -> None:
        self.latents, self.features = [], []
        unet, forward = animator.pipeline.unet, animator.pipeline.unet.forward

        def told(sample, timestep, encoder_hidden_states, **named):
            self.latents.append(sample[-1, :, 4:])
            self.features.append(encoder_hidden_states[-1])
            return forward(sample, timestep, encoder_hidden_states=encoder_hidden_states, **named)

        monkeypatch.setattr(unet, "forward", told)


def feature(animator, image: np.ndarray) -> torch.Tensor:
    """As diffusers' own pipeline computes it."""
    animator.pipeline.anchor = None
    with torch.inference_mode():
        return animator.pipeline._encode_image(Pillow.fromarray(image), "cpu", 1, False)[0]


def latent(animator, image: np.ndarray) -> torch.Tensor:
    pixels_13HW = animator.pipeline.video_processor.preprocess(Pillow.fromarray(image), height=H, width=W)
    with torch.inference_mode():
        return animator.pipeline.vae.encode(pixels_13HW).latent_dist.mode()[0]


def test_extension_uses_the_first_images_clip_feature_and_the_last_frames_latent(animator, monkeypatch):
    keyframe = picture(0)
    frames, seen = [], Seen(animator, monkeypatch)
    draw = animator.draw
    monkeypatch.setattr(animator, "draw", lambda *given: frames.append(draw(*given)) or frames[-1])
    clip = list(animator.animate(Clip(keyframe, 10 / 8, 8, seed=3)))
    assert len(clip) == 10
    assert [len(part) for part in frames] == [4, 4, 4]  # 4 + 3 + 3
    assert len(seen.features) == len(seen.latents) == 3
    for told in seen.features:
        torch.testing.assert_close(told, feature(animator, keyframe))
    for told, shown in zip(seen.latents, (keyframe, frames[0][-1], frames[1][-1]), strict=True):
        for one in told:  # each frame of the part
            torch.testing.assert_close(one, latent(animator, shown))
    assert not torch.allclose(feature(animator, frames[0][-1]), feature(animator, keyframe), atol=1e-4)


def test_without_the_anchor_extension_sees_the_last_frame_alone(config, monkeypatch):
    animator = build(config.model_copy(update={"anchored": False}))
    frames, seen = [], Seen(animator, monkeypatch)
    draw = animator.draw
    monkeypatch.setattr(animator, "draw", lambda *given: frames.append(draw(*given)) or frames[-1])
    list(animator.animate(Clip(picture(0), 7 / 8, 8, seed=3)))
    torch.testing.assert_close(seen.features[1], feature(animator, frames[0][-1]))


def test_the_first_keyframe_of_the_shot_is_the_anchor_of_its_later_clips(animator, monkeypatch):
    seen = Seen(animator, monkeypatch)
    list(animator.animate(Clip(picture(1), 0.5, 8, seed=3, previous=picture(0), anchor=picture(0))))
    torch.testing.assert_close(seen.features[0], feature(animator, picture(0)))
    torch.testing.assert_close(seen.latents[0][0], latent(animator, picture(1)))


@pytest.mark.parametrize(("seconds", "fps", "count"), [(0.5, 8, 4), (1.0, 24, 24), (0.01, 24, 1), (0.5, 5, 2)])
def test_a_clip_has_as_many_frames_as_it_is_long_and_the_keyframes_size(animator, seconds, fps, count):
    keyframe = np.repeat(np.repeat(picture(0), 2, 0), 2, 1)
    frames = list(animator.animate(Clip(keyframe, seconds, fps, seed=3)))
    assert len(frames) == count
    assert {frame.shape for frame in frames} == {(2 * H, 2 * W, 3)}
    assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}


def test_the_same_seed_gives_the_same_clip_and_another_seed_another(animator):
    first, again, other = (np.stack(list(animator.animate(Clip(picture(0), 0.5, 8, seed=seed)))) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_checkpoint_that_is_missing_or_incomplete_is_named(config, tmp_path):
    with pytest.raises(CheckpointError, match=r"Stable Video Diffusion can't be loaded from 'away'.*img2vid-xt"):
        build(config.model_copy(update={"source": "away"}))
    folder = tiny_checkpoints.svd(tmp_path / "svd")
    (folder / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(CheckpointError, match="scheduler"):
        build(config.model_copy(update={"source": str(folder)}))


def test_revision_and_licence_are_those_of_the_weights(config):
    assert config.revision.startswith("sha256 ")
    assert config.licence == "Stability AI Community License"
