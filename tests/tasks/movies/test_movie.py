"""Between keyframes and clips: pictures are brought to the movie's size, each of them once."""

import av
import numpy as np
import pytest

from models import upscaler
from models.upscaler import LanczosConfig, RealEsrganConfig, UnchangedConfig
from storage.decoding.pictures import encode
from tasks.movies.movie import MovieConfig, Scene, made_with, write
from tasks.progress import silent


def scenes(count: int, size: tuple[int, int] = (32, 48)) -> list[Scene]:
    pictures = np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)
    return [Scene(f"r{t}", t, 0, encode(picture, 90), "") for t, picture in enumerate(pictures)]


@pytest.mark.parametrize(
    ("chosen", "size"),
    [(UnchangedConfig(), (48, 32)), (LanczosConfig(), (128, 64)), (RealEsrganConfig(), (128, 64))],
)
def test_a_movie_has_its_own_size_and_names_what_brought_its_pictures_there(tmp_path, chosen, size):
    config = MovieConfig(upscaler=chosen, width=128, height=64, fps=2)
    write(config, tmp_path / "movie.mp4", "a film", scenes(2), None, silent)
    with av.open(str(tmp_path / "movie.mp4")) as container:
        (video,) = container.streams.video
        assert (video.width, video.height) == size
        assert sum(1 for _ in container.decode(video)) == 4
        said = container.metadata["comment"]
    assert all(value in said for made_by in made_with(config).values() for value in made_by.values())
    assert chosen.kind in said


def test_each_picture_is_brought_to_size_once(tmp_path, monkeypatch):
    class Counted:
        calls = 0

        def upscale(self, image_HWC, width, height):
            self.calls += 1
            return upscaler.lanczos(image_HWC, width, height)

    counted = Counted()
    monkeypatch.setattr(upscaler, "build", lambda config: counted)
    write(MovieConfig(width=64, height=32, fps=2), tmp_path / "movie.mp4", "a film", scenes(6), None, silent)
    assert counted.calls == 6
