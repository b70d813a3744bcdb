"""A batch of movies beside thresholds."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from models.metrics.figure import absent, mean
from models.metrics.networks import KeyframeMetricsConfig
from storage.decoding.pictures import encode
from storage.errors import ConfigError
from storage.root import Storage
from storage.stories.reading import parse
from tasks.cluster import ClusterConfig
from tasks.evaluation import report, stage
from tasks.movies.quality import of_report
from tasks.movies.stories import accept
from tasks.movies.stories.accept import AcceptConfig
from tasks.movies.stories.places import movie_place
from tasks.movies.stories.prepare import Planned
from tasks.progress import silent
from tests.tasks.clips import beeping
from tests.tasks.in_process import in_process

FIGURES = {
    "occm": mean([40.0, 60.0], "OCCM"),
    "copy_paste": mean([0.3, 0.5], "copy-paste"),
    "clip_score": absent("CLIP score", "no weights"),
}


def batch():
    return report.made("movies", datetime.now(UTC), 4, FIGURES, {}, {})


def test_what_is_beyond_its_threshold_is_told_with_both_numbers():
    assert accept.faults(AcceptConfig(least={"occm": 50}, most={"copy_paste": 0.4}), batch()) == []
    assert accept.faults(AcceptConfig(least={"occm": 60, "clip_score": 20}, most={"copy_paste": 0.2}), batch()) == [
        "occm is 50, expected at least 60",
        "clip_score has no value: no weights",
        "copy_paste is 0.4, expected at most 0.2",
    ]


def test_a_threshold_of_no_metric_is_an_error():
    accept.require_known(AcceptConfig(least={"occm": 1, "similarity_efficientnet_lite0": 0.5}), KeyframeMetricsConfig())
    with pytest.raises(ConfigError, match="unknown metric 'ocm'; there are: clip_score"):
        accept.require_known(AcceptConfig(least={"ocm": 1}), KeyframeMetricsConfig())
    with pytest.raises(ValueError, match="finite number"):
        AcceptConfig(most={"copy_paste": float("nan")})


def test_a_quality_report_is_a_page_with_values_and_reasons(tmp_path):
    storage = Storage(str(tmp_path))
    page = storage.read_bytes(of_report(storage, "stories/quality.html", batch(), ["too few"])).decode()
    assert "<b>50</b>" in page
    assert "95 % interval 40 to 60" in page
    assert "<li>too few</li><li>No clip_score: no weights</li>" in page


@pytest.mark.slow
def test_keyframes_of_movies_are_measured_with_their_stories(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "answers", in_process)
    storage, random = Storage(str(tmp_path)), np.random.default_rng(0)
    story = parse(b"title: Rain\nscenes: [{shots: [Rain falls., The sun shines.]}]\n", "a.yaml")
    frames = [SimpleNamespace(keyframe=f"{n:016x}", plot=f"plot {n}") for n in range(2)]
    for frame in frames:
        picture = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)
        storage.write_bytes(f"pieces/keyframes/{frame.keyframe}.webp", encode(picture, 90))
    plan = SimpleNamespace(story=story, keyframes=lambda: iter(frames), pictures={}, movie="0123456789abcdef")
    beeping(tmp_path / "movie.mp4", (0.8, 1.5, 3.0), late=0.5)
    storage.write_bytes(movie_place(plan), (tmp_path / "movie.mp4").read_bytes())
    found = accept.measure([Planned("a.yaml", plan)], KeyframeMetricsConfig(), 0.6, storage, ClusterConfig(), silent)
    assert (found.n, found.figures["occm"].value) == (2, 100)
    assert found.figures["similarity_efficientnet_lite0"].n == 1
    assert found.figures["shot_size"].reason == "no shot with a face has a size in the script"
    assert found.figures["cids_cross"].reason == "no member of the cast has a photograph with a face"
    assert found.figures["sound_step"].value == pytest.approx(0.5, abs=0.11)
    assert "the script names no camera move" in found.figures["camera"].reason
