"""A film whose picture changes its size, pixels, rotation or colours: a cut there, and each part seen as it is."""

import numpy as np
import pytest

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.pictures import decode

SMALL = KeyframesConfig(width=112, height=64)
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", 3, "-g", 250)


@pytest.fixture
def joined(tmp_path, ffmpeg):
    """Two films of three seconds, one behind the other; the second is made with `options`."""

    def join(first, second, options=(), ending="ts"):
        parts = []
        for number, (picture, more) in enumerate(((first, ()), (second, options))):
            source = ("-f", "lavfi", "-i", f"{picture}:r=25:d=3", *more, *X264)
            parts.append(ffmpeg(*source, "-output_ts_offset", 3 * number, tmp_path / f"{number}.ts"))
        path = tmp_path / "joined.ts"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        return path if ending == "ts" else ffmpeg("-i", path, "-c", "copy", path.with_suffix(f".{ending}"))

    return join


def cuts_and_keyframes(path):
    with decode_film(path, SMALL) as film:
        assert film.rows()["second"].to_pylist() == list(range(6))
        return film.cuts, [decode(data).astype(int) for data in film.rows()["image"].to_pylist()]


AT_THREE = pytest.approx((3.0,), abs=0.001)
GREY = "color=0x808080:s=320x240"


@pytest.mark.parametrize("ending", ["ts", "mkv"])
def test_another_size_is_a_cut(joined, ending):
    path = joined("testsrc2=s=320x240", "testsrc2=s=640x360", ending=ending)
    assert cuts_and_keyframes(path)[0] == AT_THREE


@pytest.mark.parametrize(
    "options",
    [
        ("-bsf:v", "h264_metadata=sample_aspect_ratio=4/3"),
        ("-bsf:v", "h264_metadata=display_orientation=insert:rotate=90"),
        ("-bsf:v", "h264_metadata=display_orientation=insert:flip=vertical"),
        ("-vf", "scale=out_range=pc,format=yuvj420p", "-color_range", "pc"),
    ],
)
def test_a_change_of_aspect_rotation_or_range_is_a_cut_even_if_the_picture_stays(joined, options):
    cuts, images = cuts_and_keyframes(joined(GREY, GREY, options))
    assert cuts == AT_THREE
    assert max(np.abs(image - 128).max() for image in images) <= 3


def test_the_same_once_more_is_no_cut(joined):
    assert cuts_and_keyframes(joined(GREY, GREY))[0] == ()


def quarters(image):
    """Whether the left half is dark, and the upper one."""
    left, right = image[:, :40].mean(), image[:, -40:].mean()
    upper, lower = image[:20].mean(), image[-20:].mean()
    return left < right - 50, upper < lower - 50


def test_each_part_is_turned_as_it_says(joined):
    rotated = ("-bsf:v", "h264_metadata=display_orientation=insert:rotate=90")
    path = joined(
        "color=black:s=320x180", "color=black:s=320x180", ("-vf", "drawbox=w=160:t=fill:color=white", *rotated)
    )
    _, images = cuts_and_keyframes(path)
    assert [quarters(image) for image in images[3:]] == [(False, True)] * 3


def test_each_part_has_pixels_as_wide_as_it_says(joined):
    square = "color=black:s=320x180"
    boxes = ("-vf", "drawbox=x=80:w=160:h=180:t=fill:color=white", "-bsf:v", "h264_metadata=sample_aspect_ratio=2/1")
    _, images = cuts_and_keyframes(joined(square, square, boxes))
    assert min(image.min() for image in images[3:]) > 200  # the centre half of the width is kept


def test_bars_are_found_for_each_size(tmp_path, clips):
    def lit(number, seconds):
        return (
            np.random.default_rng(int(seconds))
            .integers(80, 220, (8, 14, 3))
            .repeat(32, 0)
            .repeat(32, 1)
            .astype(np.uint8)
        )

    def boxed(number, seconds):
        image = lit(number, seconds)[::2, ::2].copy()
        image[:20] = image[-20:] = 0
        return image

    first, second = (
        clips(tmp_path / name, [start + number / 5 for number in range(30)], paint)
        for name, start, paint in (("a.ts", 0, boxed), ("b.ts", 6, lit))
    )
    path = tmp_path / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with decode_film(path, SMALL) as film:
        images = [decode(data) for data in film.rows()["image"].to_pylist()]
        assert 6.0 in [round(cut, 2) for cut in film.cuts]
    assert len(images) == 12
    assert min(image[line].mean() for image in images for line in (0, -1)) > 60
    whole = lit(0, 7)
    assert np.abs(images[7].astype(int) - whole[2::4, 2::4]).mean() < 12  # nothing of the other part's bars


@pytest.fixture
def doubled(tmp_path, ffmpeg):
    """A film of three seconds, twice in one file, and the bytes of one."""

    def double(name, *options):
        options = options or ("-c:v", "mpeg4", "-g", 10)
        one = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=3", *options, tmp_path / name).read_bytes()
        path = tmp_path / f"twice-{name}"
        path.write_bytes(one + one)
        return path, len(one)

    return double


@pytest.mark.parametrize("name", ["film.mkv", "film.ts", "film.mpg"])
def test_all_frames_of_films_that_were_joined_are_there(doubled, name):
    path, _ = doubled(name, "-c:v", "mpeg2video" if name == "film.mpg" else "mpeg4", "-r", 25)
    with decode_film(path, SMALL) as film:
        assert (film.frames, film.damage) == (150, "")


@pytest.mark.parametrize("between", [0, 2])
@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video", "mpeg4", "libx264"])
def test_no_frame_is_lost_where_the_size_changes_and_the_cut_stands_between_them(tmp_path, ffmpeg, codec, between):
    parts = [
        ffmpeg(
            *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=3", "-c:v", codec, "-bf", between),
            *("-output_ts_offset", 3 * number, tmp_path / f"{number}.ts"),  # a frame or two too early
        )
        for number, size in enumerate(("96x64", "192x128"))
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with decode_film(path, SMALL) as film:
        assert (film.frames, film.damage, film.cuts) == (150, "", AT_THREE)
        assert film.probe.seconds == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, ()) for name in ("film.mp4", "film.mov", "film.asf", "film.wtv")),
        *((name, ("-an",)) for name in ("film.y4m", "film.apng")),
        ("planned.mp4", ("-c:v", "libx264", "-bf", 2)),
        ("film.flv", ("-c:v", "flv1")),
        ("film.ivf", ("-c:v", "libvpx")),
        ("film.mxf", ("-c:v", "mpeg2video", "-r", 25)),
        ("film,,:file:.mxf", ("-c:v", "mpeg2video", "-r", 25)),
    ],
)
def test_a_film_that_is_joined_on_and_not_read_is_named_with_its_place(doubled, name, options):
    path, size = doubled(name, *options)
    with decode_film(path, SMALL) as film:
        assert film.numbers.num_rows == 3
        assert f"another film is joined on at byte {size} of {2 * size} and left out" in film.damage


@pytest.mark.parametrize("names", [("one.mp4", "other.mkv"), ("one.mxf", "other.mp4"), ("one.mp4", "other.mxf")])
def test_a_film_in_another_format_that_is_joined_on_is_named_too(tmp_path, ffmpeg, names):
    picture = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=3", "-c:v", "mpeg2video")
    one, other = (ffmpeg(*picture, tmp_path / name).read_bytes() for name in names)
    path = tmp_path / f"both-{names[0]}"
    path.write_bytes(one + other)
    with decode_film(path, SMALL) as film:
        assert film.frames == 75
        assert f"another film is joined on at byte {len(one)}" in film.damage


@pytest.mark.parametrize("sizes", [(96, 96), (96, 192), (192, 96)])
def test_a_film_that_is_joined_on_as_another_stream_is_named(tmp_path, ffmpeg, sizes):
    parts = [
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}x96:d=3", *X264, "-streamid", f"0:{pid}", tmp_path / f"{pid}.ts")
        for size, pid in zip(sizes, (256, 300), strict=True)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with decode_film(path, SMALL) as film:
        assert "another film is joined on as a stream of its own and left out" in film.damage
