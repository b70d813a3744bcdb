"""Keyframes of clips made here, whole and broken in every way that a film can be."""

import subprocess

import av
import numpy as np
import pytest
from PIL import Image

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.look import look
from storage.decoding.pictures import decode, luma
from storage.decoding.plan import nearest
from storage.decoding.shots import CutFinder
from storage.decoding.trim import TrimSeconds
from storage.errors import FilmError
from storage.fingerprint import file_id, fingerprint
from storage.movies.encoder import ffmpeg_binary, ffmpeg_program
from storage.tables.schemas import SCHEMAS
from tests.storage.blobs import write

SMALL = KeyframesConfig(width=448, height=256)


def images(film):
    return [decode(data) for data in film.rows()["image"].to_pylist()]


@pytest.fixture
def tools(request):
    return request.config.pluginmanager.get_plugin(str(request.path.parents[1] / "conftest.py"))


def ffmpeg(*arguments):
    subprocess.run([ffmpeg_binary(), "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def reason(path, config=SMALL):
    with pytest.raises(FilmError) as caught:
        decode_film(path, config)
    assert path.name in caught.value.detail
    return caught.value.reason


def test_a_keyframe_a_second_with_its_shot_and_motion(clip, tools):
    film = decode_film(clip, KeyframesConfig())
    assert film.film_id == file_id(clip)
    schema = SCHEMAS["keyframes"]
    assert film.rows().schema == schema.remove(schema.get_field_index("fingerprint"))
    assert film.rows()["row_id"].to_pylist() == [f"{film.film_id}-{second:06d}" for second in range(10)]
    assert film.rows()["pts"].to_pylist() == pytest.approx(range(10))
    assert [tools.number_of(image) for image in images(film)] == list(range(0, 250, 25))
    assert {image.shape for image in images(film)} == {(512, 896, 3)}
    assert film.cuts == pytest.approx((4.0, 8.0))
    assert film.rows()["shot"].to_pylist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert film.rows()["to_cut"].to_pylist() == pytest.approx([0, 1, 2, 1, 0, 1, 2, 1, 0, 1], abs=1e-3)
    motion = film.rows()["motion"].to_pylist()
    assert motion[0] == 0
    assert min(motion[4], motion[8]) > 2 * max(motion[1:4])
    assert (film.frames, film.damage, film.probe.seconds) == (250, "", 10.0)


def test_decoding_again_gives_the_same_rows(tmp_path, clips, tools):
    clip = clips(tmp_path / "short.mp4", tools.steady(3, fps=10))
    assert decode_film(clip, SMALL).rows().equals(decode_film(clip, SMALL).rows())


def test_keyframes_follow_presentation_time_and_not_frame_numbers(tmp_path, clips, tools):
    times = [0.0, 0.3, 0.9, 1.2, 1.3, 1.9, 2.05, 2.95, 3.02, 3.4, 5.2, 5.9, 6.0]
    film = decode_film(clips(tmp_path / "vfr.mp4", [2.0 + time for time in times]), SMALL)
    assert film.rows()["second"].to_pylist() == [0, 1, 2, 3, 4, 5, 6]
    assert [tools.number_of(image) for image in images(film)] == [0, 2, 6, 8, 9, 9, 12]  # the ninth stands
    assert film.rows()["pts"].to_pylist() == pytest.approx([0, 0.9, 2.05, 3.02, 4.0, 5.0, 6.0], abs=2e-3)


def test_nearest_takes_no_frame_twice_and_leaps_over_gaps():
    times = [0.0, 1.5, 2.4, 1e9, 1e9 + 0.5, 1e9 + 1]
    found = [(second, seconds) for second, seconds, _ in nearest(((time, None) for time in times), 1.0)]
    assert found == [(0, 0.0), (2, 2.4), (1_000_000_000, 1e9), (1_000_000_001, 1e9 + 1)]
    even = nearest(((number / 2, None) for number in range(9)), 2.0)
    assert [second for second, _, _ in even] == [0, 2, 4]


def test_both_ends_are_trimmed(clip):
    film = decode_film(clip, SMALL.model_copy(update={"trim": TrimSeconds(start=2, end=3)}))
    assert film.rows()["second"].to_pylist() == [2, 3, 4, 5, 6]
    assert film.rows()["motion"][0].as_py() == 0
    assert film.rows()["shot"].to_pylist() == [0, 0, 1, 1, 1]


def test_a_film_shorter_than_the_trim(clip):
    config = SMALL.model_copy(update={"trim": TrimSeconds(start=6, end=5)})
    with pytest.raises(FilmError, match=r"too_short: .*ten seconds.*lasts 10.00 s.*trim.start 6 s.*trim.end 5 s"):
        decode_film(clip, config)


def test_a_film_of_one_second(tmp_path, clips, tools):
    assert reason(clips(tmp_path / "short.mp4", tools.steady(0.8))) == "too_short"


def quarters(number, seconds):
    """Red, green; blue, white: turned and cropped pictures show where they come from."""
    image = np.full((256, 448, 3), 235, np.uint8)
    image[:128, :224], image[:128, 224:], image[128:, :224] = (220, 30, 30), (30, 200, 30), (30, 30, 220)
    return image


@pytest.mark.skipif(not ffmpeg_program().since(6, 0), reason="-display_rotation came with ffmpeg 6.0")
def test_a_turned_film_stands_upright(tmp_path, clips, tools):
    flat = clips(tmp_path / "flat.mp4", tools.steady(2), quarters)
    for number, (angle, *mirrors) in enumerate(
        ((90,), (180,), (270,), (0, "-display_hflip"), (0, "-display_vflip"), (90, "-display_hflip"))
    ):
        turned, shown = tmp_path / f"{number}.mp4", tmp_path / f"{number}.png"
        ffmpeg("-display_rotation", angle, *mirrors, "-i", flat, "-c", "copy", turned)
        ffmpeg("-i", turned, "-frames:v", 1, shown)  # as ffmpeg's own program turns it
        film = decode_film(turned, SMALL)
        with Image.open(shown) as upright:
            assert (film.probe.width, film.probe.height) == upright.size
            width, height = upright.size
            high = min(height, width / 1.75)
            box = (0, (height - high) / 2, width, (height + high) / 2)
            want = np.asarray(upright.convert("RGB").resize((448, 256), box=box), float)
        assert np.abs(images(film)[0] - want).mean() < 6


def test_pixels_that_are_not_square_are_shown_as_wide_as_they_are(tmp_path, clips, tools):
    flat, wide = clips(tmp_path / "flat.mp4", tools.steady(2), quarters), tmp_path / "wide.mp4"
    ffmpeg("-i", flat, "-c", "copy", "-aspect", "3.5", wide)
    film = decode_film(wide, SMALL)
    assert (film.probe.width, film.probe.height) == (896, 256)
    image = images(film)[0].astype(int)
    assert image[20, 20, 0] > 200 > 100 > image[20, 20, 1]  # still red: the centre half of the width is kept
    assert image[-20, -20].min() > 200


def test_the_centre_is_kept_of_a_tall_film(tmp_path, clips, tools):
    def tall(number, seconds):
        image = np.full((512, 256, 3), (220, 30, 30), np.uint8)
        image[180:332] = (30, 30, 220)
        return image

    film = decode_film(clips(tmp_path / "tall.mp4", tools.steady(2), tall), SMALL)
    assert np.abs(images(film)[0].mean((0, 1)) - (30, 30, 220)).max() < 12


@pytest.mark.parametrize(("height", "matrix"), [(256, "smpte170m"), (720, "bt709")])
def test_colours_are_right_where_the_film_does_not_name_its_matrix(tmp_path, height, matrix):
    path = tmp_path / "colours.mp4"
    width = height * 7 // 4
    scale = f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p,setparams=colorspace=unknown"
    ffmpeg("-f", "lavfi", "-i", f"color=0xC82828:s={width}x{height}:r=5:d=2,format=rgb24", "-vf", scale, path)
    assert np.abs(images(decode_film(path, SMALL))[0].mean((0, 1)) - (200, 40, 40)).max() < 5


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("ten_bit.mp4", "libx264", "yuv420p10le", {"bf": "0"}),
        ("alpha.webm", "libvpx-vp9", "yuva420p", {"deadline": "realtime", "cpu-used": "8"}),
        ("full_chroma.mkv", "libx264", "yuv444p", {"bf": "2"}),
        ("old.mpg", "mpeg1video", "yuv420p", {}),
    ],
)
def test_many_kinds_of_film(tmp_path, clips, tools, name, codec, pixels, options):
    if codec == "mpeg1video":
        ffmpeg("-i", clips(tmp_path / "in.mp4", tools.steady(3)), "-c:v", codec, "-q:v", 2, tmp_path / name)
        film = decode_film(tmp_path / name, SMALL)
    else:
        film = decode_film(
            clips(tmp_path / name, tools.steady(3), tools.numbered, codec, pixels, options=options), SMALL
        )
    assert [tools.number_of(image) for image in images(film)] == [0, 25, 50]
    assert film.damage == ""


def test_a_film_that_does_not_say_how_long_it_is(tmp_path, clips, tools):
    path = clips(tmp_path / "live.mkv", tools.steady(3), container_options={"live": "1"})
    with av.open(str(path)) as container:
        assert container.duration is None
    film = decode_film(path, SMALL)
    assert film.rows().num_rows == 3
    assert (film.probe.seconds, film.damage) == (pytest.approx(3.0, abs=0.05), "")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_bare_stream_has_the_keyframes_of_its_film(tmp_path, clips, tools, codec):
    clip, bare = clips(tmp_path / "film.mp4", tools.steady(4, fps=30)), tmp_path / f"bare.{codec}"
    ffmpeg("-r", 30, "-i", clip, "-c:v", {"h264": "libx264", "hevc": "libx265"}[codec], bare)
    film = decode_film(bare, SMALL)
    assert [tools.number_of(image) for image in images(film)] == [0, 30, 60, 90]
    assert (film.frames, film.damage, film.probe.fps, film.probe.seconds) == (120, "", 30, pytest.approx(4))


def test_the_larger_of_two_pictures_is_taken_and_cover_art_is_none(tmp_path, clips, tools):
    flat, two, covered = (tmp_path / name for name in ("flat.mp4", "two.mp4", "covered.mp4"))
    clips(flat, tools.steady(2), sound=True)
    split = "[0:v]split[a][b];[a]scale=112:64[s]"
    defaults = ("-disposition:0", "default", "-disposition:1", "default")
    ffmpeg("-i", flat, "-filter_complex", split, "-map", "[s]", "-map", "[b]", *defaults, two)
    film = decode_film(two, SMALL)
    assert (film.probe.width, film.probe.height) == (448, 256)
    Image.new("RGB", (448, 256)).save(tmp_path / "cover.png")
    ffmpeg(
        *("-i", flat, "-i", tmp_path / "cover.png", "-map", "0:a", "-map", "1", "-c", "copy"),
        *("-disposition:v:0", "attached_pic", covered),
    )
    assert reason(covered) == "no_video_stream"


def test_text_sound_and_nothing_are_no_films(tmp_path, clip):
    for name, data in (
        ("text.mp4", b"once upon a time\n" * 50),
        ("nothing.mp4", b""),
        ("noise.mp4", bytes(range(256)) * 9),
    ):
        (tmp_path / name).write_bytes(data)
        assert reason(tmp_path / name) == "not_a_video"
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{clip}'\n")
    assert reason(tmp_path / "list.mp4") == "not_a_video"  # nor does it lead to other files
    ffmpeg("-i", clip, "-vn", "-c", "copy", tmp_path / "sound.mp4")
    assert reason(tmp_path / "sound.mp4") == "no_video_stream"
    assert reason(tmp_path / "missing.mp4") == "missing"
    assert reason(tmp_path) == "not_a_video"


def test_a_film_of_one_pixel(tmp_path):
    path = tmp_path / "dot.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=1x1:r=1:d=5,format=yuv444p", path)
    with pytest.raises(FilmError, match=r"too_small: .*dot.mp4' is 1x1 pixels"):
        decode_film(path, SMALL)


def test_a_truncated_film_is_used_as_far_as_it_goes(tmp_path, clip):
    whole = clip.read_bytes()
    (tmp_path / "no_index.mp4").write_bytes(whole[: len(whole) // 2])
    assert reason(tmp_path / "no_index.mp4") == "truncated"
    front, half = tmp_path / "front.mp4", tmp_path / "half.mp4"
    ffmpeg("-i", clip, "-c", "copy", "-movflags", "+faststart", front)
    half.write_bytes(front.read_bytes()[: front.stat().st_size * 6 // 10])
    film = decode_film(half, SMALL)
    assert 3 <= film.rows().num_rows < 10
    assert "half.mp4' is damaged" in film.damage
    assert "10.0 s that its header declares" in film.damage
    assert f"{film.rows().num_rows} keyframes are used" in film.damage
    half.write_bytes(front.read_bytes()[: front.read_bytes().index(b"mdat") + 400])
    assert reason(half) == "truncated"


def test_a_film_damaged_in_the_middle_keeps_its_good_keyframes(tmp_path, clip, tools):
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat")
    length = int.from_bytes(data[start - 4 : start], "big")
    for at in range(start + length * 4 // 10, start + length * 6 // 10):
        data[at] = 255
    path = tmp_path / "scratched.mp4"
    path.write_bytes(data)
    film = decode_film(path, SMALL)
    assert "damaged packets" in film.damage
    good = [
        tools.number_of(image) == 25 * second
        for image, second in zip(images(film), film.rows()["second"].to_pylist(), strict=True)
    ]
    assert sum(good) >= 5
    for at in range(start + 400, start + length - 8):
        data[at] = 255
    path.write_bytes(data)
    assert reason(path) == "decode_failed"


def test_a_fade_through_black_is_a_cut_and_darkness_is_not(tmp_path, clips, tools):
    def fading(number, seconds):
        light = min(1.0, abs(seconds - 3.0) / 1.5)
        return (tools.numbered(0, 0 if seconds < 3 else 5) * light).astype(np.uint8)

    film = decode_film(clips(tmp_path / "fade.mp4", tools.steady(6), fading), SMALL)
    assert film.cuts == pytest.approx((3.0,), abs=0.15)

    def dim(number, seconds):
        return np.full((256, 448, 3), 3 + number % 3, np.uint8)

    assert decode_film(clips(tmp_path / "dim.mp4", tools.steady(3), dim), SMALL).cuts == ()


def test_a_moving_camera_is_no_cut(tmp_path, clips, tools):
    world = np.random.default_rng(0).integers(0, 255, (16, 80, 3), np.uint8).repeat(16, 0).repeat(16, 1)

    def pan(number, seconds):
        return np.ascontiguousarray(world[:, number * 8 : number * 8 + 448])

    assert decode_film(clips(tmp_path / "pan.mp4", tools.steady(4), pan), SMALL).cuts == ()


@pytest.mark.parametrize("fps", [2, 5, 25])
def test_a_short_look_at_something_else_is_two_cuts(fps):
    draw = np.random.default_rng(0)
    one, other = (draw.integers(0, 255, (9, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(2))
    seen = [one] * 4 * fps + [other] * max(1, 3 * fps // 5) + [one] * 4 * fps
    finder = CutFinder(threshold=2.5, fps=fps)
    for _ in finder.watch((number / fps, av.VideoFrame.from_ndarray(image)) for number, image in enumerate(seen)):
        pass
    assert finder.cuts() == pytest.approx([4.0, 4.0 + max(1, 3 * fps // 5) / fps], abs=1e-3)


def test_cuts_are_those_of_the_detector_of_pyscenedetect():
    from scenedetect.common import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    draw, fps = np.random.default_rng(0), 25.0
    shots = draw.integers(20, 120, (20, 36, 64, 1), np.uint8) * draw.uniform(0.8, 1, (20, 1, 1, 1))
    seen = [shot + draw.integers(0, flicker // 3) for flicker, shot in enumerate(shots, 3) for _ in range(15)]
    pictures = [np.repeat(picture, 3, axis=2).astype(np.uint8) for picture in seen]
    finder = CutFinder(threshold=15, fps=fps)
    for _ in finder.watch((n / fps, av.VideoFrame.from_ndarray(picture)) for n, picture in enumerate(pictures)):
        pass
    detector = AdaptiveDetector(adaptive_threshold=15, min_scene_len=0, min_content_val=10.0, luma_only=True)
    clocks = [FrameTimecode(n, fps) for n in range(len(pictures))]
    theirs = [cut.seconds for seen in zip(clocks, pictures, strict=True) for cut in detector.process_frame(*seen)]
    assert 5 < len(theirs) < len(shots) - 1  # where pictures flicker, cuts stand out less
    assert finder.cuts() == pytest.approx(theirs)


@pytest.mark.parametrize("missing", [0, 8])
def test_motion_between_frames_of_which_some_are_missing_is_no_cut(missing):
    draw, fps = np.random.default_rng(1), 25.0
    noise = np.clip(60 + np.cumsum(draw.choice([-12, 12], (40, 36, 64, 1)), axis=0), 0, 255).astype(np.uint8)
    there = [n for n in range(len(noise)) if not 20 <= n < 20 + missing]
    finder = CutFinder(threshold=2, fps=fps)
    for _ in finder.watch((n / fps, av.VideoFrame.from_ndarray(np.repeat(noise[n], 3, axis=2))) for n in there):
        pass
    assert finder.cuts() == []


@pytest.mark.parametrize(("pictures", "fps"), [(24, 60), (12, 25), (10, 25), (3, 30)])
def test_where_frames_are_repeated_motion_is_no_cut_and_a_cut_is_one(pictures, fps):
    draw = np.random.default_rng(2)
    shots = [draw.integers(0, 255, (5, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2)]
    moved = [np.roll(shot, step, 1) for shot in shots for step in range(4 * pictures)]
    finder = CutFinder(threshold=2.5, fps=fps)
    for _ in finder.watch((n / fps, av.VideoFrame.from_ndarray(moved[n * pictures // fps])) for n in range(8 * fps)):
        pass
    assert len(finder._sudden) > 1  # than the cut alone
    assert finder.cuts() == [4.0]


def test_shots_are_not_shorter_than_one_can_see():
    finder = CutFinder(threshold=2.5, fps=25)
    finder._found = [5.2, 0.1, 5.0, 9.0]
    assert finder.cuts() == [5.0, 9.0]


def test_limits_are_no_part_of_the_identity():
    assert fingerprint(SMALL.identity()) == fingerprint(SMALL.model_copy(update={"time_limit": 1.0}).identity())
    assert fingerprint(SMALL.identity()) != fingerprint(SMALL.model_copy(update={"quality": 50}).identity())


def test_keyframes_have_the_looks_of_their_pictures(tmp_path):
    film = decode_film(write(tmp_path / "scenes.mp4", 0), SMALL)
    for seen, image in zip(film.rows()["look"].to_pylist(), images(film), strict=True):
        assert (seen ^ look(luma(image).astype(np.float32))).bit_count() <= 4  # which WebP loses
