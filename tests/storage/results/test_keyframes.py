import av
import numpy as np
import pytest
from PIL import Image

from storage.errors import ConfigError
from storage.results import results
from storage.results.keyframes import keyframes


def filmed(path, seconds, rate=10):
    """Frames that grow brighter, one grey a frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(round(seconds * rate)):
            grey = np.full((48, 64, 3), 20 + 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())


def test_pictures_come_in_order_and_videos_a_frame_a_second(tmp_path):
    (tmp_path / "a").mkdir()
    for number in (10, 9):
        Image.new("RGB", (40, 32), (number, 0, 0)).save(tmp_path / "a" / f"{number}.png")
    filmed(tmp_path / "b.mp4", 2.5)
    pictures, video = results.read(tmp_path)
    assert [image[0, 0].tolist() for image in keyframes(pictures)] == [[9, 0, 0], [10, 0, 0]]
    seen = [float(image.mean()) for image in keyframes(video)]
    assert seen == pytest.approx([20, 70, 120], abs=4)
    assert len(list(keyframes(video, every=0.5))) == 5


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "b.mp4").write_bytes(b"no film")
    (video,) = results.read(tmp_path)
    with pytest.raises(ConfigError, match=r"b\.mp4' can't be read as a video"):
        list(keyframes(video))
    with pytest.raises(ConfigError, match="more than 0, not 0"):
        list(keyframes(video, every=0))
