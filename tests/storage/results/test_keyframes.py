import av
import numpy as np
import pytest
from PIL import Image

from storage.errors import ConfigError
from storage.movies.encoder import ffmpeg_program
from storage.results import results
from storage.results.keyframes import keyframes
from storage.results.motion import camera_motion
from storage.results.results import Result
from storage.results.soundtrack import heard


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


@pytest.mark.skipif(not ffmpeg_program().since(6, 0), reason="-display_rotation came with ffmpeg 6.0")
def test_a_video_that_is_shown_turned_is_seen_upright(tmp_path, ffmpeg):
    pan = "testsrc2=s=640x96:r=10:d=2,crop=96:96:40*t:0,crop=96:64"
    flat = ffmpeg("-f", "lavfi", "-i", pan, "-pix_fmt", "yuv420p", tmp_path / "flat.mp4")
    turned = ffmpeg("-display_rotation", 90, "-i", flat, "-c", "copy", tmp_path / "turned.mp4")
    as_stored, as_shown = (list(keyframes(Result("a", (file,)))) for file in (flat, turned))
    assert [image.shape for image in as_shown] == [(96, 64, 3)] * 2
    assert np.array_equal(as_shown[1], np.rot90(as_stored[1]))
    assert camera_motion(flat)[0] > 0.3
    assert camera_motion(turned)[1] > 0.3  # what went to the right goes up


@pytest.mark.parametrize("look", [lambda path: list(keyframes(Result("a", (path,)))), camera_motion, heard])
def test_what_is_no_video_is_named_by_each_reader_and_leads_nowhere_else(tmp_path, ffmpeg, look):
    filmed(tmp_path / "film.mp4", 2)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{tmp_path / 'film.mp4'}\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.mp4").write_text(playlist)
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {tmp_path / 'film.mp4'}\n")
    sound = ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", tmp_path / "sound.mp4")
    for path, said in (
        (sound, "has no picture"),
        (tmp_path / "list.mp4", "can't be read as a video"),
        (tmp_path / "concat.mp4", "can't be read as a video"),
    ):
        with pytest.raises(ConfigError, match=f"{path.name}' {said}"):
            look(path)


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "b.mp4").write_bytes(b"no film")
    (video,) = results.read(tmp_path)
    with pytest.raises(ConfigError, match=r"b\.mp4' can't be read as a video"):
        list(keyframes(video))
    filmed(tmp_path / "whole.mp4", 2)
    (tmp_path / "whole.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes() + b"\0\0\x10\0free")
    with pytest.raises(ConfigError, match=r"whole\.mp4' is cut off: its end is missing"):
        list(keyframes(Result("whole", (tmp_path / "whole.mp4",))))
    with pytest.raises(ConfigError, match="more than 0, not 0"):
        list(keyframes(video, every=0))
