"""Bars are found over a film: dark scenes, subtitles and one black frame are none."""

import numpy as np
import pytest

from storage.decoding.bars import Bars, guess
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.pictures import decode

SMALL = KeyframesConfig(width=112, height=64)


def scenery(seconds, width=448, height=256):
    """Bright, and another at each second."""
    return (
        np.random.default_rng(int(seconds)).integers(60, 220, (8, 14, 3)).repeat(height // 8, 0).repeat(width // 14, 1)
    )


def boxed(top=0, left=0, dark=lambda seconds: False, subtitle=lambda seconds: False):
    def paint(number, seconds):
        image = scenery(seconds).astype(np.uint8)
        if dark(seconds):
            image[:] = 0
            image[160:, 200:260] = 90
        image[:top] = image[256 - top :] = 0
        image[:, :left] = image[:, 448 - left :] = 0
        if subtitle(seconds):
            image[-20:-8, 150:300] = 230
        return image

    return paint


def edges(film):
    """Smallest mean of the outermost rows and columns over all keyframes."""
    images = [decode(data).astype(float) for data in film.rows()["image"].to_pylist()]
    return min(min(image[line].mean() for line in (0, -1)) for image in images), min(
        min(image[:, line].mean() for line in (0, -1)) for image in images
    )


def film(tmp_path, clips, paint, seconds=12):
    return clips(tmp_path / "film.mp4", [number / 5 for number in range(seconds * 5)], paint)


@pytest.mark.parametrize(("top", "left"), [(32, 0), (0, 56), (24, 40)])
def test_bars_are_left_out(tmp_path, clips, top, left):
    with decode_film(film(tmp_path, clips, boxed(top, left)), SMALL) as decoded:
        assert min(edges(decoded)) > 50
        assert (decoded.probe.width, decoded.probe.height) == (448, 256)


def test_a_film_without_bars_is_kept_whole_though_half_of_it_is_dark(tmp_path, clips):
    path = film(tmp_path, clips, boxed(dark=lambda seconds: seconds < 6))
    with decode_film(path, SMALL) as decoded, decode_film(film(tmp_path, clips, boxed()), SMALL) as light:
        dark_images, images = (each.rows()["image"].to_pylist() for each in (decoded, light))
    for mine, plain in zip(dark_images[7:], images[7:], strict=True):
        assert np.abs(decode(mine).astype(int) - decode(plain)).mean() < 6


def test_bars_are_found_beside_dark_scenes_and_under_subtitles(tmp_path, clips):
    paint = boxed(32, dark=lambda seconds: 3 <= seconds < 6, subtitle=lambda seconds: seconds >= 19)
    with decode_film(film(tmp_path, clips, paint, seconds=20), SMALL) as decoded:
        images = [decode(data) for data in decoded.rows()["image"].to_pylist()]
    assert min(images[second][line].mean() for second in (0, 1, 8, 9) for line in (0, -1)) > 50


def test_bars_are_found_in_a_film_that_is_subtitled_most_of_the_time(tmp_path, clips):
    paint = boxed(32, subtitle=lambda seconds: seconds % 5 >= 1)
    with decode_film(film(tmp_path, clips, paint, seconds=20), SMALL) as decoded:
        assert edges(decoded)[0] > 50


def test_a_black_sky_over_a_letterbox_that_the_ground_does_not_repeat_is_kept(tmp_path, clips):
    def paint(number, seconds):
        image = boxed(16)(number, seconds)
        image[:48] = 0
        image[240 - 3 * (int(seconds) % 8) : 240] = 0  # the ground's darkness comes and goes
        return image

    with decode_film(film(tmp_path, clips, paint, seconds=20), SMALL) as decoded:
        images = [decode(data) for data in decoded.rows()["image"].to_pylist()]
    assert max(image[: len(image) // 12].mean() for image in images) < 10  # sky is left
    assert min(images[second][-1].mean() for second in (0, 8, 16)) > 50


def test_a_strip_of_darkness_on_one_side_is_no_bar(tmp_path, clips):
    def paint(number, seconds):
        image = scenery(seconds).astype(np.uint8)
        image[192:] = 0
        return image

    with decode_film(film(tmp_path, clips, paint), SMALL) as decoded:
        assert edges(decoded)[0] < 10


def test_the_guess_is_like_what_the_whole_film_shows(tmp_path, clips):
    path = film(tmp_path, clips, boxed(32), seconds=60)
    found = guess(path)
    assert found.like(Bars(top=32 / 256 + 0.002, bottom=32 / 256 + 0.002))
    assert not found.like(Bars())
    assert guess(tmp_path / "none.mp4") == Bars()
