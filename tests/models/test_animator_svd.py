"""Stable Video Diffusion in small: extension keeps the first image's CLIP feature and goes on from the last frame."""

from itertools import combinations

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline
from PIL import Image as Pillow

from models.animator import Clip, SvdConfig, build
from models.animator.generated import frames_of
from models.weights.checkpoint import CheckpointError
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
    """The frames of each part of a clip, and what the U-Net is told of the picture before it draws the part."""

    def __init__(self, animator, monkeypatch) -> None:
        self.parts, self.latents, self.features = [], [], []
        unet, forward, draw = animator.pipeline.unet, animator.pipeline.unet.forward, animator.draw

        def told(sample, timestep, encoder_hidden_states, **named):
            self.latents.append(sample[-1, :, 4:])
            self.features.append(encoder_hidden_states[-1])
            return forward(sample, timestep, encoder_hidden_states=encoder_hidden_states, **named)

        monkeypatch.setattr(unet, "forward", told)
        monkeypatch.setattr(animator, "draw", lambda *given: self.parts.append(draw(*given)) or self.parts[-1])


def feature(animator, image: np.ndarray) -> torch.Tensor:
    """As diffusers' own pipeline computes it."""
    with torch.inference_mode():
        encoded = StableVideoDiffusionPipeline._encode_image(
            animator.pipeline, Pillow.fromarray(image), "cpu", 1, do_classifier_free_guidance=False
        )
    return encoded[0]


def latent(animator, image: np.ndarray) -> torch.Tensor:
    pixels_13HW = animator.pipeline.video_processor.preprocess(Pillow.fromarray(image), height=H, width=W)
    with torch.inference_mode():
        return animator.pipeline.vae.encode(pixels_13HW).latent_dist.mode()[0]


def require(animator, seen: Seen, of_clip: list[np.ndarray], of_vae: list[np.ndarray]) -> None:
    """Asserts, part by part, whose CLIP feature and whose latent was told, and that other pictures have others."""
    different = {image.tobytes(): image for image in (*of_clip, *of_vae)}.values()
    for encoded in (feature, latent):
        codes = [encoded(animator, image) for image in different]
        assert all(not torch.allclose(one, other, atol=1e-3) for one, other in combinations(codes, 2))
    for told, image in zip(seen.features, of_clip, strict=True):
        torch.testing.assert_close(told, feature(animator, image))
    for told, image in zip(seen.latents, of_vae, strict=True):
        for one in told:  # each frame of the part
            torch.testing.assert_close(one, latent(animator, image))


def test_extension_uses_the_first_images_clip_feature_and_the_last_frames_latent(animator, monkeypatch):
    keyframe, seen = picture(0), Seen(animator, monkeypatch)
    clip = list(animator.animate(Clip(keyframe, 10 / 8, 8, seed=3)))
    first, second, third = seen.parts
    assert np.array_equal(clip, [*first, *second[1:], *third[1:]])  # 4 + 3 + 3
    require(animator, seen, [keyframe] * 3, [keyframe, first[-1], second[-1]])


def test_without_the_anchor_extension_sees_the_last_frame_alone(config, monkeypatch):
    animator = build(config.model_copy(update={"anchored": False}))
    keyframe, seen = picture(0), Seen(animator, monkeypatch)
    list(animator.animate(Clip(keyframe, 7 / 8, 8, seed=3)))
    require(animator, seen, [keyframe, seen.parts[0][-1]], [keyframe, seen.parts[0][-1]])


def test_the_first_keyframe_of_the_shot_is_the_anchor_of_its_later_clips_and_of_their_extensions(animator, monkeypatch):
    anchor, keyframe, seen = picture(0), picture(1), Seen(animator, monkeypatch)
    list(animator.animate(Clip(keyframe, 7 / 8, 8, seed=3, previous=anchor, anchor=anchor)))
    require(animator, seen, [anchor, anchor], [keyframe, seen.parts[0][-1]])


def test_a_keyframe_that_is_its_own_anchor_is_drawn_as_by_diffusers(animator):
    keyframe = picture(0)
    drawn = animator.draw(keyframe, None, keyframe, "", 4, torch.Generator().manual_seed(3))
    plain = StableVideoDiffusionPipeline(**animator.pipeline.components)
    plain.set_progress_bar_config(disable=True)
    (frames_4HWC,) = plain(
        Pillow.fromarray(keyframe), height=H, width=W, num_frames=4, num_inference_steps=1, fps=8,
        noise_aug_strength=0.0, generator=torch.Generator().manual_seed(3), output_type="np",
    ).frames  # fmt: skip
    assert np.array_equal(drawn, frames_of(frames_4HWC))


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
