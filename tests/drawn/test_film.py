"""A short film, drawn once: its file, its frames and its truth agree."""

from itertools import pairwise

import av
import numpy as np
import pytest

from drawn import film as film_module
from drawn.film import Truth, draw_film, draw_frames, truth

SIZE = (320, 184)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return path, draw_film(path, seed=5, seconds=8, size=SIZE, fps=12)


@pytest.fixture(scope="module")
def decoded(film):
    with av.open(str(film[0])) as file:
        return [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]


def test_file_opens_with_picture_and_sound(film, decoded):
    path, told = film
    with av.open(str(path)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.width, video.height, video.codec_context.name) == (*SIZE, "h264")
        assert float(file.duration / av.time_base) == pytest.approx(told.seconds, abs=0.15)
        sound = np.concatenate([f.to_ndarray() for f in file.decode(audio)], 1)
    assert len(decoded) == 8 * 12
    assert np.abs(sound).max() > 0.1
    assert Truth.from_json(path.with_suffix(".truth.json").read_text()) == told == truth(5, 8, SIZE, 12)
    assert sorted(p.name for p in path.parent.iterdir()) == ["film.mp4", "film.truth.json"]


def test_frames_are_those_of_the_film(decoded):
    times = [0.5, 2, 3.25, 6.75]
    for t, frame in zip(times, draw_frames(5, times, 8, SIZE, 12), strict=True):
        assert frame.shape == (184, 320, 3)
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(float) - decoded[int(t * 12)]).mean() < 4


def test_same_seed_same_bytes(film, tmp_path):
    again = tmp_path / "film.mp4"
    draw_film(again, seed=5, seconds=8, size=SIZE, fps=12)
    assert again.read_bytes() == film[0].read_bytes()
    for a, b in zip(draw_frames(5, [6.5, 2], 8, SIZE), draw_frames(5, [6.5, 2], 8, SIZE), strict=True):
        assert np.array_equal(a, b)


def test_cuts_are_where_the_picture_jumps(film, decoded):
    jumps = np.array([np.abs(b.astype(float) - a).mean() for a, b in pairwise(decoded)])
    at = [round(c * 12) - 1 for c in film[1].cuts]
    assert min(jumps[at]) > 1.5 * np.delete(jumps, at).max()


def test_seconds_can_be_told_apart():
    frames = [f.astype(float) for f in draw_frames(7, range(8, 20), size=SIZE)]
    assert min(np.abs(a - b).mean() for a, b in pairwise(frames)) > 2


def test_a_detector_finds_the_faces():
    mtcnn = pytest.importorskip("facenet_pytorch").MTCNN(keep_all=True, min_face_size=30, device="cpu")
    size = (560, 320)
    told = truth(7, 24, size)
    seconds = [s for s in told.timeline if s.appearances and s.shot_size != "wide"][::2]
    hits, faces = 0, 0
    for s, frame in zip(seconds, draw_frames(7, [s.second for s in seconds], 24, size), strict=True):
        boxes, _ = mtcnn.detect(frame)
        boxes = [] if boxes is None else boxes
        found = [((b[0] + b[2]) / 2 / size[0], (b[1] + b[3]) / 2 / size[1]) for b in boxes]
        for a in s.appearances:
            faces += 1
            hits += any(a.face[0] < x < a.face[2] and a.face[1] < y < a.face[3] for x, y in found)
    assert faces >= 6
    assert hits >= 0.9 * faces


def test_what_a_film_painted_is_dropped_with_its_last_frame(monkeypatch):
    stages = []

    class Watched(film_module.Stage):
        def __init__(self, *given):
            super().__init__(*given)
            stages.append(self)

    monkeypatch.setattr(film_module, "Stage", Watched)
    frames = draw_frames(5, [1.0, 4.0], 8, SIZE)
    next(frames)
    (stage,) = stages
    assert stage.backdrop.cache_info().currsize
    list(frames)
    caches = (stage.layers, stage.backdrop, stage.head, stage.back, stage.body)
    assert not any(cache.cache_info().currsize for cache in caches)
