"""Pipelines of diffusers: what each takes is read from its signature; a tiny Wan draws between two keyframes."""

import numpy as np
import pytest
from PIL import Image as Pillow
from pydantic import TypeAdapter

from models.animator import AnimatorConfig, Clip, DiffusersConfig, build
from models.animator.diffusers_pipeline import PipelineError, accepted, arguments
from models.weights.checkpoint import CheckpointError
from tests.models import tiny_checkpoints

H, W = 32, 48


def picture(seed: int) -> np.ndarray:
    grid = np.random.default_rng(seed).integers(0, 256, (2, 3, 3), np.uint8)
    return np.asarray(Pillow.fromarray(grid).resize((W, H), Pillow.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> DiffusersConfig:
    folder = tiny_checkpoints.wan(tmp_path_factory.mktemp("wan"))
    sizes = {"width": W, "height": H, "frames": 9, "rate": 8, "steps": 1}
    return DiffusersConfig(source=str(folder), precision="fp32", **sizes)


@pytest.fixture(scope="module")
def animator(config):
    return build(config)


@pytest.fixture
def calls(animator, monkeypatch) -> list[dict]:
    """What the pipeline is called with."""
    made, pipeline = [], animator.pipeline

    def called(**given):
        made.append(given)
        return pipeline(**given)

    monkeypatch.setattr(animator, "pipeline", called)
    return made


def test_a_clip_goes_from_one_keyframe_to_the_next_with_the_plot_as_prompt(animator, calls):
    frames = list(animator.animate(Clip(picture(0), 0.5, 8, seed=3, next=picture(1), prompt="They dance.")))
    assert len(frames) == 4
    assert {frame.shape for frame in frames} == {(H, W, 3)}
    (given,) = calls
    assert np.array_equal(np.asarray(given["image"]), picture(0))
    assert np.array_equal(np.asarray(given["last_image"]), picture(1))
    assert (given["prompt"], given["num_frames"], given["height"], given["width"]) == ("They dance.", 5, H, W)
    assert not {"guidance_scale", "negative_prompt", "fps", "frame_rate"} & set(given)


def test_a_long_clip_goes_on_from_its_last_frame_and_ends_at_the_next_keyframe(animator, calls):
    frames = list(animator.animate(Clip(picture(0), 1.5, 8, seed=3, next=picture(1))))
    assert len(frames) == 12
    first, second = calls
    assert first["num_frames"] == 9
    assert "last_image" not in first
    assert second["num_frames"] == 5
    assert np.array_equal(np.asarray(second["last_image"]), picture(1))
    assert first["generator"].initial_seed() != second["generator"].initial_seed()


def test_without_a_next_keyframe_nothing_is_reached(animator, calls):
    assert len(list(animator.animate(Clip(picture(0), 0.25, 24, seed=3, previous=picture(1))))) == 6
    assert "last_image" not in calls[0]


def test_the_same_seed_gives_the_same_clip_and_another_seed_another(animator):
    first, again, other = (np.stack(list(animator.animate(Clip(picture(0), 0.5, 8, seed=seed)))) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("images", [1, 2])
def test_a_wan_that_sees_clip_features_is_given_as_many_images_as_it_has_positions_for(config, tmp_path, images):
    folder = tiny_checkpoints.wan(tmp_path / "wan", images)
    animator = build(config.model_copy(update={"source": str(folder)}))
    assert animator.reaches == (images == 2)
    for following in (picture(1), None):
        assert len(list(animator.animate(Clip(picture(0), 0.5, 8, seed=3, next=following)))) == 4


@pytest.mark.parametrize(
    ("pipeline", "names", "last"),
    [
        ("WanImageToVideoPipeline", {"num_frames", "guidance_scale", "height", "width"}, True),
        ("LTXImageToVideoPipeline", {"num_frames", "frame_rate", "guidance_scale", "height", "width"}, False),
        ("CogVideoXImageToVideoPipeline", {"num_frames", "guidance_scale", "height", "width"}, False),
        ("HunyuanVideoImageToVideoPipeline", {"num_frames", "guidance_scale", "height", "width"}, False),
        ("HunyuanVideo15ImageToVideoPipeline", {"num_frames"}, False),
        ("HunyuanVideoFramepackPipeline", {"num_frames", "guidance_scale", "height", "width"}, True),
        ("SanaImageToVideoPipeline", {"frames", "guidance_scale", "height", "width"}, False),
        ("StableVideoDiffusionPipeline", {"num_frames", "fps", "max_guidance_scale", "height", "width"}, False),
    ],
)
def test_each_pipeline_is_given_what_its_call_takes_under_its_own_names(pipeline, names, last):
    import diffusers

    wanted = {"image": "i", "last_image": "l", "frames": 9, "rate": 8, "steps": 2, "guidance": 3.0, "generator": "g"}
    wanted |= {"height": H, "width": W, "output_type": "np"}
    given = arguments(accepted(getattr(diffusers, pipeline)), **wanted)
    always = {"image", "generator", "output_type", "num_inference_steps"}
    assert set(given) == names | always | ({"last_image"} if last else set())


@pytest.mark.parametrize("kind", ["camera", "interpolate", "svd", "diffusers"])
def test_each_kind_of_animator_is_chosen_by_its_name_alone(kind):
    assert TypeAdapter(AnimatorConfig).validate_python({"kind": kind}).kind == kind


def test_what_cannot_animate_is_named_with_the_setting_to_change(config, tmp_path):
    import diffusers

    with pytest.raises(PipelineError, match=r"LTXPipeline takes no image: set movie\.animator\.pipeline"):
        accepted(diffusers.LTXPipeline)
    with pytest.raises(PipelineError, match=r"no pipeline 'WanPipline'"):
        build(config.model_copy(update={"pipeline": "WanPipline"}))
    with pytest.raises(PipelineError, match=r"draws 4 n \+ 1 frames, not 10: set movie\.animator\.frames=13"):
        build(config.model_copy(update={"frames": 10}))
    with pytest.raises(CheckpointError, match=r"'away'.*model_index\.json"):
        build(config.model_copy(update={"source": "away"}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="model_index"):
        build(config.model_copy(update={"source": str(tmp_path / "empty")}))
