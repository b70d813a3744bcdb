"""Animated pictures are films, with their last picture as long as it is held; still ones are named."""

import numpy as np
import pytest
from PIL import Image

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.pictures import decode
from storage.errors import FilmError

SMALL = KeyframesConfig(width=112, height=64)
COLOURS = ((200, 0, 0), (0, 200, 0), (0, 0, 200))


def animated(path, pictures, milliseconds, **options):
    first, *others = pictures
    first.save(path, save_all=True, append_images=others, duration=milliseconds, loop=0, **options)
    return path


def colours(path):
    with decode_film(path, SMALL) as film:
        assert film.damage == ""
        assert film.rows()["pts"].to_pylist() == pytest.approx(range(film.numbers.num_rows))
        return [decode(data)[32, 56].argmax() for data in film.rows()["image"].to_pylist()], film.probe.seconds


@pytest.mark.parametrize("name", ["film.gif", "film.png", "film.avif"])
def test_each_picture_lasts_as_long_as_it_says(tmp_path, name):
    plain = [Image.new("RGB", (112, 64), colour) for colour in COLOURS]
    path = animated(tmp_path / name, plain, [2000, 100, 3000])
    assert colours(path) == ([0, 0, 1, 2, 2, 2], pytest.approx(5.1))
    assert colours(animated(path, plain[:2], [100, 2950])) == ([0, 1, 1, 1], pytest.approx(3.05))


def test_one_held_picture_is_a_film(tmp_path, ffmpeg):
    path = ffmpeg("-f", "lavfi", "-i", "color=blue:s=112x64:r=1/4:d=4", "-c:v", "libx264", tmp_path / "film.mp4")
    assert colours(path) == ([2, 2, 2, 2], pytest.approx(4))


def test_what_is_transparent_is_black(tmp_path):
    clear = np.zeros((64, 112, 4), np.uint8)
    clear[16:48, 32:80] = (200, 50, 0, 255)
    pictures = [Image.fromarray(np.roll(clear, shift, axis=1)) for shift in (0, 8)]
    with decode_film(animated(tmp_path / "film.gif", pictures, [1000, 1000], disposal=2), SMALL) as film:
        images = [decode(data) for data in film.rows()["image"].to_pylist()]
    assert max(image[:8].max() for image in images) < 16
    assert min(image[32, 56, 0] for image in images) > 180


def test_an_animated_webp_is_refused_by_name_and_with_a_cure(tmp_path):
    plain = [Image.new("RGB", (112, 64), colour) for colour in COLOURS]
    with pytest.raises(
        FilmError, match=r"not_a_video.*film\.webp' is an animated WebP, which is not supported: convert"
    ):
        decode_film(animated(tmp_path / "film.webp", plain, 1000), SMALL)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        *(("webp", "WebP"), ("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF"), ("avif", "AVIF"), ("bmp", "BMP")),
        *(("ico", "ICO"), ("ppm", "PPM"), ("jp2", "JPEG2000")),
    ],
)
def test_still_pictures_are_named(tmp_path, ending, kind):
    path = tmp_path / f"picture.{ending}"
    Image.new("RGB", (112, 64)).save(path)
    with pytest.raises(FilmError, match=rf"not_a_video.*picture\.{ending}.*a still picture \({kind}\)"):
        decode_film(path, SMALL)
