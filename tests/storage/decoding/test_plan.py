"""Frames are chosen before they are decoded: those that a complete decode chooses, the nearest in presentation time."""

import pytest
from PIL import Image

from storage.decoding.container import opened
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.plan import PlanError, nearest
from storage.decoding.reader import FilmReader
from storage.movies.encoder import ffmpeg_program

SMALL = KeyframesConfig(width=112, height=64)
SOURCE = ("-f", "lavfi", "-i")


def read(path, step):
    """(second, pts, pixels) of each keyframe, and the reader."""
    with opened(path) as (container, stream):
        reader = FilmReader(container, stream, step)
        return [(second, pts, frame.to_ndarray().tobytes()) for second, pts, frame in nearest(reader, 1.0)], reader


def moving(rate, seconds=5, size="320x192"):
    return (*SOURCE, f"testsrc2=size={size}:rate={rate}:duration={seconds}")


X264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", 250, "-pix_fmt", "yuv420p")
FILMS = {
    "film.mp4": (*moving("24000/1001"), *X264, "-bf", 3),
    "ntsc.mp4": (*moving("30000/1001"), *X264, "-bf", 2),
    "no_b.mp4": (*moving(25), *X264, "-bf", 0),
    "many_b.mkv": (*moving(50), *X264, "-bf", 8, "-b-pyramid", "none"),
    "fields.mp4": (*moving(25), "-vf", "interlace", *X264, "-flags", "+ilme+ildct", "-bf", 2),
    "open_groups.ts": (*moving(25), *X264, "-g", 25, "-x264opts", "open-gop=1", "-bf", 3),
    "dvd.mpg": (*moving(25), "-c:v", "mpeg2video", "-bf", 2, "-q:v", 4),
    "hevc.mp4": (*moving(25), "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    "vp9.webm": (*moving(25, 3), "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8, "-auto-alt-ref", 1),
    "ten_bits.mp4": (*moving(25), *X264[:-1], "yuv420p10le", "-bf", 3),
    "vfr.mp4": (
        *(*moving(30), "-vf", "select='not(between(mod(n,37),11,17))*not(eq(mod(n,5),2))'"),
        *("-fps_mode", "vfr", *X264, "-bf", 3),
    ),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_planned_decode_chooses_as_a_complete_one_does(tmp_path, ffmpeg, name):
    path = ffmpeg(*FILMS[name], tmp_path / name)
    planned, some = read(path, 1.0)
    complete, full = read(path, None)
    assert planned == complete
    assert some.end == full.end
    assert some.damage() == full.damage() == ""
    if name in ("film.mp4", "ntsc.mp4", "many_b.mkv", "dvd.mpg", "ten_bits.mp4", "open_groups.ts"):
        assert some.frames < 0.8 * full.frames
    times = [pts for pts, _ in timed(path)]
    for second, pts, _ in planned:
        assert abs(pts - second) == min(abs(time - second) for time in times)
    assert [second for second, _, _ in planned] == list(range(len(planned)))


def timed(path):
    with opened(path) as (container, stream):
        return [(seconds, None) for seconds, _ in FilmReader(container, stream)]


def test_an_edit_list_hides_frames_and_times_before_zero_are_times(tmp_path, ffmpeg):
    whole = ffmpeg(*FILMS["film.mp4"], tmp_path / "film.mp4")
    cut = ffmpeg("-ss", 1.4, "-i", whole, "-c", "copy", tmp_path / "cut.mp4")  # begins inside a group of frames
    shifted = ffmpeg("-i", whole, "-c", "copy", "-output_ts_offset", -2, tmp_path / "shifted.mkv")
    for path in (cut, shifted):
        planned, some = read(path, 1.0)
        complete, full = read(path, None)
        assert planned == complete
        assert (some.end, planned[0][1]) == (full.end, 0.0)
    frame = 1001 / 24000
    whole_frames = {pixels for _, _, pixels in read(whole, None)[0]}
    assert read(cut, None)[0][0][2] not in whole_frames  # 1.4 s of the film is nobody's second
    assert read(cut, None)[1].end == pytest.approx(5 - 1.4, abs=2 * frame)


def test_packets_without_times_are_no_plan(tmp_path, ffmpeg):
    path = ffmpeg(*FILMS["film.mp4"], tmp_path / "stream.h264")
    with pytest.raises(PlanError):
        read(path, 1.0)


def test_damage_is_no_plan(tmp_path, ffmpeg):
    path = ffmpeg(*FILMS["film.mp4"], tmp_path / "film.mp4")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    middle = start + int.from_bytes(data[start - 4 : start], "big") // 2
    data[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    with pytest.raises(PlanError):
        read(path, 1.0)


def test_a_step_of_several_seconds(tmp_path, ffmpeg):
    path = ffmpeg(*FILMS["film.mp4"], tmp_path / "film.mp4")
    chosen = []
    for step in (2.5, None):
        with opened(path) as (container, stream):
            chosen.append([found[:2] for found in nearest(FilmReader(container, stream, step), 2.5)])
    assert chosen[0] == chosen[1]
    assert [second for second, _ in chosen[0]] == [0, 2]


def test_times_that_start_again_go_on_behind_what_was_read(tmp_path, ffmpeg):
    for name, codec in (("a.mpg", ("-c:v", "mpeg2video", "-bf", 2, "-q:v", 4)), ("a.ts", (*X264, "-g", 25))):
        once = ffmpeg(*moving(25, 4), *codec, tmp_path / name)
        twice = once.with_stem("twice")
        twice.write_bytes(once.read_bytes() * 2)
        with pytest.raises(PlanError):
            read(twice, 1.0)
        keyframes, reader = read(twice, None)
        assert [second for second, _, _ in keyframes] == list(range(8))
        assert reader.damage() == ""
        assert reader.end == pytest.approx(8, abs=0.1)


def test_one_frame_far_back_is_no_new_beginning(tmp_path, ffmpeg):
    class Strayed(FilmReader):
        def _decoded(self):
            for number, frame in enumerate(super()._decoded()):
                frame.pts = 0 if number == 60 else frame.pts
                yield frame

    with opened(ffmpeg(*moving(25, 4), *X264, tmp_path / "film.mp4")) as (container, stream):
        reader = Strayed(container, stream)
        assert [second for second, _, _ in nearest(reader, 1.0)] == [0, 1, 2, 3]
        assert (reader.frames, reader.end, reader.gaps) == (99, pytest.approx(4), 0)


STILLS = "select='lt(t,2.1)+between(t,7.3,8)+gt(t,9.8)'"  # nothing new from 2.08 to 7.32, and from 8 to 9.84


@pytest.mark.parametrize(
    ("name", "options"),
    [("film.mp4", ("-bf", 3)), ("no_b.mp4", ("-bf", 0)), ("many_b.mov", ("-bf", 8, "-b-pyramid", "none"))],
)
def test_a_held_frame_is_no_damage_and_has_its_keyframes(tmp_path, ffmpeg, name, options):
    path = ffmpeg(*moving(25, 11), "-vf", STILLS, "-fps_mode", "vfr", *X264, *options, tmp_path / name)
    planned, some = read(path, 1.0)
    complete, full = read(path, None)
    assert planned == complete
    assert some.damage() == full.damage() == ""
    assert [second for second, _, _ in complete] == list(range(11))
    assert [pts for _, pts, _ in complete] == pytest.approx(list(range(11)))
    pictures = [pixels for _, _, pixels in complete]
    assert len(set(pictures[3:8])) == len(set(pictures[8:10])) == 1
    assert len(set(pictures)) == 6


@pytest.mark.parametrize("rate", ["1/5", 1])
@pytest.mark.parametrize("name", ["film.avi", "film.flv", "film.mkv", "film.mp4", "film.nut", "film.ogv", "film.ts"])
def test_slides_have_a_keyframe_for_each_second(tmp_path, ffmpeg, name, rate):
    codec = ("-c:v", "libtheora", "-pix_fmt", "yuv420p") if name.endswith("ogv") else (*X264, "-bf", 3)
    with decode_film(ffmpeg(*moving(rate, 15, "96x64"), *codec, tmp_path / name), SMALL) as film:
        assert film.rows()["second"].to_pylist() == list(range(15))
        assert film.cuts == pytest.approx(() if rate == 1 else (5, 10))
        assert film.damage == ""


@pytest.mark.parametrize("options", [(), ("-bf", 0)])
@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_a_held_last_frame_has_its_keyframes(tmp_path, ffmpeg, name, options):
    pictures = [Image.new("L", (64, 64), 4 * number) for number in range(50)]
    animation = tmp_path / "film.gif"
    pictures[0].save(animation, save_all=True, append_images=pictures[1:], duration=[40] * 49 + [3000])
    path = ffmpeg("-i", animation, "-fps_mode", "vfr", *X264, "-bf", 3, *options, tmp_path / name)
    planned, some = read(path, 1.0)
    complete, full = read(path, None)
    assert planned == complete
    assert (some.end, some.damage(), full.damage()) == (full.end, "", "")
    assert [pts for _, pts, _ in complete] == pytest.approx([0, 1, 1.96, 3, 4], abs=0.05)
    assert len({pixels for _, _, pixels in complete}) == 3


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_a_last_frame_held_over_a_minute_has_keyframes_for_a_minute_and_a_note(tmp_path, ffmpeg, name):
    pictures = [Image.new("L", (64, 64), 4 * number) for number in range(50)]
    animation = tmp_path / "film.gif"
    pictures[0].save(animation, save_all=True, append_images=pictures[1:], duration=[40] * 49 + [300_000])
    path = ffmpeg("-i", animation, "-fps_mode", "vfr", *X264, "-bf", 3, tmp_path / name)
    for step in (1.0, None):
        keyframes, reader = read(path, step)
        assert [second for second, _, _ in keyframes] == list(range(62))
        assert len({pixels for _, _, pixels in keyframes[2:]}) == 1
        assert (reader.end, reader.damage()) == (pytest.approx(302, abs=0.1), "240.0 s without a picture")


@pytest.mark.parametrize(("group", "between"), [(500, 0), (500, 3), (12, 0)])
def test_frames_that_ogg_repeats_with_empty_packets_are_no_damage(tmp_path, ffmpeg, group, between):
    still = f"tpad=start_mode=clone:start_duration={between}:stop_mode=clone:stop_duration=4"
    ogg = ("-vf", still, "-c:v", "libtheora", "-q:v", 6, "-g", group)
    keyframes, reader = read(ffmpeg(*moving(25, 2, "112x64"), *ogg, tmp_path / "still.ogv"), None)
    assert [second for second, _, _ in keyframes] == list(range(between + 6))
    assert (reader.end, reader.damage()) == (between + 6, "")
    assert reader.frames < 25 * 3


@pytest.mark.parametrize("copy", ["copy.mkv", "copy.avi", "copy.mov", "copy.nut"])
def test_frames_that_ogg_repeats_are_held_in_its_copies(tmp_path, ffmpeg, copy):
    still = "tpad=stop_mode=clone:stop_duration=4[a];[1][a][1]concat=n=3"
    sources = (*moving(25, 2, "112x64"), *moving(25, 2, "112x64"), "-filter_complex", still)
    film = ffmpeg(*sources, "-c:v", "libtheora", "-q:v", 6, "-g", 500, tmp_path / "film.ogv")
    keyframes, reader = read(ffmpeg("-i", film, "-c", "copy", tmp_path / copy), None)
    assert [second for second, _, _ in keyframes] == list(range(10))
    assert (reader.end, reader.damage()) == (pytest.approx(10), "")


@pytest.mark.parametrize("name", ["film.mp4", "film.avi"])
def test_a_picture_behind_the_sound_in_the_file_keeps_its_last_frames(tmp_path, ffmpeg, name):
    sound = (*SOURCE, "sine=duration=3")
    path = ffmpeg(*moving(25, 3), *sound, "-map", 1, "-map", 0, *X264, "-bf", 3, tmp_path / name)
    assert [second for second, _, _ in read(path, None)[0]] == [0, 1, 2]
    assert (read(path, None)[1].frames, len(timed(path))) == (75, 75)
    if name == "film.mp4":
        assert read(path, 1.0)[0] == read(path, None)[0]


def test_sound_that_goes_on_behind_the_last_picture_is_no_damage(tmp_path, ffmpeg):
    sound = (*SOURCE, "sine=duration=9")
    path = ffmpeg(*moving(25, 3), *sound, *X264, "-bf", 2, tmp_path / "film.mp4")
    for step in (1.0, None):
        keyframes, reader = read(path, step)
        assert (len(keyframes), reader.end, reader.damage()) == (3, pytest.approx(3), "")


@pytest.mark.skipif(not ffmpeg_program().since(6, 0), reason="older ffmpegs write no durations")
def test_matroska_says_that_a_frame_is_held_where_its_blocks_have_durations(tmp_path, ffmpeg):
    film = ffmpeg(*moving(25, 11), "-vf", STILLS, "-fps_mode", "vfr", *X264, "-bf", 3, tmp_path / "film.mp4")
    copy = ffmpeg("-i", film, "-c", "copy", tmp_path / "copy.mkv")
    assert [second for second, _, _ in read(copy, 1.0)[0]] == list(range(11))
    assert read(copy, 1.0)[0] == read(copy, None)[0]


@pytest.mark.parametrize("name", ["film.ts", "film.mkv"])
def test_a_hole_that_the_file_does_not_account_for_is_damage(tmp_path, ffmpeg, name):
    path = ffmpeg(*moving(25, 11), "-vf", STILLS, "-fps_mode", "vfr", *X264, "-bf", 3, tmp_path / name)
    for step in (1.0, None):
        keyframes, reader = read(path, step)
        assert [second for second, _, _ in keyframes] == [0, 1, 2, 7, 8, 10]
        assert reader.damage() == "7.1 s without a picture"


def test_a_frame_held_for_minutes_is_a_leap_of_the_times(tmp_path, clips):
    times = [number / 5 for number in range(15)]
    path = clips(tmp_path / "leap.mp4", [*times, *(100 + time for time in times)])
    for step in (1.0, None):
        keyframes, reader = read(path, step)
        assert [second for second, _, _ in keyframes] == [0, 1, 2, 3, 100, 101, 102]
        assert reader.damage() == "97.2 s without a picture"


def test_frames_that_do_not_decode_are_no_still(tmp_path, clips):
    path = clips(tmp_path / "film.mp4", [number / 25 for number in range(200)])
    with opened(path) as (container, stream):
        sizes = [packet.size for packet in container.demux(stream) if packet.size]
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    lost = slice(at + sum(sizes[:50]), at + sum(sizes[:125]))
    data[lost] = b"\xff" * (lost.stop - lost.start)
    path.write_bytes(data)
    keyframes, reader = read(path, None)
    assert [second for second, _, _ in keyframes] == [0, 1, 2, 5, 6, 7]
    assert "3.0 s without a picture" in reader.damage()
