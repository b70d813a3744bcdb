"""A film is the same in containers that tell no times of presentation: all its frames, in order, at their seconds."""

import pytest

from storage.decoding.container import opened
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.pictures import decode
from storage.decoding.reader import FilmReader

SMALL = KeyframesConfig(width=112, height=64)
FRAMES, FPS = 60, 10
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-qp", 8, "-bf", 3, "-g", 30)
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=3:keyint=30")
MPEG4 = ("-c:v", "mpeg4", "-q:v", 2, "-bf", 2, "-g", 30)


@pytest.fixture
def ramp(tmp_path, ffmpeg):
    """Encodes a film whose frame i has the grey 20 + 3 i."""
    raw = tmp_path / "ramp.gray"
    raw.write_bytes(b"".join(bytes([20 + 3 * number]) * 256 for number in range(FRAMES)))
    source = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", "16x16")

    def encode(name, codec, rate=FPS):
        return ffmpeg(
            *source, "-r", rate, "-i", raw, "-vf", "scale=112:64", "-pix_fmt", "yuv420p", *codec, tmp_path / name
        )

    return encode


def greys(path, frames=FRAMES):
    """Of the keyframes, which stand within half a frame of each second."""
    with decode_film(path, SMALL) as film:
        assert film.rows()["pts"].to_pylist() == pytest.approx(range(film.numbers.num_rows), abs=0.5 / FPS)
        assert (film.frames, film.damage, film.probe.fps) == (frames, "", FPS)
        return [decode(data).mean() for data in film.rows()["image"].to_pylist()]


RIGHT = pytest.approx([20, 50, 80, 110, 140, 170], abs=2)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("h264.avi", X264),
        ("pyramid.avi", (*X264, "-bf", 8, "-b-pyramid", "normal")),
        ("deepest.avi", (*X264, "-bf", 16, "-b_strategy", 2, "-g", 60)),
        ("hevc.avi", (*X265, "-tag:v", "HEVC")),
        ("untagged.avi", X265),
        ("mpeg4.avi", MPEG4),
        ("bare.h264", X264),
        ("bare.hevc", X265),
        ("bare.m4v", (*MPEG4, "-f", "m4v")),
        ("one_time.vob", X264),  # small frames share a packet, of which only the first has a time
        ("film.asf", X264),
    ],
)
def test_frames_without_times_of_presentation_are_all_there_in_order(ramp, name, codec):
    assert greys(ramp(name, codec)) == RIGHT


@pytest.mark.parametrize("between", [0, 2])
@pytest.mark.parametrize("name", ["mpeg1video.asf", "mpeg1video.avi", "mpeg2video.asf", "mpeg2video.avi"])
def test_the_first_frame_of_mpeg_1_and_2_comes_one_before_the_second(ramp, name, between):
    path = ramp(name, ("-c:v", name[:10], "-q:v", 2, "-bf", between, "-g", 30), rate=25)  # they know but a few
    with opened(path) as (container, stream):
        shown = [(time, frame.to_ndarray(format="gray").mean()) for time, frame in FilmReader(container, stream)]
    assert [time for time, _ in shown] == pytest.approx([number / 25 for number in range(FRAMES)], abs=0.6 / 25)
    assert [grey for _, grey in shown] == pytest.approx([20 + 3 * number for number in range(FRAMES)], abs=2)


def test_what_was_copied_out_of_or_into_an_avi_keeps_its_keyframes(tmp_path, ramp, ffmpeg):
    avi, mp4 = ramp("film.avi", X264), ramp("film.mp4", X264)
    for number, (source, options, name) in enumerate(
        ((avi, (), "out.mp4"), (avi, ("-fflags", "+genpts"), "out.mkv"), (avi, (), "out.mov"), (mp4, (), "into.avi"))
    ):
        assert greys(ffmpeg(*options, "-i", source, "-c", "copy", tmp_path / f"{number}-{name}")) == RIGHT


def test_an_avi_that_hevc_was_copied_into_without_its_name_is_read(tmp_path, ramp, ffmpeg):
    for number, name in enumerate(("film.mkv", "bare.hevc")):  # units with their lengths, and behind start codes
        assert greys(ffmpeg("-i", ramp(name, X265), "-c", "copy", tmp_path / f"{number}.avi")) == RIGHT


@pytest.mark.parametrize(
    ("name", "codec"), [("bare.h264", X264), ("deepest.h264", (*X264, "-bf", 16)), ("bare.hevc", X265)]
)
def test_an_edit_list_that_was_made_for_other_times_hides_no_frame(tmp_path, ramp, ffmpeg, name, codec):
    assert greys(ffmpeg("-i", ramp(name, codec), "-c", "copy", tmp_path / "copied.mp4")) == RIGHT


def test_what_an_edit_list_cuts_off_stays_hidden(tmp_path, ramp, ffmpeg):
    cut = ffmpeg("-ss", 3.3, "-i", ramp("film.mp4", X264), "-c", "copy", tmp_path / "cut.mp4")
    with opened(cut) as (container, stream):
        shown = [frame.to_ndarray(format="gray").mean() for _, frame in FilmReader(container, stream)]
    assert shown == pytest.approx([20 + 3 * number for number in range(33, FRAMES)], abs=2)


@pytest.mark.parametrize(("name", "frames"), [("packed.avi", FRAMES - 1), ("packed.m4v", FRAMES)])
def test_packed_pairs_of_frames_are_two_frames(ramp, name, frames):
    codec = ("-c:v", "libxvid", "-q:v", 2, "-bf", 2, "-g", 30, "-f", name[-3:])  # into an AVI it writes one frame less
    assert greys(ramp(name, codec), frames) == pytest.approx([20, 50, 80, 110, 140, 170], abs=5)


def test_the_last_frame_has_its_time_too(tmp_path, ramp, ffmpeg):
    path = ffmpeg("-i", ramp("film.mp4", X264), "-c", "copy", tmp_path / "film.avi")
    with decode_film(path, SMALL) as film:
        assert film.probe.seconds == pytest.approx(FRAMES / FPS, abs=1 / FPS)


@pytest.mark.parametrize("name", ["film.avi", "film.mov"])
def test_the_frame_after_a_held_one_keeps_its_time(tmp_path, ramp, ffmpeg, name):
    mp4 = ramp("film.mp4", (*X264, "-vf", "scale=112:64,setpts=PTS+gte(N\\,30)*3/TB"))
    path = ffmpeg("-i", mp4, "-c", "copy", tmp_path / "film.avi")
    if name != "film.avi":
        path = ffmpeg("-i", path, "-c", "copy", tmp_path / name)
    with decode_film(path, SMALL) as film:
        assert film.frames == FRAMES
        greys = [decode(data).mean() for data in film.rows()["image"].to_pylist()]
    assert greys == pytest.approx([20, 50, 80, 107, 107, 107, 110, 140, 170], abs=2)


def test_frames_before_the_first_time_that_is_told_come_before_it(ramp):
    late = ("-output_ts_offset", -1.5, "-avoid_negative_ts", "disabled")  # Matroska has no times below 0
    assert greys(ramp("film.mkv", (*X264, *late))) == RIGHT
