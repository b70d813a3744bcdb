"""The camera animator: counts, determinism, smooth joints inside a shot, no borders."""

import itertools

import numpy as np
import pytest

from models.animator import CameraConfig, Clip, build
from models.animator.camera import low_and_central
from models.animator.lens import Lens

H, W = 128, 224


def picture(seed: int) -> np.ndarray:
    """Smooth colours, all of them brighter than 60, so that a black border would show."""
    y, x = np.mgrid[:H, :W] / 40.0
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = [np.sin(x + p) + np.cos(y * (1 + 0.3 * i) + p) for i, p in enumerate(phase)]
    return np.stack([150 + 40 * wave for wave in waves], -1).astype(np.uint8)


def clip(**options) -> np.ndarray:
    arguments = {"seconds": 1.0, "fps": 24, "seed": 3} | options
    animator = build(arguments.pop("config", CameraConfig()))
    return np.stack(list(animator.animate(Clip(arguments.pop("keyframe", picture(0)), **arguments))))


def step(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize(("seconds", "fps", "count"), [(1.0, 24, 24), (0.5, 24, 12), (2.0, 25, 50), (0.01, 24, 1)])
def test_a_clip_has_as_many_frames_as_it_is_long(seconds, fps, count):
    frames = clip(seconds=seconds, fps=fps)
    assert frames.shape == (count, H, W, 3)
    assert frames.dtype == np.uint8


def test_the_same_seed_gives_the_same_clip_and_another_seed_another():
    assert np.array_equal(clip(), clip())
    assert not np.array_equal(clip(), clip(seed=4))


def test_the_camera_moves_smoothly():
    frames = clip()
    steps = [step(a, b) for a, b in itertools.pairwise(frames)]
    assert step(frames[0], frames[-1]) > 1
    assert max(steps) < 4 * np.median(steps) + 0.5


@pytest.mark.parametrize("config", [CameraConfig(), CameraConfig(zoom=0.0), CameraConfig(zoom=1.0, parallax=0.2)])
def test_no_border_ever_shows(config):
    lens = Lens(low_and_central(H, W), config.zoom, config.parallax)
    for zoom in (0, 0.5, 1):
        for corner in np.ndindex(2, 2, 2, 2):
            x_HW, y_HW = lens.look(np.array([zoom, *(2 * np.array(corner) - 1)], np.float32))
            assert x_HW.min() >= -1e-3
            assert x_HW.max() <= W - 1 + 1e-3
            assert y_HW.min() >= -1e-3
            assert y_HW.max() <= H - 1 + 1e-3
    assert all(clip(config=config, seed=seed).min() > 60 for seed in range(3))


def test_clips_of_one_shot_join_without_a_jump():
    a, b = picture(0), picture(1)
    first, second = clip(keyframe=a, next=b, seed=1), clip(keyframe=b, previous=a, seed=2)
    joint = step(first[-1], second[0])
    assert joint < 2 * max(step(first[-2], first[-1]), step(second[0], second[1]))
    assert step(clip(keyframe=a, seed=1)[-1], clip(keyframe=b, seed=2)[0]) > 4 * joint


def test_at_a_cut_nothing_of_the_neighbour_shows():
    white = np.full((H, W, 3), 255, np.uint8)
    assert clip(keyframe=white, previous=None, next=picture(0))[0].min() == 255
    assert clip(keyframe=white, previous=picture(0), next=None)[-1].min() == 255


def test_bad_input_is_quoted():
    with pytest.raises(ValueError, match="0 s at 24 fps"):
        clip(seconds=0)
    with pytest.raises(ValueError, match="differ in size"):
        clip(next=picture(0)[:64])
